"""What a sensitivity saves: studies of trained networks with it, without it, and with a reversed one.

Two convolutional networks of digits, post-training: a plain one of integrate-and-fire neurons, and a residual one of
leaky ones. A study counts correct answers of 1,000 digits; what it misses is measured by the accuracy on 5,000 others:
the hypervolume above the accuracy floor, as a share of the area up to an accuracy of 1, that the front of all evaluated
configurations of all runs has more than that of the trials so far. Evaluations and finished runs are kept in the output
folder and not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from qspinn_optuna import MemoryAwareSampler, QuantizationSpace, Scheme, SupervisedWorkload, fit, open_study
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import LabeledImages
from qspinn_optuna.datasets.mnist import mnist_from_folder
from qspinn_optuna.significance import Sensitivity, measure_sensitivity, record_sensitivity
from qspinn_optuna.tables import format_table
from qspinn_optuna.workloads import last_counts
from searching.fronts import Front
from searching.processes import in_processes

CONTESTANTS = ("without", "with", "reversed")

SIDE, STEPS = 14, 4
TRAINED, MEASURED, TRUE = 5_000, 1_000, 5_000
"""Digits to train with, to measure a configuration with, and to know its accuracy by."""

FLOOR, CHANCE = 0.03, 0.1
"""Accuracy that may be lost, and that of guessing."""

MARKS = (5, 10, 15, 25, 40)
"""Trials after which the table tells."""

NEAR = 0.002
"""Difference of hypervolume that counts as none."""


def convolution(channels: int, to: int) -> layer.Conv2d:
    """3 x 3, with weights large enough for spikes to pass on."""
    made = layer.Conv2d(channels, to, 3, padding=1, bias=False)
    made.weight.data.mul_(2)
    return made


class Plain(nn.Module):
    """Four convolutions of integrate-and-fire neurons."""

    def __init__(self) -> None:
        super().__init__()
        fire = partial(neuron.IFNode, detach_reset=True, surrogate_function=surrogate.ATan())
        self.layers = nn.Sequential(
            *(convolution(1, 12), fire(), convolution(12, 12), fire(), layer.MaxPool2d(2)),
            *(convolution(12, 24), fire(), layer.MaxPool2d(2), convolution(24, 24), fire()),
            *(layer.Flatten(), layer.Linear(24 * (SIDE // 4) ** 2, 10, bias=False)),
        )
        functional.set_step_mode(self, "m")

    def forward(self, images: Tensor) -> Tensor:
        """Scores of [batch, 1, side, side], [steps, batch, classes]."""
        scores: Tensor = self.layers(images.expand(STEPS, *images.shape))
        return scores


class Block(nn.Module):
    """Two convolutions beside which spikes pass on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        fire = partial(neuron.LIFNode, decay_input=False, detach_reset=True, surrogate_function=surrogate.ATan())
        self.first, self.fire1 = convolution(channels, channels), fire()
        self.second, self.fire2 = convolution(channels, channels), fire()

    def forward(self, spikes: Tensor) -> Tensor:
        """As many channels of the same size."""
        return torch.maximum(spikes, self.fire2(self.second(self.fire1(self.first(spikes)))))


