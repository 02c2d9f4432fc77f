"""Is a share p of the models under the floor, of which it is said that they are with probability p?

A thousand simulated studies each of two kinds, in which the true accuracies are known: trials at random, and a search
that goes on from the smallest model that reached the floor. Once the smallest model that reaches the floor is chosen,
once the three smallest are measured again on as many fresh samples. With `--study`, also a thousand parts of the
answers of a real study that tells which samples its models have right: a part of the samples is for the choice, the
truth is the accuracy on all others.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import optuna
from choosing.choices import KnownChoice, KnownStudy, choice_in, confirmed_choice_in
from choosing.simulated import simulated_study

from qspinn_optuna.selection.risk import Contest
from qspinn_optuna.study import TrialRecord, baseline_right_of, finished_trials
from searching.markdown import markdown_header, markdown_row

EDGES = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
"""Of the bins of what is said."""

DROPS = (0.005, 0.01, 0.02)
"""What a model may lose, in parts of a real study."""


def main() -> None:
    """Print a table for each kind of studies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--storage", default="sqlite:///qspinn.db", help="URL of the database of the real study")
    parser.add_argument("--study", help="name of a real study")
    parser.add_argument("--samples", type=int, default=1_000, help="of the real study, for a choice")
    arguments = parser.parse_args()
    kinds: dict[str, Callable[[np.random.Generator], KnownStudy]] = {
        "Trials at random": partial(simulated_study, downwards=False),
        "A search that goes downwards": partial(simulated_study, downwards=True),
    }
    if arguments.study is not None:
        study = optuna.load_study(study_name=arguments.study, storage=arguments.storage)
        kinds[f"{arguments.samples:,} samples of study {study.study_name}"] = parts_of(study, arguments.samples)
    for name, make in kinds.items():
        for how, choose in (("", choice_in), (", three confirmed", confirmed_choice_in)):
            generator = np.random.default_rng(arguments.seed)
            choices = list(known_choices(make, choose, generator, arguments.studies))
            print(f"{name}{how}\n\n{table(choices)}\n", flush=True)


def known_choices(
    make: Callable[[np.random.Generator], KnownStudy],
    choose: Callable[[KnownStudy], KnownChoice | None],
    generator: np.random.Generator,
    count: int,
) -> Iterator[KnownChoice]:
    """Choices of studies in which there is something to choose."""
    while count > 0:
        choice = choose(make(generator))
        if choice is not None:
            count -= 1
            yield choice


def parts_of(study: optuna.Study, samples: int) -> Callable[[np.random.Generator], KnownStudy]:
    """Draws parts of the answers of a real study.

    Raises:
        ValueError: If the study does not tell which samples are right, or has not enough of them.
    """
    reference = baseline_right_of(study)
    records = [TrialRecord(trial) for trial in finished_trials(study)]
    if reference is None or len(reference) < 2 * samples:
        raise ValueError(f"--samples must be at most half of the study's, got {samples}; or they are not known.")
    known = [record for record in records if record.right is not None and record.duplicate_of is None]
    right = np.stack([record.right for record in known if record.right is not None])
    memory = np.array([record.memory_kib for record in known])

    def draw(generator: np.random.Generator) -> KnownStudy:
        order = generator.permutation(len(reference))
        seen, others = order[:samples], order[samples:]
        # As a search of fewer trials would have it.
        models = np.flatnonzero(generator.random(len(right)) < 0.5)
        models = models if len(models) else np.arange(len(right))
        contest = Contest(right[models][:, seen], reference[seen], memory[models], float(generator.choice(DROPS)))
        losses = reference[others].mean() - right[models][:, others].mean(axis=1)
        return KnownStudy(contest, losses)

    return draw


def table(choices: Sequence[KnownChoice]) -> str:
    """Of what is said, by bins: the share that is under the floor, and the number of choices."""
    under = np.array([choice.is_under for choice in choices])
    said = np.array([list(choice.risks.values()) for choice in choices]).T
    rows = [markdown_header(["said", *choices[0].risks])]
    for low, high in itertools.pairwise(EDGES):
        cells = []
        for risks in said:
            within = (risks >= low) & ((risks < high) | (high == 1))
            if not within.any():
                cells.append("-")
                continue
            cells.append(f"{under[within].mean():.0%} ({risks[within].mean():.0%} said, {within.sum()})")
        rows.append(markdown_row([f"{low:.0%} to {high:.0%}", *cells]))
    means = [f"{under.mean():.0%} ({risks.mean():.0%} said)" for risks in said]
    losses = [f"{_log_loss(risks, under):.3f}" for risks in said]
    return "\n".join([*rows, markdown_row(["all", *means]), markdown_row(["log loss", *losses])])


def _log_loss(risks: np.ndarray, under: np.ndarray) -> float:
    risks = np.clip(risks, 0.001, 0.999)
    return float(-np.where(under, np.log(risks), np.log(1 - risks)).mean())


if __name__ == "__main__":
    main()
