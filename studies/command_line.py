"""Arguments that the studies share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import optuna

from qspinn_optuna import FrontPruner, QuantizationSpace, TradeOffSelector, Workload
from qspinn_optuna.cli.argument_types import confidence, count, fraction, output_file, seed, weight
from qspinn_optuna.sampler.by_name import SAMPLERS
from qspinn_optuna.selection import (
    BudgetSelector,
    KneeSelector,
    OneStandardErrorSelector,
    Selector,
    ToleranceSelector,
)
from qspinn_optuna.significance import (
    enqueue_promising,
    measure_significance,
    record_significance,
    recorded_significance,
)


def study_parser(description: str, study_name: str) -> argparse.ArgumentParser:
    """A parser with the arguments of every study."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    search = parser.add_argument_group("search")
    search.add_argument(
        "--trials", type=count, default=30, help="trials to run now; 0 reports on those of earlier runs"
    )
    search.add_argument("--seed", type=seed, default=0, help="of the network, its input spikes and the sampler")
    search.add_argument("--sampler", choices=SAMPLERS, default="memory-aware", help="what suggests configurations")
    search.add_argument(
        "--pruning-confidence",
        type=confidence,
        help="stop what cannot enter the front with this confidence, such as 0.95",
    )
    search.add_argument(
        "--pruning-gain", type=fraction, default=0.0, help="lead over the front that is worth a whole evaluation"
    )
    search.add_argument("--accuracy-drop", type=fraction, default=0.01, help="what a model may lose to be feasible")
    search.add_argument(
        "--measure-significance",
        action="store_true",
        help="before the search, lower one width at a time: the sampler begins with what suffices",
    )
    selection = parser.add_argument_group("selection of a model of the front").add_mutually_exclusive_group()
    selection.add_argument("--mu", type=weight, default=0.1, help="largest accuracy - mu * memory / 32-bit memory")
    selection.add_argument("--within", type=fraction, metavar="PART", help="smallest within this of the best accuracy")
    selection.add_argument(
        "--within-standard-error", action="store_true", help="smallest within a standard error of the best accuracy"
    )
    selection.add_argument("--budget-kib", type=weight, metavar="KIB", help="most accurate within this memory")
    selection.add_argument("--knee", action="store_true", help="where the front bends most")
    storage = parser.add_argument_group("storage and output")
    storage.add_argument("--storage", default="sqlite:///qspinn.db", help="URL of the database of studies")
    storage.add_argument("--study-name", default=study_name, help="name of the study; run again, it goes on")
    storage.add_argument("--json", type=output_file, metavar="FILE", help="write front and choice to this file")
    storage.add_argument("--html", type=output_file, metavar="FILE", help="the figure; <study name>.html if not given")
    return parser


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, or these arguments, as far as :func:`study_parser` can tell that they fit together."""
    parsed = parser.parse_args(arguments)
    if parsed.pruning_gain and parsed.pruning_confidence is None:
        parser.error("--pruning-gain needs --pruning-confidence, such as 0.95: without it nothing is pruned")
    return parsed


def make_selector(arguments: argparse.Namespace) -> Selector:
    """What the command line says about the choice."""
    if arguments.within is not None:
        return ToleranceSelector(arguments.within)
    if arguments.within_standard_error:
        return OneStandardErrorSelector()
    if arguments.budget_kib is not None:
        return BudgetSelector(arguments.budget_kib)
    return KneeSelector() if arguments.knee else TradeOffSelector(arguments.mu)


def measure_first(
    arguments: argparse.Namespace, study: optuna.Study, workload: Workload, space: QuantizationSpace
) -> None:
    """Measure significance if that is asked for and the study has none, and queue what it promises."""
    if not arguments.measure_significance:
        return
    known = recorded_significance(study)
    if known is not None:
        print(f"The study goes on with the significance that it has, at a tolerance of {known.tolerance:g}.")
        return
    found = measure_significance(
        workload, space, tolerance=arguments.accuracy_drop, seed=arguments.seed, show_progress=True
    )
    record_significance(study, space, found)
    enqueue_promising(study, space, found)
    print(f"\nSignificance, from {found.evaluations} evaluations; accuracy lost per bit, in points:")
    for name in found.ranking:
        enough = found.narrowest.get(name)
        loss = f"{100 * found.loss_per_bit[name]:.2f} ± {100 * found.standard_error[name]:.2f}"
        print(f"  {name}: {loss}, {f'{enough} bits' if enough else 'nothing'} suffices")


def make_pruner(arguments: argparse.Namespace) -> FrontPruner | None:
    """The pruner that is asked for, if one is."""
    if arguments.pruning_confidence is None:
        return None
    return FrontPruner(arguments.pruning_confidence, arguments.pruning_gain)
