"""The choice for a device, against brute force over all trials of a study."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from qspinn_optuna import (
    Deployment,
    Family,
    Memory,
    ParameterSpec,
    ParetoFront,
    QuantizationSpace,
    Rounding,
    SmallestSelector,
    Target,
    TradeOffSelector,
    open_study,
)
from qspinn_optuna.selection import BudgetSelector, KneeSelector, Selector, ToleranceSelector, recorded_choice
from qspinn_optuna.study import Counts, FootprintRecord, attributes_of, set_accuracy_floor

optuna.logging.set_verbosity(optuna.logging.ERROR)

WEIGHTS, MEMBRANES = 6, 8
"""Elements: flash and RAM are equally large, so that neither follows from the sum."""

SPACE = QuantizationSpace(
    (
        ParameterSpec("weight", Family.WEIGHT, WEIGHTS, -1.0, 1.0, baseline_count=1_000),
        ParameterSpec("membrane", Family.MEMBRANE, MEMBRANES, -1.0, 1.0),
    ),
    bits=(2, 9),
    rounding_per_family=True,
)
BASELINE_KIB = (1_000 + MEMBRANES) * 32 / 8192
SEEN = 100


@dataclasses.dataclass(frozen=True)
class Model:
    """A finished trial."""

    weight: int
    membrane: int
    correct: int
    weight_rounding: Rounding
    membrane_rounding: Rounding

    @property
    def flash(self) -> int:
        return WEIGHTS * self.weight

    @property
    def ram(self) -> int:
        return MEMBRANES * self.membrane

    @property
    def memory(self) -> int:
        return self.flash + self.ram

    def fits(self, flash: int, ram: int, roundings: set[Rounding]) -> bool:
        """Weights are rounded before they get to the device."""
        return self.flash <= flash and self.ram <= ram and self.membrane_rounding in roundings


widths, roundings = st.integers(2, 9), st.sampled_from(Rounding)
models = st.lists(st.builds(Model, widths, widths, st.integers(0, SEEN), roundings, roundings), min_size=1, max_size=10)
flashes, rams = st.integers(1, 10 * WEIGHTS), st.integers(1, 10 * MEMBRANES)
abilities = st.sets(roundings, min_size=1)


def study_of(
    of: list[Model], floor: int = 0, *, is_old: bool = False, space: QuantizationSpace = SPACE
) -> optuna.Study:
    """A study with these trials; an old one does not store which memory keeps what."""
    study = open_study("models", None, space, optuna.samplers.RandomSampler(seed=0))
    set_accuracy_floor(study, floor / SEEN)
    for model in of:
        params = {
            "scheme": "ptq",
            "rounding.weight": model.weight_rounding.value,
            "rounding.membrane": model.membrane_rounding.value,
            "bits.weight": model.weight,
            "bits.membrane": model.membrane,
        }
        config = space.config(params)
        attributes = copy.deepcopy(
            attributes_of(config, FootprintRecord.of(space.footprint(config)), counts=Counts(model.correct, SEEN))
        )
        if is_old:
            del attributes["footprint"]["memories"]
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                values=[space.footprint(config).kib, model.correct / SEEN],
                params=params,
                distributions=space.distributions,
                user_attrs=attributes,
            )
        )
    return study


def target_of(flash: int, ram: int, able: set[Rounding]) -> Target:
    return Target("mine", flash / 8192, ram / 8192, roundings=tuple(able))


@settings(deadline=None, max_examples=60)
@given(models, flashes, rams, abilities, st.integers(0, SEEN), st.booleans())
def test_the_smallest_feasible_model_that_fits_is_chosen_of_all_trials(
    of: list[Model], flash: int, ram: int, able: set[Rounding], floor: int, is_old: bool
) -> None:
    study, target = study_of(of, floor, is_old=is_old), target_of(flash, ram, able)
    fitting = [i for i, model in enumerate(of) if model.correct >= floor and model.fits(flash, ram, able)]
    if not fitting:
        with pytest.raises(ValueError, match="feasible"):
            ParetoFront.from_study(study, target=target)
        return
    choice = SmallestSelector().select(ParetoFront.from_study(study, target=target))
    assert choice.trial_number == min(fitting, key=lambda i: (of[i].memory, -of[i].correct, i))
    chosen = of[choice.trial_number]
    assert (choice.candidate.flash_kib, choice.candidate.ram_kib) == (chosen.flash / 8192, chosen.ram / 8192)


SELECTORS: list[tuple[Selector, Callable[[Model], Any]]] = [
    (TradeOffSelector(0), lambda model: (-model.correct, model.memory)),
    (BudgetSelector(64 / 8192), lambda model: (model.memory > 64, -model.correct, model.memory)),
]


@settings(deadline=None, max_examples=40)
@given(models, flashes, rams, st.sampled_from(SELECTORS))
def test_every_selector_chooses_among_what_fits(
    of: list[Model], flash: int, ram: int, rule: tuple[Selector, Callable[[Model], Any]]
) -> None:
    selector, order = rule
    study, target = study_of(of), target_of(flash, ram, {*Rounding})
    fitting = [i for i, model in enumerate(of) if model.fits(flash, ram, {*Rounding})]
    if not fitting or (isinstance(selector, BudgetSelector) and min(of[i].memory for i in fitting) > 64):
        with pytest.raises(ValueError, match=r"fits mine|^memory_kib"):
            selector.select(ParetoFront.from_study(study, target=target))
        return
    choice = selector.select(ParetoFront.from_study(study, target=target))
    assert choice.trial_number == min(fitting, key=lambda i: (*order(of[i]), i))


def model(weight: int, membrane: int, correct: int = 90, rounding: Rounding = Rounding.NEAREST) -> Model:
    return Model(weight, membrane, correct, rounding, rounding)


def test_a_model_that_fits_is_found_behind_a_better_one_that_does_not() -> None:
    study = study_of([model(2, 6, 95), model(8, 2, 90)])
    target = target_of(60, 20, {*Rounding})
    assert [candidate.trial_number for candidate in ParetoFront.from_study(study)] == [0]
    for selector in (SmallestSelector(), KneeSelector(), ToleranceSelector(0.01), TradeOffSelector(1)):
        assert selector.select(ParetoFront.from_study(study, target=target)).trial_number == 1


@settings(deadline=None, max_examples=40)
@given(models, st.integers(1, 2 * WEIGHTS - 1), rams)
def test_the_least_that_is_needed_is_enough(of: list[Model], flash: int, ram: int) -> None:
    study = study_of(of)
    with pytest.raises(ValueError, match=r"^No feasible model of study 'models' fits mine \(.*the least is") as error:
        ParetoFront.from_study(study, target=target_of(flash, ram, {*Rounding}))
    told = str(error.value).partition("needs, ")[2].split()
    enough = Target("enough", float(told[0]), float(told[told.index("and") + 1]))
    number = int(str(error.value).partition("what trial ")[2].split()[0])
    assert number in {
        i for i, each in enumerate(of) if each.flash / 8192 <= enough.flash_kib and each.ram / 8192 <= enough.ram_kib
    }
    assert len(ParetoFront.from_study(study, target=enough)) > 0
    # No model does with a smaller share of both.
    load = max(of[number].flash / flash, of[number].ram / ram)
    assert load == min(max(each.flash / flash, each.ram / ram) for each in of)
    assert "\n" not in str(error.value)


def test_what_a_device_cannot_do_is_told_if_memory_is_not_the_reason() -> None:
    study = study_of([model(2, 2, rounding=Rounding.STOCHASTIC)])
    with pytest.raises(ValueError, match=r"another rounding at run time than truncation or nearest\.$"):
        ParetoFront.from_study(study, target=Target("mine", 1, 1, 8, (Rounding.TRUNCATION, Rounding.NEAREST)))


def test_old_trials_of_a_device_that_learns_do_not_tell() -> None:
    learning = QuantizationSpace(
        SPACE.parameters, bits=(2, 9), rounding_per_family=True, deployment=Deployment.LEARNING
    )
    target = target_of(1_000, 1_000, {*Rounding})
    old = study_of([model(2, 2)], is_old=True, space=learning)
    (candidate,) = ParetoFront.from_study(old)
    assert (candidate.flash_kib, candidate.ram_kib, candidate.flash_and_ram) == (None, None, "")
    with pytest.raises(ValueError, match="do not tell flash from RAM"):
        ParetoFront.from_study(old, target=target)
    (candidate,) = ParetoFront.from_study(study_of([model(2, 2)], space=learning), target=target)
    assert (candidate.flash_kib, candidate.ram_kib) == (0.0, (2 * WEIGHTS + 2 * MEMBRANES) / 8192)


def test_where_an_array_is_kept_is_no_part_of_a_studys_identity() -> None:
    """Studies of before go on."""
    placed = [dataclasses.replace(parameter, memory=Memory.RAM) for parameter in SPACE.parameters]
    assert QuantizationSpace(placed, bits=(2, 9), rounding_per_family=True).to_dict() == SPACE.to_dict()


def test_a_choice_of_before_gets_its_flash_and_ram() -> None:
    study = study_of([model(2, 2, 90), model(3, 3, 91)], floor=89, is_old=True)
    choice = SmallestSelector().select(ParetoFront.from_study(study))
    data = choice.to_dict()
    for entry in (data, *data["rival_candidates"]):
        del entry["flash_kib"], entry["ram_kib"]
    study.set_user_attr("qspinn:choice", data)
    assert recorded_choice(study) == choice
    assert choice.candidate.ram_kib == 2 * MEMBRANES / 8192
    assert len(choice.rivals) == 1
