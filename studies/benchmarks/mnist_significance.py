"""Significance of the parameters of the MNIST study: what it costs, and whether the narrowed space is enough.

The full sweep (every width of every parameter with every scheme and rounding, on all held-out images) beside stopping
early; then two studies of as many trials, one of the whole space and one of the narrowed. The best model that the
whole space yields is chosen from what both have found, for the narrowed space is part of the whole. On the whole of
MNIST it takes an hour of one core. Reports and studies stay in the output folder; run again, finished ones are not
repeated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import optuna

from qspinn_optuna import (
    Candidate,
    MemoryAwareSampler,
    ParetoFront,
    QuantizationObjective,
    QuantizationSpace,
    TradeOffSelector,
    Workload,
    open_study,
)
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import embedded_mnist, mnist_from_folder
from qspinn_optuna.selection import Selector, ToleranceSelector
from qspinn_optuna.significance import SignificanceReport, measure_significance
from qspinn_optuna.workloads.stdp import STDPWorkload
from qspinn_optuna.workloads.stdp.mnist import mnist_settings, search_space
from searching.significance import out_of_order, ranking

SELECTORS: dict[str, Selector] = {
    "mu = 0.1": TradeOffSelector(0.1),
    "mu = 1": TradeOffSelector(1.0),
    "within a point": ToleranceSelector(0.01),
}


def main() -> None:
    """Print both reports, and the choices of both studies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder of MNIST's IDX files; the embedded digits if not given")
    parser.add_argument("--output", type=Path, default=Path("mnist-significance"), help="folder of what is found")
    parser.add_argument("--tolerance", type=float, default=0.01, help="what may be lost")
    parser.add_argument("--trials", type=positive, default=200, help="of each study")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = embedded_mnist() if arguments.data_dir is None else mnist_from_folder(arguments.data_dir)
    workload = STDPWorkload(data, mnist_settings(len(data.train)))
    space = search_space(workload)

    def measured(stop_early: bool) -> SignificanceReport:
        return measure_significance(workload, space, tolerance=arguments.tolerance, stop_early=stop_early)

    early = stored(arguments.output / "early.json", lambda: measured(stop_early=True))
    print_report("Stopping early", early)
    sweep = stored(arguments.output / "sweep.json", lambda: measured(stop_early=False))
    print_report("Full sweep", sweep)
    print(
        f"\n{early.evaluations / sweep.evaluations:.1%} of the evaluations, {early.samples / sweep.samples:.1%} of the "
        f"samples; the same widths: {early.narrowest == sweep.narrowest}, the same ranking: "
        f"{early.ranking == sweep.ranking}, pairs that the sweep tells apart in another order: "
        f"{', '.join(out_of_order(sweep, early)) or 'none'}"
    )
    narrowed = space.narrow(early)
    print(f"{narrowed.cardinality:,} of {space.cardinality:,} configurations are left: {narrowed.distributions}")
    of_whole = searched("whole", arguments, workload, space)
    of_narrowed = searched("narrowed", arguments, workload, narrowed)
    both = open_study("both", None, space)
    both.add_trials([*of_whole.trials, *of_narrowed.trials])
    for name, selector in SELECTORS.items():
        for where, study in (("whole space", of_whole), ("narrowed space", of_narrowed), ("two together", both)):
            best = selector.select(ParetoFront.from_study(study)).candidate
            print(f"{name}: found in the {where}, {describe(best)}; in the narrowed: {holds(narrowed, best)}")


def stored(path: Path, measure: Callable[[], SignificanceReport]) -> SignificanceReport:
    """The report in a file, measured if there is none."""
    if not path.exists():
        path.write_text(json.dumps(measure().to_dict()))
    return SignificanceReport.from_dict(json.loads(path.read_text()))


def searched(name: str, arguments: argparse.Namespace, workload: Workload, space: QuantizationSpace) -> optuna.Study:
    """A study of a space, which goes on if it is not finished."""
    storage = f"sqlite:///{arguments.output / name}.db"
    study = open_study(name, storage, space, workload=workload, accuracy_drop=arguments.tolerance)
    study.sampler = MemoryAwareSampler(space, seed=0)
    missing = arguments.trials - len(study.trials)
    if missing > 0:
        study.optimize(QuantizationObjective(workload, space), n_trials=missing)
    return study


def holds(space: QuantizationSpace, candidate: Candidate) -> bool:
    """Whether a space has a candidate's configuration."""
    try:
        space.params(candidate.config)
    except ValueError:
        return False
    return True


def print_report(title: str, report: SignificanceReport) -> None:
    """What a report found, a line for each parameter."""
    print(f"\n{title}: {report.evaluations} evaluations, {report.samples:,} samples")
    print(f"  points lost a bit: {ranking(report)}")
    print(f"  bits that suffice: {report.narrowest}")


def describe(candidate: Candidate) -> str:
    """A candidate in a few words."""
    return f"{candidate.compression:.2f}x, {candidate.accuracy:.2%}"


if __name__ == "__main__":
    main()
