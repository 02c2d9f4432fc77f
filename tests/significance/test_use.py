"""Uses of a report: narrower spaces, first trials, and measurements for the sampler."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest

from qspinn_optuna import MemoryAwareSampler, ParetoFront, QuantizationObjective, TradeOffSelector, open_study
from qspinn_optuna.significance import (
    enqueue_promising,
    measure_significance,
    record_significance,
    recorded_significance,
    significance_from_study,
)
from qspinn_optuna.study import measurements, set_accuracy_floor
from tests.fake_workload import FakeWorkload, fake_space
from tests.significance.networks import Cliffs, cliff_space


def test_a_narrowed_space_holds_what_may_be_needed() -> None:
    space = cliff_space()
    narrowed = space.narrow(measure_significance(Cliffs(), space))
    widths = {name: (d.low, d.high) for name, d in narrowed.distributions.items() if name.startswith("bits.")}  # type: ignore[attr-defined]
    # From one bit below the smallest of all roundings to three above the largest; truncation takes one bit more.
    assert widths == {"bits.weight": (1, 6), "bits.membrane": (8, 13), "bits.theta": (5, 10)}
    assert space.cardinality == 2 * 3 * 16**3
    assert narrowed.cardinality == 2 * 3 * 6**3
    config = narrowed.config(
        {"scheme": "itq", "rounding": "nearest", "bits.weight": 2, "bits.membrane": 9, "bits.theta": 6}
    )
    assert space.config(space.params(config)) == config
    with pytest.raises(ValueError, match=r"bits\.weight"):
        narrowed.config({"scheme": "itq", "rounding": "nearest", "bits.weight": 9, "bits.membrane": 9, "bits.theta": 6})


def test_a_narrowed_space_holds_the_best_model_of_the_whole() -> None:
    workload, space = Cliffs(), cliff_space((1, 12))
    narrowed = space.narrow(measure_significance(workload, space))
    everything = []
    for scheme in space.schemes:
        for rounding in space.roundings:
            for weight in range(1, 13):
                for membrane in range(1, 13):
                    for theta in range(1, 13):
                        params = {"bits.weight": weight, "bits.membrane": membrane, "bits.theta": theta}
                        config = space.config({"scheme": scheme.value, "rounding": rounding.value, **params})
                        if workload.accuracy(config) >= workload.baseline - 0.01:
                            everything.append((space.footprint(config).kib, params))
    _, best = min(everything, key=lambda entry: entry[0])
    narrowed.config({"scheme": "ptq", "rounding": "nearest", **best})


def test_reports_that_do_not_fit() -> None:
    space = fake_space()
    with pytest.raises(ValueError, match=r"^report\b"):
        space.narrow(measure_significance(Cliffs(), cliff_space()))
    with pytest.raises(ValueError, match=r"\(2, 8\).*got \(9, 12\)"):
        space.narrow(SimpleNamespace(worth_searching={"weight": (9, 12)}))


def test_first_trials_have_what_suffices_alone_and_up_to_two_bits_more() -> None:
    space = cliff_space()
    report = measure_significance(Cliffs(), space)
    study = open_study("seeded", None, space)
    assert enqueue_promising(study, space, report) == 3 * 6
    assert enqueue_promising(study, space, report) == 0
    study.optimize(QuantizationObjective(Cliffs(), space), n_trials=18)
    first = study.trials[1].params
    assert first == {"scheme": "ptq", "rounding": "nearest", "bits.weight": 2, "bits.membrane": 9, "bits.theta": 6}
    assert study.trials[17].params["bits.membrane"] == 11


def test_a_study_keeps_a_report_and_its_sampler_learns_from_it(tmp_path: Path) -> None:
    space, storage = cliff_space(), f"sqlite:///{tmp_path}/study.db"
    report = measure_significance(Cliffs(), space)
    study = open_study("kept", storage, space, MemoryAwareSampler(space, seed=0))
    assert recorded_significance(study) is None
    record_significance(study, space, report)
    record_significance(study, space, report)
    again = open_study("kept", storage, space, MemoryAwareSampler(space, seed=0))
    assert recorded_significance(again) == report
    assert len(measurements(again)) == report.evaluations


def regret(study: optuna.Study) -> float:
    """Ratio of the chosen model's memory to the smallest possible, which is mostly 1 bit for each weight."""
    choice = TradeOffSelector(mu=1.0).select(ParetoFront.from_study(study))
    return choice.memory_kib


def test_a_sampler_that_knows_the_report_finds_small_models_sooner() -> None:
    space = cliff_space()
    report = measure_significance(Cliffs(), space)
    found = {}
    for informed in (False, True):
        sizes = []
        for seed in range(3):
            study = open_study("informed", None, space, MemoryAwareSampler(space, seed=seed))
            set_accuracy_floor(study, 0.89)
            if informed:
                record_significance(study, space, report)
            study.optimize(QuantizationObjective(Cliffs(), space), n_trials=4)
            try:
                sizes.append(regret(study))
            except ValueError:  # no feasible trial yet
                sizes.append(4.0)
        found[informed] = sum(sizes)
    assert found[True] < found[False]


def test_a_narrowed_study_learns_from_what_fits_in() -> None:
    space = cliff_space()
    report = measure_significance(Cliffs(), space)
    narrowed = space.narrow(report)
    study = open_study("narrowed", None, narrowed, MemoryAwareSampler(narrowed, seed=0))
    record_significance(study, narrowed, report)
    kept = measurements(study)
    assert kept
    for measurement in kept:
        narrowed.config(measurement.params)
    study.optimize(QuantizationObjective(Cliffs(), narrowed), n_trials=3)


def finished_study(trials: int = 40) -> optuna.Study:
    space = fake_space()
    study = open_study("finished", None, space, optuna.samplers.RandomSampler(seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=trials)
    return study


def test_a_finished_study_tells_too() -> None:
    report = significance_from_study(finished_study(), tolerance=0.02)
    assert report.parameters == ("weight", "membrane")
    assert set(report.importances) == {"scheme", "rounding", "bits.weight", "bits.membrane"}
    assert sum(report.importances[f"bits.{name}"] for name in report.parameters) > 0.8
    workload, space = FakeWorkload(), fake_space()
    for curve in report.curves:
        for point in curve.points:
            params = space.params(space.uniform(8, curve.scheme, curve.rounding))
            *_, (correct, seen) = workload.evaluate(space.config({**params, f"bits.{curve.parameter}": point.width}), 0)
            assert point.accuracy == pytest.approx(correct / seen, abs=0.05)
            assert point.low <= point.accuracy <= point.high


def test_studies_that_cannot_tell() -> None:
    with pytest.raises(ValueError, match=r"got 4\b"):
        significance_from_study(finished_study(4))
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 0.5), n_trials=12)
    with pytest.raises(ValueError, match="another program"):
        significance_from_study(study)
    with pytest.raises(ValueError, match=r"got directions \['minimize'\]"):
        significance_from_study(optuna.create_study())
    with pytest.raises(ValueError, match=r"^tolerance\b.*got -1"):
        significance_from_study(finished_study(12), tolerance=-1)
    with pytest.raises(ValueError, match="confidence"):
        significance_from_study(finished_study(12), confidence=1.5)
