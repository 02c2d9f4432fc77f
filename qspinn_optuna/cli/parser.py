"""The parsers of all commands. Nothing heavy is imported here: ``--help`` answers at once."""

from __future__ import annotations

import argparse
import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qspinn_optuna.cli.argument_types import count
from qspinn_optuna.cli.arguments import (
    HelpFormatter,
    add_accuracy_drop,
    add_confirm,
    add_export,
    add_output,
    add_search,
    add_selection,
    add_space,
    add_study,
    add_target,
    add_verbose,
)

_SAME_FILE = "the one that was run, if not given"
_ONLY_STUDY = "name of the study; not needed if the database has one only"


class _Version(argparse.Action):
    """Prints the version of the installed package; ``action="version"`` would look it up in every run."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"qspinn {importlib.metadata.version('qspinn_optuna')}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="qspinn",
        description="Search the fixed-point quantization of a spiking neural network: memory against accuracy.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for name, (summary, add_arguments) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=HelpFormatter,
            allow_abbrev=False,
        )
        add_arguments(command)
    return parser


def make_run_parser(program: str, description: str, *, writes: bool = True) -> argparse.ArgumentParser:
    """The parser of ``run`` for a file that is known; it ``writes`` nothing if a run before is only made again."""
    parser = argparse.ArgumentParser(
        prog=program, description=description, formatter_class=HelpFormatter, allow_abbrev=False
    )
    _add_run(parser, writes=writes)
    return parser


def split_run(arguments: Sequence[str]) -> tuple[str, list[str]] | None:
    """The FILE.py of a command line of ``run``, and what else it says; None if it is another, or has no file.

    The file's own options are not known before it is loaded, so the file goes before them.
    """
    if arguments[:1] != ["run"]:
        return None
    parser = argparse.ArgumentParser(prog="qspinn run", add_help=False, allow_abbrev=False)
    _add_run(parser)
    parser.add_argument("file", nargs="?")
    file: str | None = parser.parse_known_args(arguments[1:])[0].file
    if file is None:
        return None
    options = list(arguments[1:])
    options.remove(file)
    return file, options


def parse_run(parser: argparse.ArgumentParser, options: Sequence[str]) -> argparse.Namespace:
    """Parse the options of ``run``, as far as can be told that they fit together."""
    arguments = parser.parse_args(options)
    if arguments.pruning_gain and arguments.pruning_confidence is None:
        parser.error("--pruning-gain needs --pruning-confidence, such as 0.95: without it nothing is pruned")
    names = [name for name, _ in arguments.bits or ()]
    if "" in names and len(names) > 1:
        parser.error("--bits must be one range for all, such as 2-8, or ranges with names, such as weight=1-4")
    return arguments


def _add_run(parser: argparse.ArgumentParser, *, writes: bool = True) -> None:
    add_search(parser)
    add_space(parser)
    add_selection(parser)
    add_confirm(parser)
    add_target(parser)
    add_study(parser, "name of the study; run again, it goes on; the file's name if not given")
    add_output(parser, "the figure; <study name>.html if not given", writes=writes)
    add_verbose(parser)


def _add_run_with_file(parser: argparse.ArgumentParser) -> None:
    parser.usage = "qspinn run FILE.py [options]"
    parser.add_argument(
        "file", type=Path, metavar="FILE.py", help="has a function workload(), perhaps space(workload); it goes first"
    )
    _add_run(parser)


def _add_show(parser: argparse.ArgumentParser) -> None:
    add_target(parser)
    add_study(parser, _ONLY_STUDY)
    add_output(parser, "write the figure to this file")
    add_verbose(parser)


def _add_choose(parser: argparse.ArgumentParser) -> None:
    add_selection(parser)
    add_accuracy_drop(parser.add_argument_group("feasible models"), default=None)
    _add_show(parser)


def _add_publish(parser: argparse.ArgumentParser) -> None:
    add_study(parser, _ONLY_STUDY)
    add_verbose(parser)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE.py", help=_SAME_FILE)
    parser.add_argument("--trial", type=count, required=True, metavar="N", help="number of a finished trial")
    add_study(parser, _ONLY_STUDY)
    add_verbose(parser)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE.py", help=_SAME_FILE)
    parser.add_argument(
        "--trial", type=count, metavar="N", help="number of a finished trial; that of the chosen model if not given"
    )
    add_export(parser)
    add_target(parser)
    add_study(parser, _ONLY_STUDY)
    add_verbose(parser)


_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "run": ("search the quantization of the network of FILE.py, and choose a model", _add_run_with_file),
    "show": ("show the front, the choice and the trials of a study", _add_show),
    "choose": ("choose another model of the front, and keep the choice in the study", _add_choose),
    "publish": ("put figures and notes where optuna-dashboard shows them", _add_publish),
    "export": ("write a model of a study as C, and compare the C with its integers", _add_export),
    "evaluate": ("evaluate a trial again, and compare the counts", _add_evaluate),
}
"""What each command does, and its arguments. Its code is in the module of its name."""
