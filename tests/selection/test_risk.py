"""The risk of a choice: against draws of the posterior, scipy, a bootstrap sample by sample, and simulated studies."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from choosing.choices import KnownStudy, choice_in, confirmed_choice_in
from choosing.simulated import simulated_study
from numpy.typing import NDArray
from risk_calibration import known_choices, table
from scipy import stats

from qspinn_optuna import ParetoFront, QuantizationObjective, SmallestSelector, open_study
from qspinn_optuna.selection import Risk, StudyRisk
from qspinn_optuna.selection.risk import Contest, corrected, paired_risk, unpaired_risk
from qspinn_optuna.study import Confirmation, Counts, record_confirmation, set_accuracy_floor
from qspinn_optuna.workloads import Answers, Fresh
from tests.fake_workload import SEEN, AnsweringWorkload, FakeWorkload, fake_space

SPACE = fake_space()


@pytest.mark.parametrize(
    ("lost", "gained", "samples", "drop"),
    [
        (30, 29, 1_000, 0.01),
        (5, 0, 250, 0.01),
        (0, 0, 250, 0.005),
        (350, 297, 10_000, 0.01),
        (3, 9, 40, 0.0),
        (8, 2, 10, 0.3),
    ],
)
def test_the_paired_risk_is_that_of_draws_of_the_posterior(lost: int, gained: int, samples: int, drop: float) -> None:
    counts = [lost + 0.5, gained + 0.5, samples - lost - gained + 0.5]
    draws = np.random.default_rng(0).dirichlet(counts, 400_000)
    share = (draws[:, 0] - draws[:, 1] > drop).mean()
    assert paired_risk(lost, gained, samples, drop) == pytest.approx(share, abs=0.004)


@pytest.mark.parametrize(("lost", "gained"), [(12, 4), (30, 25), (7, 7), (2, 11)])
def test_without_a_drop_it_is_close_to_the_mid_p_value_of_mcnemars_test(lost: int, gained: int) -> None:
    flips = stats.binom(lost + gained, 0.5)
    mid_p = flips.cdf(gained) - flips.pmf(gained) / 2
    assert 1 - paired_risk(lost, gained, 500, 0.0) == pytest.approx(1 - (1 - mid_p), abs=0.02)
    assert paired_risk(lost, gained, 500, 0.0) + paired_risk(gained, lost, 500, 0.0) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("correct", "samples", "floor"), [(870, 1_000, 0.86), (0, 10, 0.2), (10, 10, 0.9), (87, 100, 1.2)]
)
def test_the_unpaired_risk_is_the_integral_of_the_likelihood(correct: int, samples: int, floor: float) -> None:
    # Of equal steps of the arcsine, in which Jeffreys' prior is flat.
    accuracy = np.sin((np.arange(200_000) + 0.5) / 200_000 * np.pi / 2) ** 2
    weight = np.exp(
        stats.binom.logpmf(correct, samples, accuracy) - stats.binom.logpmf(correct, samples, correct / samples)
    )
    assert unpaired_risk(correct, samples, floor) == pytest.approx(
        weight[accuracy < floor].sum() / weight.sum(), abs=1e-4
    )


@pytest.mark.parametrize("counts", [(-1, 0, 5), (0, -1, 5), (3, 3, 5), (0, 0, 0)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="counts must be"):
        paired_risk(*counts, 0.01)
    with pytest.raises(ValueError, match="counts must be"):
        unpaired_risk(6, 5, 0.5)


def contest(models: int = 6, samples: int = 400, drop: float = 0.02) -> Contest:
    generator = np.random.default_rng(1)
    difficulty, reference = generator.standard_normal(samples), generator.standard_normal(samples)
    answers = [difficulty + 0.4 * generator.standard_normal(samples) < 1.0 + 0.06 * k for k in range(models)]
    return Contest(np.stack(answers), difficulty + 0.4 * reference < 1.3, np.arange(models, dtype=float), drop)


def optimism_by_resampling(of: Contest, times: int) -> float:
    """The same by its definition: samples are drawn again, and the choice is made again by hand."""
    generator = np.random.default_rng(2)
    leads: NDArray[np.float64] = of.right.astype(float) - of.reference
    samples, found = leads.shape[1], []
    for _ in range(times):
        drawn = leads[:, generator.integers(0, samples, samples)].mean(axis=1)
        for model in sorted(range(len(leads)), key=lambda model: of.memory[model]):
            if drawn[model] >= -of.drop:
                found.append((drawn[model] - leads[model].mean()) / (leads[model].std() / np.sqrt(samples)))
                break
    return float(np.mean(found))


def test_the_optimism_is_that_of_samples_drawn_again() -> None:
    of = contest()
    assert of.optimism() == pytest.approx(optimism_by_resampling(of, 2_000), abs=0.08)
    assert of.optimism() > 0.3
    shuffled = np.random.default_rng(3).permutation(len(of.memory))
    other = Contest(of.right[shuffled], of.reference, of.memory[shuffled], of.drop)
    assert other.optimism() == pytest.approx(of.optimism(), abs=0.06)


def test_who_had_no_competition_had_no_luck_and_where_nobody_is_chosen_there_is_none() -> None:
    of = contest()
    alone = Contest(of.right[-1:], of.reference, of.memory[-1:], 0.2)
    assert alone.optimism() == pytest.approx(0, abs=0.05)
    assert Contest(~of.right[:1], of.reference, of.memory[:1], 0.02).optimism() == 0


def test_optimism_raises_a_risk_and_the_order_of_risks_stays() -> None:
    risks = [0.0, 0.01, 0.1, 0.3, 0.5, 0.9, 1.0]
    plain, shifted = ([corrected(risk, optimism) for risk in risks] for optimism in (0.0, 0.5))
    assert plain == sorted(plain)
    assert all(more > less for more, less in zip(shifted[1:-1], plain[1:-1], strict=True))
    assert corrected(0.5, 0.0) == pytest.approx(0.5)
    assert corrected(stats.norm.sf(1.7), 0.3) == pytest.approx(stats.norm.sf(1.4 / np.sqrt(2)))


def test_of_the_choices_said_to_be_under_the_floor_as_many_are() -> None:
    generator = np.random.default_rng(0)

    def study(draws: np.random.Generator) -> KnownStudy:
        return simulated_study(draws, downwards=True)

    choices = list(known_choices(study, choice_in, generator, 150))
    share = np.mean([choice.is_under for choice in choices])
    error = np.sqrt(share * (1 - share) / len(choices))
    naive, allowed = (
        np.mean([choice.risks[name] for choice in choices]) for name in ("paired", "paired, choice allowed for")
    )
    assert abs(allowed - share) < 2.5 * error
    assert naive < share - 3 * error
    # Also among those that are said to be rather safe.
    safe = [choice for choice in choices if choice.risks["paired, choice allowed for"] < 0.3]
    said = [choice.risks["paired, choice allowed for"] for choice in safe]
    happened = np.mean([choice.is_under for choice in safe])
    assert abs(happened - np.mean(said)) < 2.5 * np.sqrt(np.mean(said) / len(safe))
    assert table(choices).count("\n") == 10


def test_a_confirmed_choice_is_one_that_reached_the_floor_twice() -> None:
    generator = np.random.default_rng(4)
    studies = [simulated_study(generator, downwards=False) for _ in range(20)]
    assert any(confirmed_choice_in(study) is not None for study in studies)


# Studies ------------------------------------------------------------------------------------------------------------


def searched(workload: FakeWorkload) -> optuna.Study:
    study = open_study("a", None, SPACE, optuna.samplers.RandomSampler(seed=0), workload, accuracy_drop=0.03)
    study.optimize(QuantizationObjective(workload, SPACE), n_trials=15)
    return study


def test_the_risk_of_a_study_counts_the_samples_that_tell_networks_apart() -> None:
    workload = AnsweringWorkload()
    study = searched(workload)
    choice = SmallestSelector().select(ParetoFront.from_study(study))
    *_, answers = AnsweringWorkload().evaluate(choice.config, 0)
    assert isinstance(answers, Answers)
    pairs = list(zip(workload.baseline_answers.right.tolist(), answers.right.tolist(), strict=True))
    risk = StudyRisk(study).of_trial(choice.trial_number)
    assert isinstance(risk, Risk)
    assert (risk.lost, risk.gained, risk.samples) == (pairs.count((True, False)), pairs.count((False, True)), SEEN)
    assert risk.drop == pytest.approx(0.03)
    assert risk.uncorrected == paired_risk(pairs.count((True, False)), pairs.count((False, True)), SEEN, risk.drop)
    assert risk.probability > risk.uncorrected
    assert f"lost {risk.lost}, gained {risk.gained} of 1,000 samples" in str(risk)


def test_a_study_that_knows_counts_only_says_that_its_risk_is_not_paired() -> None:
    study = searched(FakeWorkload())
    choice = SmallestSelector().select(ParetoFront.from_study(study))
    risk = StudyRisk(study).of_trial(choice.trial_number)
    assert risk is not None
    assert risk.probability == pytest.approx(
        stats.beta.cdf(0.92, round(choice.accuracy * SEEN) + 0.5, SEEN - round(choice.accuracy * SEEN) + 0.5)
    )
    assert "not paired" in str(risk)
    assert not risk.is_paired
    set_accuracy_floor(study, None)
    assert StudyRisk(study).of_trial(choice.trial_number) is None


def test_the_floor_of_fresh_samples_follows_the_float_network_on_them() -> None:
    """Where only counts are known; these samples are harder, for both networks."""
    study = searched(FakeWorkload())
    number = SmallestSelector().select(ParetoFront.from_study(study)).trial_number
    record_confirmation(study, None, Confirmation(Fresh.SAMPLES, Counts(800, SEEN), None))
    record_confirmation(study, number, Confirmation(Fresh.SAMPLES, Counts(790, SEEN), None))
    risk = StudyRisk(study).of_trial(number)
    assert risk is not None
    assert risk.probability == pytest.approx(stats.beta.cdf(0.77, 790.5, SEEN - 789.5), abs=1e-3)


def test_fresh_samples_are_added_up_and_fresh_draws_replace_the_old_ones() -> None:
    workload = AnsweringWorkload()
    study = searched(workload)
    number = SmallestSelector().select(ParetoFront.from_study(study)).trial_number
    first = StudyRisk(study).of_trial(number)
    right, reference = np.arange(SEEN) % 10 > 0, np.arange(SEEN) % 20 > 0
    for fresh, samples in ((Fresh.DRAWS, SEEN), (Fresh.SAMPLES, 2 * SEEN)):
        record_confirmation(study, None, Confirmation(fresh, Counts(950, SEEN), reference))
        record_confirmation(study, number, Confirmation(fresh, Counts(900, SEEN), right))
        risk = StudyRisk(study).of_trial(number)
        assert first is not None
        assert risk is not None
        before = (first.lost or 0, first.gained or 0) if fresh is Fresh.SAMPLES else (0, 0)
        assert (risk.lost, risk.gained, risk.samples) == (before[0] + 50, before[1], samples)
        assert risk.fresh is fresh
        assert fresh.value in str(risk)


@pytest.mark.parametrize(("probability", "shown"), [(0.0, "<1%"), (0.014, "1%"), (0.27, "27%"), (0.999, ">99%")])
def test_a_risk_is_never_said_to_be_impossible_or_certain(probability: float, shown: str) -> None:
    assert Risk(probability, probability, 0.01, 100).percent == shown
