"""Which networks can be searched: architectures that people build, taken through every step of a study.

Each is made small, its parameters are counted by hand, and it goes through discovery at three batch sizes, folding,
calibration, both schemes with all roundings at the widest and the narrowest widths, freezing, the check of exactness,
and saving. The table says which are searched, which are refused and why, and what is wrong.
"""

from __future__ import annotations

import argparse
from collections import Counter

import optuna
import torch

from qspinn_optuna.cli.argument_types import output_file, positive
from qspinn_optuna.cli.json_files import write_json
from zoo.architecture import Architecture
from zoo.passage import Passage, passage
from zoo.spikingjelly_models import SPIKINGJELLY
from zoo.structures import STRUCTURES

ARCHITECTURES: tuple[Architecture, ...] = (*SPIKINGJELLY, *STRUCTURES)

_HEADER = ("architecture", "outcome", "arrays", "elements", "exact", "drift", "seconds", "reason")
_LINE = "{:<{names}}  {:<14}  {:>6}  {:>8}  {:>5}  {:>5}  {:>7}  {}"
"""A row of the table, whose columns are as wide as any result, so that each is printed when it is there."""

_REASON_LENGTH = 110


def main() -> None:
    """Take all architectures through, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="architectures whose names contain one of these")
    parser.add_argument("--threads", type=positive, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--json", type=output_file, help="file for the table with the whole reasons")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # Spaces tell in a line each what limits their widths.
    chosen = [
        architecture
        for architecture in ARCHITECTURES
        if not arguments.only or any(part.lower() in architecture.name.lower() for part in arguments.only)
    ]
    if not chosen:
        parser.error(f"argument --only: must be part of a name, got {arguments.only}.")
    names = max(len(architecture.name) for architecture in chosen)
    print(_LINE.format(*_HEADER, names=names))
    passages = []
    for architecture in chosen:
        passages.append(passage(architecture))
        print(_LINE.format(*_cells(passages[-1]), names=names), flush=True)
    outcomes = Counter(result.outcome.value for result in passages)
    expected = sum(result.as_expected for result in passages)
    print(f"{len(passages)} architectures: {', '.join(f'{count} {outcome}' for outcome, count in outcomes.items())}")
    print(f"{expected} as expected, in {sum(result.seconds for result in passages):.0f} s")
    if arguments.json is not None:
        write_json(arguments.json, {"architectures": [row(result) for result in passages]})


def _cells(result: Passage) -> list[str]:
    return [
        result.name,
        result.outcome.value if result.as_expected else f"{result.outcome.value} (!)",
        f"{result.parameters}",
        f"{result.elements}",
        f"{result.exact}/{result.tried}",
        "-" if result.drift is None else f"{result.drift:.3f}",
        f"{result.seconds:.1f}",
        f"{result.step}: {result.reason}"[:_REASON_LENGTH] if result.reason else "",
    ]


def row(result: Passage) -> dict[str, str | int | float | None]:
    """A row as JSON has it."""
    return {
        "name": result.name,
        "outcome": result.outcome.value,
        "expected": result.expected.value,
        "step": result.step,
        "reason": result.reason,
        "parameters": result.parameters,
        "elements": result.elements,
        "exact": result.exact,
        "tried": result.tried,
        "drift": result.drift,
        "seconds": round(result.seconds, 2),
    }


if __name__ == "__main__":
    main()
