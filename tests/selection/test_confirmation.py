"""Candidates measured again: which, how often, and what is chosen by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
import pytest

from qspinn_optuna import ParetoFront, QuantizationConfig, QuantizationObjective, SmallestSelector, open_study
from qspinn_optuna.selection import BudgetSelector, Selector, TradeOffSelector, confirm
from qspinn_optuna.study import confirmation_of, confirmations_of, finished_trials
from qspinn_optuna.workloads import Fresh, last_counts
from tests.fake_workload import SEEN, AnsweringWorkload, FakeWorkload, fake_space

SPACE = fake_space()
DROP = 0.1

MANY = tuple((weight, membrane) for weight in (8, 4, 6, 5, 7, 2) for membrane in (6, 8))
FEW = MANY[:8]
"""Widths of trials; those from 4 bits reach the floor."""


class Lucky(AnsweringWorkload):
    """The narrowest models that reach the floor do not reach it again."""

    def evaluate_fresh(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        counts = last_counts(super().evaluate_fresh(config, seed))
        yield counts if config["weight"].format.bits > 5 else (counts[0] // 2, SEEN)


def searched(
    workload: AnsweringWorkload, url: str | None = None, widths: Sequence[tuple[int, int]] = MANY
) -> optuna.Study:
    study = open_study("a", url, SPACE, optuna.samplers.RandomSampler(seed=0), workload, accuracy_drop=DROP)
    for weight, membrane in widths:
        params = {"scheme": "ptq", "rounding": "nearest", "bits.weight": weight, "bits.membrane": membrane}
        study.enqueue_trial(params)
    study.optimize(QuantizationObjective(workload, SPACE), n_trials=len(widths))
    return study


def feasible(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """One trial of each feasible configuration, the smallest first."""
    seen: dict[str, optuna.trial.FrozenTrial] = {}
    for trial in finished_trials(study):
        if trial.values[1] >= 0.95 - DROP and trial.user_attrs.get("duplicate_of") is None:
            seen.setdefault(str(trial.user_attrs["config"]), trial)
    return sorted(seen.values(), key=lambda trial: (trial.values[0], -trial.values[1]))


def test_the_smallest_feasible_models_are_measured_once_each_and_the_float_network_once() -> None:
    workload = AnsweringWorkload()
    study = searched(workload)
    told: list[str] = []
    confirmed = confirm(study, workload, SmallestSelector(), 3, tell=told.append)
    measured = [config for config, _ in workload.measured_again]
    assert measured[0] is None
    expected = [QuantizationConfig.from_dict(trial.user_attrs["config"]) for trial in feasible(study)]
    sizes = [SPACE.footprint(config).kib for config in measured[1:] if config is not None]
    # Of models of a size, the more accurate one.
    assert sizes == [SPACE.footprint(config).kib for config in expected[:3]]
    assert confirmed.evaluations == 4
    assert "3 models again and the float network, fresh samples" in told[0]
    assert len(told) == 5


def test_what_is_known_is_not_measured_again_also_after_an_interruption(tmp_path: Path) -> None:
    class Interrupted(AnsweringWorkload):
        def evaluate_fresh(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
            if len(self.measured_again) == 2:
                raise KeyboardInterrupt
            yield from super().evaluate_fresh(config, seed)

    url = f"sqlite:///{tmp_path / 'studies.db'}"
    broken = Interrupted()
    study = searched(broken, url, FEW)
    with pytest.raises(KeyboardInterrupt):
        confirm(study, broken, SmallestSelector(), 3)
    workload = AnsweringWorkload()
    again = open_study("a", url, SPACE, workload=workload)
    confirmed = confirm(again, workload, SmallestSelector(), 3)
    assert (confirmed.evaluations, len(workload.measured_again)) == (2, 2)
    once_more = confirm(again, workload, SmallestSelector(), 3)
    assert (once_more.evaluations, len(workload.measured_again)) == (0, 2)
    assert once_more.choice == confirmed.choice
    assert list(confirmations_of(again, Fresh.SAMPLES)) == sorted(confirmed.counts)
    for number, counts in confirmed.counts.items():
        kept = confirmation_of(again, number, Fresh.SAMPLES)
        assert kept is not None
        assert kept.right is not None
        assert (kept.counts, kept.right.sum()) == (counts, counts.correct)
    # Four instead of three: one more.
    assert confirm(again, workload, SmallestSelector(), 4).evaluations == 1


def test_what_was_measured_on_other_samples_is_measured_again() -> None:
    first, other = AnsweringWorkload(), AnsweringWorkload(fresh_fingerprint="others")
    study = searched(first, widths=FEW)
    confirmed = confirm(study, first, SmallestSelector(), 2)
    known = [confirmation_of(study, number, Fresh.SAMPLES) for number in confirmed.counts]
    assert None not in known
    assert confirm(study, other, SmallestSelector(), 1).evaluations == 2
    # One model and the float network by now; the second model was measured on what the float network was not.
    assert len(confirmations_of(study, Fresh.SAMPLES)) == 1
    assert confirm(study, other, SmallestSelector(), 2).evaluations == 1


def test_the_choice_is_the_smallest_that_reaches_the_floor_again() -> None:
    workload = Lucky()
    study = searched(workload)
    confirmed = confirm(study, workload, SmallestSelector(), 6)
    floor = workload.fresh_baseline.right.mean() - DROP
    reaching = [one for one in confirmed.candidates if confirmed.counts[one.trial_number].accuracy >= floor - 1e-9]
    assert 0 < len(reaching) < 6
    assert confirmed.choice.candidate == min(reaching, key=lambda one: one.memory_kib)
    # The candidate is that of the trial, with the accuracy that the study searched by.
    assert confirmed.choice.accuracy == study.trials[confirmed.choice.trial_number].values[1]
    assert "on 1,000 fresh samples" in confirmed.choice.rule
    assert confirmed.before.trial_number != confirmed.choice.trial_number
    shown = str(confirmed)
    assert (
        f"The choice was trial {confirmed.before.trial_number}, and is trial {confirmed.choice.trial_number}" in shown
    )
    assert shown.count("missed") == 6 - len(reaching)
    assert max(map(len, shown.splitlines())) <= 60


def test_if_none_reaches_the_floor_again_the_most_accurate_is_named_and_the_report_says_so() -> None:
    workload = Lucky()
    confirmed = confirm(searched(workload), workload, SmallestSelector(), 1)
    assert not confirmed.is_confirmed
    assert "none of which reached" in confirmed.choice.rule
    assert "--confirm 2" in str(confirmed)


def test_other_rules_confirm_what_they_would_take_next() -> None:
    workload = AnsweringWorkload()
    study = searched(workload)
    selectors: dict[float, Selector] = {0.7: BudgetSelector(0.7), 100.0: TradeOffSelector(0.0)}
    for budget, selector in selectors.items():
        confirmed = confirm(study, workload, selector, 4)
        fitting = [trial for trial in feasible(study) if trial.values[0] <= budget]
        best = sorted(fitting, key=lambda trial: (-trial.values[1], trial.values[0], trial.number))[:4]
        assert {one.trial_number for one in confirmed.candidates} == {trial.number for trial in best}
        assert len(best) == 4


def test_there_may_be_fewer_candidates_than_are_asked_for() -> None:
    workload = AnsweringWorkload()
    study = searched(workload)
    confirmed = confirm(study, workload, SmallestSelector(), 500)
    assert len(confirmed.candidates) == len(feasible(study))


def test_fresh_draws_of_networks_that_draw_nothing_confirm_nothing() -> None:
    class Certain(AnsweringWorkload):
        def evaluate_fresh(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
            yield from self.evaluate(config, seed)

    workload = Certain(Fresh.DRAWS)
    confirmed = confirm(searched(workload), workload, SmallestSelector(), 2)
    assert confirmed.is_same
    assert "nothing is confirmed" in str(confirmed)
    drawing = AnsweringWorkload(Fresh.DRAWS)
    assert not confirm(searched(drawing), drawing, SmallestSelector(), 2).is_same


def test_what_cannot_be_confirmed_is_refused() -> None:
    workload = AnsweringWorkload()
    study = searched(workload)
    with pytest.raises(TypeError, match="has no fresh, fresh_fingerprint, fresh_baseline"):
        confirm(study, FakeWorkload(), SmallestSelector(), 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count must be at least 1"):
        confirm(study, workload, SmallestSelector(), 0)
    empty = open_study("b", None, SPACE, workload=workload, accuracy_drop=DROP)
    with pytest.raises(ValueError, match="no finished trial"):
        confirm(empty, workload, SmallestSelector(), 2)
    assert ParetoFront.from_study(study)
