"""Groups of arguments that commands share. Nothing heavy is imported here: ``--help`` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from qspinn_optuna.cli.argument_types import confidence, count, fraction, output_file, positive, seed, weight, widths

SAMPLERS = ("memory-aware", "tpe", "tpe-univariate", "nsgaii", "random", "gp")
SCHEMES = ("ptq", "itq")
ROUNDINGS = ("truncation", "nearest", "stochastic")
TARGETS = ("ATmega328P", "microbit-v1", "STM32F405", "nRF52840", "RP2040", "ESP32-S3")
STORAGE = "sqlite:///qspinn.db"


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def add_search(parser: argparse.ArgumentParser) -> None:
    """How to search."""
    group = parser.add_argument_group("search")
    group.add_argument("--trials", type=count, default=30, help="trials to run now; 0 reports on those of earlier runs")
    group.add_argument("--seed", type=seed, default=0, help="of the evaluations and the sampler")
    group.add_argument("--workers", type=positive, default=1, metavar="N", help="processes that run trials")
    group.add_argument(
        "--dask", metavar="SCHEDULER", help="run trials on the workers of a Dask cluster, such as tcp://host:8786"
    )
    group.add_argument("--sampler", choices=SAMPLERS, default="memory-aware", help="what suggests configurations")
    group.add_argument(
        "--pruning-confidence",
        type=confidence,
        help="stop what cannot enter the front with this confidence, such as 0.95",
    )
    group.add_argument(
        "--pruning-gain", type=fraction, default=0.0, help="lead over the front that is worth a whole evaluation"
    )
    group.add_argument(
        "--measure-significance",
        action="store_true",
        help="before the search, lower one width at a time: the sampler begins with what suffices",
    )
    group.add_argument(
        "--sensitivity",
        action="store_true",
        help="before the search, see on a few samples what narrow widths do to the output: the sampler begins with it",
    )
    add_accuracy_drop(group, default=0.01)


def add_accuracy_drop(group: argparse._ArgumentGroup, default: float | None) -> None:
    """What a model may lose."""
    group.add_argument(
        "--accuracy-drop",
        type=fraction,
        default=default,
        help="what a model may lose against the float network to be feasible",
    )


def add_space(parser: argparse.ArgumentParser) -> None:
    """What part of the space to search."""
    group = parser.add_argument_group("search space")
    group.add_argument(
        "--bits",
        type=widths,
        nargs="+",
        action="extend",
        metavar="[NAME=]FIRST-LAST",
        help="widths, such as 2-8, or those of parameters and families, such as weight=1-4 lif1.v=6-16",
    )
    group.add_argument("--schemes", choices=SCHEMES, nargs="+", help="when to quantize: after or in training")
    group.add_argument("--roundings", choices=ROUNDINGS, nargs="+", help="how to round")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which model of the front is chosen."""
    group = parser.add_argument_group(
        "selection of a model of the front", "the smallest feasible one, if none of these is given"
    ).add_mutually_exclusive_group()
    group.add_argument("--mu", type=weight, help="largest accuracy - mu * memory / 32-bit memory, such as 0.1")
    group.add_argument("--within", type=fraction, metavar="PART", help="smallest within this of the best accuracy")
    group.add_argument(
        "--within-standard-error", action="store_true", help="smallest within a standard error of the best accuracy"
    )
    group.add_argument("--budget-kib", type=weight, metavar="KIB", help="most accurate within this memory")
    group.add_argument("--knee", action="store_true", help="where the front bends most")


def add_confirm(parser: argparse.ArgumentParser) -> None:
    """How many models to measure again."""
    group = parser.add_argument_group("confirmation")
    group.add_argument(
        "--confirm",
        type=positive,
        metavar="N",
        help="measure the best N models again, on fresh samples if there are some, and choose by that",
    )


def add_target(parser: argparse.ArgumentParser) -> None:
    """Which device the model is for."""
    group = parser.add_argument_group("device")
    group.add_argument(
        "--target",
        metavar="NAME[=FLASH,RAM]",
        help=f"the model must fit it: {', '.join(TARGETS)}, or one of your own with KiB of flash and RAM: mine=64,8",
    )


def add_export(parser: argparse.ArgumentParser) -> None:
    """What is written of a model, and where."""
    group = parser.add_argument_group("export")
    group.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder, new or empty")
    group.add_argument("--prefix", default="snn", metavar="NAME", help="what all names in C begin with")
    group.add_argument(
        "--samples", type=positive, default=20, metavar="N", help="samples to compare, which vectors.h holds"
    )
    group.add_argument("--overwrite", action="store_true", help="replace an export that is in the folder")


def add_study(parser: argparse.ArgumentParser, help_on_study: str) -> None:
    """Which study."""
    group = parser.add_argument_group("study")
    group.add_argument("--storage", default=STORAGE, metavar="URL", help="URL of the database of studies")
    group.add_argument("--study", "--study-name", metavar="NAME", help=help_on_study)


def add_output(parser: argparse.ArgumentParser, help_on_html: str, *, writes: bool = True) -> None:
    """What is written, unless nothing is: then it need not be possible any more."""
    group = parser.add_argument_group("output")
    file = output_file if writes else Path
    group.add_argument("--json", type=file, metavar="FILE", help="write front and choice to this file")
    group.add_argument("--html", type=file, metavar="FILE", help=help_on_html)


def add_verbose(parser: argparse.ArgumentParser) -> None:
    """How much to say."""
    parser.add_argument("--verbose", action="store_true", help="print the traceback of an error")
