"""The results on event-camera data: studies of several seeds, each model tested on samples it has never seen.

For each seed the data are split (N-MNIST: pooled and split 72 : 8 : 20; gestures: by people), the float network is
trained, and a study of `dvs_gesture.py` is run. In each band of sizes (8 to 12 times smaller, 12 to 16, 16 and more,
...) the model with the highest held-out accuracy is taken, the smallest of equals, and tested once. What is printed is
the change against the float network that was fine-tuned for the same epochs; of gestures that of circling arms, too.
"""

from __future__ import annotations

import argparse
import math
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import optuna

from qspinn_optuna import ParetoFront, QuantizationConfig, QuantizationObjective, QuantizationSpace, open_study
from qspinn_optuna.cli.argument_types import count, fraction, output_file, positive
from qspinn_optuna.cli.json_files import write_json
from qspinn_optuna.datasets import EventDataset, FrameSplits
from qspinn_optuna.sampler.by_name import make_sampler
from qspinn_optuna.tables import format_table
from qspinn_optuna.workloads.supervised import FrameBatches, SupervisedWorkload
from qspinn_optuna.workloads.supervised.events import (
    EVALUATION_BATCH,
    GENERATED,
    RECIPES,
    circles_of,
    event_workload,
    first_trials,
    generate_gestures,
    load_splits,
    search_space,
    state_controls,
)

BANDS = ((8, 12), (12, 16), (16, 20), (20, 31), (16, math.inf), (20, math.inf), (31, math.inf))
"""How many times smaller: from the first to below the second."""

CIRCLES = ", circling arms alone"
"""What is added to the name of an accuracy on these samples alone."""


def main() -> None:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=RECIPES, default="nmnist")
    parser.add_argument("--data-dir", type=Path, help="folder of the data set")
    parser.add_argument(
        "--own-test", action="store_true", help="test on the test recordings of N-MNIST's folder, without pooling"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trials", type=count, default=20, help="of each study, in all")
    parser.add_argument("--sampler", choices=["memory-aware", "tpe"], default="tpe", help="the table's is TPE")
    parser.add_argument(
        "--accuracy-drop", type=fraction, default=1.0, help="what a model may lose on held-out samples to count"
    )
    parser.add_argument("--users", type=positive, default=30, help="people whose gestures are generated for training")
    parser.add_argument("--test-users", type=positive, default=12, help="other people, for the test")
    parser.add_argument("--cache", type=Path, default=Path("qspinn-cache"), help="folder that keeps trained networks")
    parser.add_argument("--storage", default="sqlite:///event_results.db")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write the figures to this file")
    arguments = parser.parse_args()
    if arguments.data_dir is None and arguments.dataset not in GENERATED:
        parser.error(f"--dataset {arguments.dataset} needs --data-dir, its folder")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = [one_seed(arguments, seed) for seed in arguments.seeds]
    rows = [[f"{seed['seed']}", *map(show, seed["models"])] for seed in seeds]
    print(format_table(["seed", *map(title, BANDS)], rows))
    for name in seeds[0]["controls"]:
        values = [seed["controls"][name] for seed in seeds]
        print(f"{name}: mean {statistics.mean(values):.2%}, {', '.join(f'{value:.2%}' for value in values)}")
    for number, band in enumerate(BANDS):
        models = [seed["models"][number] for seed in seeds if seed["models"][number] is not None]
        if models:
            changes = [100 * model["change"] for model in models]
            sizes = [model["compression"] for model in models]
            print(
                f"{title(band)}: {min(sizes):.1f}x to {max(sizes):.1f}x, mean change "
                f"{statistics.mean(changes):+.2f} points, worst {min(changes):+.2f}{on_circles(models)}"
            )
    if arguments.json is not None:
        write_json(arguments.json, {"dataset": arguments.dataset, "seeds": seeds})


def one_seed(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The study of one seed, and the tests of what is chosen from it."""
    data, workload = prepare(arguments, seed)
    space = search_space(workload)
    study = search(arguments, workload, space, seed)
    controls = {"float": workload.accuracy_of(workload.network, workload.test_batches)} | state_controls(workload, data)
    circles = circles_of(data)
    models: list[dict[str, Any] | None] = []
    for band in BANDS:
        try:
            front = ParetoFront.from_study(study, where=partial(is_in, band, space))
        except ValueError:  # nothing of that size
            models.append(None)
            continue
        best = front.candidates[-1]
        accuracy = workload.test(best.config, seed)
        model = {**best.to_dict(), "test_accuracy": accuracy, "change": accuracy - controls["float, fine-tuned"]}
        if circles is not None:
            batches = FrameBatches(circles, EVALUATION_BATCH)
            on_them = workload.accuracy_of(workload.quantize(best.config, seed), batches)
            model["change" + CIRCLES] = on_them - controls["float, fine-tuned" + CIRCLES]
        models.append(model)
    print(f"seed {seed}: float {controls['float']:.2%}; {'; '.join(map(show, models))}", flush=True)
    return {"seed": seed, "controls": controls, "models": models}


def prepare(arguments: argparse.Namespace, seed: int) -> tuple[FrameSplits, SupervisedWorkload]:
    """The data of one seed, and the network."""
    recipe = RECIPES[arguments.dataset]
    root: Path = arguments.data_dir
    if arguments.dataset in GENERATED:
        root = Path(f"{arguments.data_dir or 'event_results_gestures'}-{seed}")
        generate_gestures(root, arguments.users, arguments.test_users, seed)
    pool = recipe.dataset is EventDataset.NMNIST and not arguments.own_test
    data = load_splits(recipe, root, pool=pool, seed=seed)
    return data, event_workload(recipe, data, cache=arguments.cache, seed=seed)


def search(
    arguments: argparse.Namespace, workload: SupervisedWorkload, space: QuantizationSpace, seed: int
) -> optuna.Study:
    """The study of one seed, begun or continued."""
    name = f"{arguments.dataset}-{seed}"
    study = open_study(name, arguments.storage, space, workload=workload, accuracy_drop=arguments.accuracy_drop)
    study.sampler = make_sampler(arguments.sampler, space, seed)
    if not study.trials:
        for params in first_trials(space):
            study.enqueue_trial(params)
    done = len([trial for trial in study.trials if trial.state.is_finished()])
    if done < arguments.trials:
        objective = QuantizationObjective(workload, space, seed=seed)
        study.optimize(objective, n_trials=arguments.trials - done, show_progress_bar=True)
    return study


def is_in(band: tuple[float, float], space: QuantizationSpace, config: QuantizationConfig) -> bool:
    """Whether a configuration is as many times smaller than 32 bits as the band says."""
    return band[0] <= space.footprint(config).compression < band[1]


def on_circles(models: list[dict[str, Any]]) -> str:
    """The mean change on circling arms alone in words; nothing if the samples are no gestures."""
    changes = [100 * model["change" + CIRCLES] for model in models if "change" + CIRCLES in model]
    return f", circling arms alone {statistics.mean(changes):+.2f}" if changes else ""


def title(band: tuple[float, float]) -> str:
    """A band in words."""
    return f"{band[0]}x to {band[1]}x" if math.isfinite(band[1]) else f"{band[0]}x and more"


def show(model: dict[str, Any] | None) -> str:
    """A model in a cell of the table."""
    if model is None:
        return "none found"
    return f"{model['compression']:.1f}x {model['scheme']} {model['test_accuracy']:.2%} ({100 * model['change']:+.2f})"


if __name__ == "__main__":
    main()