class Residual(nn.Module):
    """Four residual blocks of leaky integrate-and-fire neurons."""

    def __init__(self, channels: int = 10) -> None:
        super().__init__()
        self.stem = convolution(1, channels)
        self.fire = neuron.LIFNode(decay_input=False, detach_reset=True, surrogate_function=surrogate.ATan())
        self.early = nn.Sequential(Block(channels), Block(channels))
        self.pool = layer.MaxPool2d(2)
        self.late = nn.Sequential(Block(channels), Block(channels))
        self.readout = nn.Sequential(
            layer.AvgPool2d(2), layer.Flatten(), layer.Linear(channels * (SIDE // 4) ** 2, 10, bias=False)
        )
        functional.set_step_mode(self, "m")

    def forward(self, images: Tensor) -> Tensor:
        """Scores of [batch, 1, side, side], [steps, batch, classes]."""
        spikes = self.fire(self.stem(images.expand(STEPS, *images.shape)))
        scores: Tensor = self.readout(self.late(self.pool(self.early(spikes))))
        return scores


NETWORKS = {"plain": Plain, "residual": Residual}


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of MNIST")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--seeds", type=positive, default=10, help="studies of each kind")
    parser.add_argument("--trials", type=positive, default=40, help="of a study")
    parser.add_argument("--no-floor", action="store_true", help="the whole front counts, not that above a floor")
    parser.add_argument("--processes", type=positive, default=2, help="networks at once")
    parser.add_argument(
        "--output", type=Path, default=Path("sensitivity-results"), help="folder of evaluations and runs"
    )
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for lines in in_processes(partial(rows_of, arguments), arguments.networks, arguments.processes):
        print("\n".join(lines))


def rows_of(arguments: argparse.Namespace, name: str) -> list[str]:
    """All runs of a network, and what to print of them."""
    bench = Bench(name, arguments.data_dir, arguments.output, with_floor=not arguments.no_floor)
    runs: dict[str, list[list[list[float]]]] = defaultdict(list)
    for seed in range(arguments.seeds):
        for contestant in arguments.contestants:
            runs[contestant].append(bench.run(contestant, seed, arguments.trials))
    return bench.table(runs)


class Bench:
    """A trained network, and its studies.

    Args:
        name: Of the network.
        data_dir: Folder of MNIST.
        output: Folder of what is kept.
        with_floor: Whether studies have an accuracy floor.
    """

    def __init__(self, name: str, data_dir: Path, output: Path, *, with_floor: bool) -> None:
        digits = mnist_from_folder(data_dir)
        self.name = name
        self.workload = workload_of(name, digits.train, output)
        self.unseen = batches(digits.test[:TRUE], size=500)
        self.space = QuantizationSpace(self.workload.parameters, bits=(1, 8), schemes=(Scheme.PTQ,))
        self.drop = FLOOR if with_floor else None
        self.evaluations = Lines(output / f"{name}-evaluations.jsonl")
        self.runs = Lines(output / f"{name}-{'floor' if with_floor else 'open'}.jsonl")

    def run(self, contestant: str, seed: int, trials: int) -> list[list[float]]:
        """Memory in KiB, accuracy and true accuracy of every trial of a study."""
        key = f"{contestant} {seed} {trials}"
        if key not in self.runs.kept:
            sampler = MemoryAwareSampler(self.space, seed=seed)
            study = open_study(key, None, self.space, sampler, self.workload, accuracy_drop=self.drop)
            if contestant != "without":
                record_sensitivity(study, self.sensitivity if contestant == "with" else reversed_of(self.sensitivity))
            found: list[list[float]] = []
            for _ in range(trials):
                trial = study.ask()
                found.append(self.evaluate(trial))
                study.tell(trial, found[-1][:2])
            self.runs.keep(key, found)
        values: list[list[float]] = self.runs.kept[key]
        return values

    def evaluate(self, trial: optuna.Trial) -> list[float]:
        """Memory in KiB, accuracy and true accuracy of a trial's configuration."""
        config = self.space.suggest(trial)
        key = json.dumps(self.space.params(config), sort_keys=True)
        if key not in self.evaluations.kept:
            correct, seen = last_counts(self.workload.evaluate(config, 0))
            true = self.workload.accuracy_of(self.workload.quantize(config, 0), self.unseen)
            self.evaluations.keep(key, [self.space.footprint(config).kib, correct / seen, true])
        values: list[float] = self.evaluations.kept[key]
        return values

    @cached_property
    def sensitivity(self) -> Sensitivity:
        """The network's own."""
        return measure_sensitivity(self.workload, self.space)

    def table(self, runs: dict[str, list[list[list[float]]]]) -> list[str]:
        """What is missing after some trials, with standard errors, times 1,000."""
        everything = [values for some in runs.values() for one in some for values in one]
        widest = max(memory for memory, *_ in everything)
        baseline = self.workload.accuracy_of(self.workload.baseline_network, self.unseen)
        floor = CHANCE if self.drop is None else baseline - self.drop

        def volume(values: list[list[float]]) -> float:
            memory, _, true = np.array(values).T
            return Front.of(memory, true).hypervolume(widest, floor)

        best = volume(everything)
        rows, means = [], {}
        for contestant, some in runs.items():
            missing = [[best - volume(one[:end]) for end in range(1, len(one) + 1)] for one in some]
            means[contestant] = np.mean(missing, axis=0)
            marks = [mark for mark in MARKS if mark <= len(means[contestant])]
            rows.append([contestant, *(_with_error([1_000 * one[mark - 1] for one in missing]) for mark in marks)])
        sensitivity = self.sensitivity
        cost = sensitivity.samples / MEASURED
        lines = [
            f"\n{self.name}: {len(self.space.widths)} widths, float {baseline:.2%} of the unseen digits; sensitivity "
            f"from {sensitivity.networks} networks on {sensitivity.samples:,} samples, or {cost:.1f} evaluations",
            format_table(["", *(f"{mark} trials" for mark in marks)], rows),
        ]
        if {"with", "without"} <= means.keys():
            enough = means["without"][-1] + NEAR
            reached = next((place for place, mean in enumerate(means["with"], 1) if mean <= enough), None)
            trials = "not reached" if reached is None else f"{reached} trials"
            lines.append(f"What {len(means['without'])} trials reach without it, with it: {trials}.")
        return lines


class Lines:
    """Values by key, kept in a file, a line each.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text() if path.exists() else ""
        # An interrupted run may have left half of a line.
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole)
        self.kept: dict[str, Any] = dict(map(json.loads, whole.splitlines()))

    def keep(self, key: str, value: Any) -> None:
        """Add a value."""
        self.kept[key] = value
        with self.path.open("a") as file:
            file.write(json.dumps([key, value]) + "\n")


def workload_of(name: str, digits: LabeledImages, output: Path) -> SupervisedWorkload:
    """The network, trained once."""
    training, validation = digits[:TRAINED], digits[TRAINED : TRAINED + MEASURED]
    train = partial(fit, batches=batches(training, size=50, shuffle=True), progress=False)
    return SupervisedWorkload(
        NETWORKS[name],
        train=partial(train, epochs=8, learning_rate=2e-3),
        calibration=batches(training[:500], size=100),
        validation=batches(validation, size=250),
        seed=11,
        cache=output / "networks",
    )


def batches(digits: LabeledImages, *, size: int, shuffle: bool = False) -> DataLoader[tuple[Tensor, ...]]:
    """Digits of half the resolution, each pixel 0 or 1, [batch, 1, side, side]."""
    pixels = digits.images.reshape(-1, SIDE, 2, SIDE, 2).mean(axis=(2, 4))
    spikes = torch.from_numpy(pixels > 80).float()[:, None]
    return DataLoader(
        TensorDataset(spikes, torch.tensor(digits.labels, dtype=torch.long)), batch_size=size, shuffle=shuffle
    )


def reversed_of(sensitivity: Sensitivity) -> Sensitivity:
    """What matters most is expected to matter least, and the other way round."""
    names = [name for name, _ in sensitivity.most_sensitive(len(sensitivity.losses))]
    return Sensitivity({name: sensitivity.losses[other] for name, other in zip(names, reversed(names), strict=True)})


def _with_error(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} +- {statistics.stdev(values) / len(values) ** 0.5:.1f}"


if __name__ == "__main__":
    main()
