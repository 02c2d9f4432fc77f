from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from qspinn_optuna import (
    Family,
    ParameterQuantization,
    ParetoFront,
    QFormat,
    QuantizationConfig,
    QuantizationObjective,
    QuantizationSpace,
    Rounding,
    Scheme,
    open_study,
)
from qspinn_optuna.selection import Choice, KneeSelector, TradeOffSelector, record_choice, recorded_choice
from tests.fake_workload import FakeWorkload, fake_space
from tests.selection.fronts import front_of

MIXED = QuantizationConfig(
    Scheme.ITQ,
    {
        "weight": ParameterQuantization(QFormat(-1, 5, signed=False), Rounding.STOCHASTIC),
        "membrane": ParameterQuantization(QFormat(2, 3), Rounding.NEAREST),
    },
)


@pytest.fixture
def choice() -> Choice:
    """A choice with rivals, and with several formats and roundings."""
    chosen = TradeOffSelector(0.1).select(front_of([(2, 176), (3, 178), (4, 180)]))
    assert len(chosen.rivals) == 2
    return replace(chosen, candidate=replace(chosen.candidate, config=MIXED))


def test_json_rebuilds_the_choice(choice: Choice) -> None:
    rebuilt = Choice.from_dict(json.loads(json.dumps(choice.to_dict())))
    assert rebuilt == choice
    assert rebuilt.config["weight"].format == QFormat(-1, 5, signed=False)
    assert rebuilt.rivals[0].standard_error == choice.rivals[0].standard_error


def test_json_keeps_what_a_report_has_and_why(choice: Choice) -> None:
    data = choice.to_dict()
    assert data.items() >= {**choice.candidate.to_dict(), "reward": choice.reward, "rule": choice.rule}.items()
    assert data["rivals"] == [rival.trial_number for rival in choice.rivals]
    assert QuantizationConfig.from_dict(data["config"]) == MIXED


def test_unknown_samples_stay_unknown() -> None:
    choice = KneeSelector().select(front_of([(2, 176)], samples=None))
    assert Choice.from_dict(choice.to_dict()) == choice


def test_what_a_report_adds_is_ignored(choice: Choice) -> None:
    assert Choice.from_dict({**choice.to_dict(), "test_accuracy": 0.9}) == choice


@pytest.mark.parametrize("name", ["trial", "memory_kib", "samples", "config", "reward", "rule", "rival_candidates"])
def test_a_missing_entry_is_named(choice: Choice, name: str) -> None:
    data = choice.to_dict()
    del data[name]
    with pytest.raises(ValueError, match=rf"^data\b.*got a dict without '{name}'"):
        Choice.from_dict(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trial", "2"),
        ("trial", 1.5),
        ("memory_kib", "4.0"),
        ("accuracy", None),
        ("accuracy", float("nan")),
        ("reward", "0.9"),
        ("rule", None),
        ("rule", 3),
        ("samples", "many"),
        ("config", {"scheme": "itq"}),
        ("config", {"scheme": "itq", "parameters": {"weight": {"format": "Q?", "rounding": "nearest"}}}),
        ("bits", {"weight": 8, "membrane": 6}),
        ("scheme", "ptq"),
        ("rivals", [7]),
        ("rival_candidates", [3]),
        ("rival_candidates", 3),
        ("rival_candidates", []),
    ],
)
def test_a_damaged_entry_is_refused(choice: Choice, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^data\b"):
        Choice.from_dict({**choice.to_dict(), name: value})


@pytest.mark.parametrize("data", [None, [], "choice", 3])
def test_other_values_are_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r"^data\b"):
        Choice.from_dict(data)


def test_a_file_rebuilds_the_choice(choice: Choice, tmp_path: Path) -> None:
    choice.save(tmp_path / "choice.json")
    assert Choice.load(str(tmp_path / "choice.json")) == choice
    assert [path.name for path in tmp_path.iterdir()] == ["choice.json"]


def test_a_file_is_written_whole_or_not_at_all(choice: Choice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "choice.json"
    choice.save(path)

    def fill_the_disk(self: Path, text: str, **_: Any) -> int:
        with self.open("w") as file:
            file.write(text[:20])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        replace(choice, reward=0.1).save(path)
    assert Choice.load(path) == choice
    assert [file.name for file in tmp_path.iterdir()] == ["choice.json"]


def test_a_number_that_json_does_not_know_is_not_written(choice: Choice, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        replace(choice, reward=float("nan")).save(tmp_path / "choice.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1, 2]", b'{"front": []}', b"NaN"])
def test_a_foreign_or_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^path\b.*got '.*other\.json'"):
        Choice.load(path)


def test_half_a_file_is_refused(choice: Choice, tmp_path: Path) -> None:
    path = tmp_path / "choice.json"
    choice.save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"^path\b"):
        Choice.load(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.json"):
        Choice.load(tmp_path / "none.json")


def searched(storage: str | None, space: QuantizationSpace) -> optuna.Study:
    study = open_study("chosen", storage, space, optuna.samplers.RandomSampler(seed=1))
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=12)
    return study


def test_a_study_keeps_its_choice(tmp_path: Path) -> None:
    storage, space = f"sqlite:///{tmp_path / 'qspinn.db'}", fake_space()
    study = searched(storage, space)
    assert recorded_choice(study) is None
    front = ParetoFront.from_study(study)
    chosen = TradeOffSelector(0.01).select(front)
    record_choice(study, KneeSelector().select(front))
    record_choice(study, chosen)

    reloaded = recorded_choice(optuna.load_study(study_name="chosen", storage=storage))
    assert reloaded == chosen
    assert reloaded is not None
    assert reloaded.candidate.samples == 1_000
    assert {spec.family for spec in FakeWorkload.parameters} == {Family.WEIGHT, Family.MEMBRANE}
    assert reloaded.config == space.config(study.trials[chosen.trial_number].params)


def test_a_choice_of_another_study_is_refused(choice: Choice) -> None:
    study = searched(None, fake_space())
    with pytest.raises(ValueError, match=r"^choice\b.*'chosen'.*got trial 99"):
        record_choice(study, replace(choice, candidate=replace(choice.candidate, trial_number=99)))
    with pytest.raises(ValueError, match=r"got directions \['minimize'\]"):
        record_choice(optuna.create_study(), choice)
    with pytest.raises(TypeError, match=r"^choice\b.*got Candidate"):
        record_choice(study, choice.candidate)  # type: ignore[arg-type]
    assert recorded_choice(study) is None


def test_a_damaged_choice_of_a_study_is_refused() -> None:
    study = searched(None, fake_space())
    study.set_user_attr("qspinn:choice", {"trial": 3})
    with pytest.raises(ValueError, match=r"choice of study 'chosen'.*damaged: data\b"):
        recorded_choice(study)


def test_a_choice_is_one_readable_line(choice: Choice) -> None:
    line = f"trial {choice.trial_number}: itq, {choice.compression:.2f}x, {100 * choice.accuracy:.2f} %"
    assert repr(choice) == f"Choice({line}; {choice.rule})"
    assert repr(replace(choice, rule="")) == f"Choice({line})"
