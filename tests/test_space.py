"""The search space, against Optuna's samplers and an enumeration of every configuration that its words allow."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import GridKind, ParameterQuantization, QFormat, Rounding
from qspinn_optuna.parameters import Deployment, Family, ParameterSpec
from qspinn_optuna.space import QuantizationSpace, is_width, parameter_of, width_name

WEIGHT = ParameterSpec("fc.weight", Family.WEIGHT, 100, -1.0, 1.0)
BIAS = ParameterSpec("fc.bias", Family.BIAS, 10, -0.5, 0.5)
MEMBRANE = ParameterSpec("lif.v", Family.MEMBRANE, 10, -2.0, 3.0)
DECAY = ParameterSpec("lif.decay", Family.DECAY, 1, 0.0, 0.9)
LABELS = ParameterSpec("labels", Family.WEIGHT, 10, 0.0, 9.0, fixed_bits=4)
TRACE = ParameterSpec("trace", Family.TRACE, 20, 0.0, 1.0, learning_only=True)
ALL = (WEIGHT, BIAS, MEMBRANE, DECAY, LABELS, TRACE)


def values_of(distribution: optuna.distributions.BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution)
    return list(range(distribution.low, distribution.high + 1))


def grid(space: QuantizationSpace) -> list[dict[str, Any]]:
    """Every point of the space as Optuna's distributions have it."""
    dimensions = {name: values_of(distribution) for name, distribution in space.distributions.items()}
    return [dict(zip(dimensions, values, strict=True)) for values in itertools.product(*dimensions.values())]


@dataclasses.dataclass(frozen=True)
class Words:
    """A small space in the words of its user, and every configuration that they allow."""

    parameters: tuple[ParameterSpec, ...]
    bits: dict[str, tuple[int, int]]
    schemes: tuple[Scheme, ...]
    roundings: tuple[Rounding, ...]
    rounding_per_family: bool
    ties: Any

    def space(self) -> QuantizationSpace:
        return QuantizationSpace(
            self.parameters,
            self.bits,
            self.schemes,
            self.roundings,
            rounding_per_family=self.rounding_per_family,
            ties=self.ties,
        )

    def tied(self, one: ParameterSpec, other: ParameterSpec) -> bool:
        if self.ties == "family":
            return one.family == other.family
        if self.ties == "layer":
            return one.name.rsplit(".", 1)[0] == other.name.rsplit(".", 1)[0]
        groups = self.ties or {}
        return one.name in groups and other.name in groups and groups[one.name] == groups[other.name]

    def allows(self, config: QuantizationConfig) -> bool:
        return all(
            (not self.tied(one, other) or config.bits[one.name] == config.bits[other.name])
            and (
                (self.rounding_per_family and one.family != other.family)
                or config[one.name].rounding == config[other.name].rounding
            )
            for one, other in itertools.combinations(self.parameters, 2)
        )

    def configurations(self) -> set[QuantizationConfig]:
        choices = [
            [
                ParameterQuantization(QFormat.covering(parameter.low, parameter.high, width), rounding)
                for width in range(self.bits[parameter.name][0], self.bits[parameter.name][1] + 1)
                for rounding in self.roundings
            ]
            for parameter in self.parameters
        ]
        names = [parameter.name for parameter in self.parameters]
        every = (
            QuantizationConfig(scheme, dict(zip(names, combination, strict=True)))
            for scheme in self.schemes
            for combination in itertools.product(*choices)
        )
        return {config for config in every if self.allows(config)}


@st.composite
def words(draw: st.DrawFn) -> Words:
    names = draw(st.lists(st.sampled_from(["a.w", "a.v", "b.w", "b.v", "c"]), min_size=1, max_size=3, unique=True))
    families = st.sampled_from([Family.WEIGHT, Family.MEMBRANE])
    parameters = tuple(
        ParameterSpec(name, draw(families), 1, draw(st.sampled_from([-1.0, 0.0])), 3.0) for name in names
    )
    groups = st.dictionaries(st.sampled_from(names), st.sampled_from(["g", "h"]))
    ties = draw(st.sampled_from([None, "family", "layer"]) | groups)
    low = draw(st.integers(2, 23))
    shared = (low, min(24, low + draw(st.integers(0, 2))))
    first = st.integers(2, 20)
    own = {name: (start, start + draw(st.integers(0, 2))) for name in names for start in [draw(first)]}
    return Words(
        parameters=parameters,
        bits=own if ties is None else dict.fromkeys(names, shared),
        schemes=tuple(draw(st.lists(st.sampled_from(Scheme), min_size=1, unique=True))),
        roundings=tuple(draw(st.lists(st.sampled_from(Rounding), min_size=1, max_size=2, unique=True))),
        rounding_per_family=draw(st.booleans()),
        ties=ties,
    )


# Enumeration --------------------------------------------------------------------------------------------------------


@given(words())
@settings(deadline=None, max_examples=60)
def test_a_space_is_exactly_what_its_words_allow(wanted: Words) -> None:
    space, expected = wanted.space(), wanted.configurations()
    assert space.cardinality == len(expected)
    found = [space.config(params) for params in grid(space)]
    assert len(found) == len(expected)
    assert set(found) == expected


@given(words(), st.data())
@settings(deadline=None, max_examples=60)
def test_params_is_the_inverse_of_config(wanted: Words, data: st.DataObject) -> None:
    space = wanted.space()
    params = {name: data.draw(st.sampled_from(values_of(dim))) for name, dim in space.distributions.items()}
    assert space.params(space.config(params)) == params
    assert json.loads(json.dumps(space.params(space.config(params)))) == params


def test_optunas_grid_sampler_visits_every_configuration_once() -> None:
    space = QuantizationSpace((WEIGHT, MEMBRANE, LABELS), (3, 4), (Scheme.PTQ,), rounding_per_family=True)
    dimensions = {name: values_of(distribution) for name, distribution in space.distributions.items()}
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(dimensions, seed=0))
    visited: list[QuantizationConfig] = []

    def objective(trial: optuna.Trial) -> float:
        visited.append(space.suggest(trial))
        return 0.0

    study.optimize(objective)
    assert len(visited) == len(set(visited)) == space.cardinality == 3 * 3 * 2 * 2


def test_a_choice_given_twice_counts_once() -> None:
    space = QuantizationSpace([WEIGHT], 4, [Scheme.PTQ, Scheme.PTQ], [Rounding.NEAREST, Rounding.NEAREST])
    assert space.cardinality == 1


# Inside Optuna ------------------------------------------------------------------------------------------------------

SAMPLERS: list[Callable[[], optuna.samplers.BaseSampler]] = [
    lambda: optuna.samplers.RandomSampler(seed=1),
    lambda: optuna.samplers.TPESampler(multivariate=True, n_startup_trials=6, seed=1),
    lambda: optuna.samplers.NSGAIISampler(population_size=5, seed=1),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["random", "tpe", "nsga2"])
@pytest.mark.parametrize("ties", [None, "family"])
def test_trials_of_any_sampler_give_back_what_was_suggested(
    sampler: Callable[[], optuna.samplers.BaseSampler], ties: Any
) -> None:
    space = QuantizationSpace(ALL, rounding_per_family=True, ties=ties)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler())
    suggested: list[QuantizationConfig] = []

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        rate = trial.suggest_float("learning_rate", 1e-3, 1.0, log=True)
        suggested.append(space.suggest(trial))
        return space.footprint(suggested[-1]).kib, rate + trial.suggest_int("epochs", 1, 3)

    study.optimize(objective, n_trials=14)
    assert [space.config(trial.params) for trial in study.trials] == suggested
    assert all(set(trial.params) == {*space.distributions, "learning_rate", "epochs"} for trial in study.trials)
    assert all(space.distributions.items() <= trial.distributions.items() for trial in study.trials)
    assert len(set(suggested)) > 10


def test_a_fixed_trial_gives_the_configuration_of_its_params() -> None:
    space = QuantizationSpace((WEIGHT, MEMBRANE))
    params = {"scheme": "itq", "rounding": "stochastic", "bits.fc.weight": 5, "bits.lif.v": 9}
    expected = {
        "fc.weight": ParameterQuantization(QFormat.covering(-1.0, 1.0, 5), Rounding.STOCHASTIC),
        "lif.v": ParameterQuantization(QFormat.covering(-2.0, 3.0, 9), Rounding.STOCHASTIC),
    }
    assert space.suggest(optuna.trial.FixedTrial(params)) == QuantizationConfig(Scheme.ITQ, expected)


def test_an_enqueued_configuration_is_suggested() -> None:
    space = QuantizationSpace(ALL, ties="layer", bits=(3, 9))
    wanted = space.uniform(7, Scheme.PTQ, Rounding.TRUNCATION)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(space.params(wanted))
    assert space.suggest(study.ask()) == wanted


def test_other_params_are_ignored() -> None:
    space = QuantizationSpace([WEIGHT])
    params = {"scheme": "ptq", "rounding": "nearest", "bits.fc.weight": 6}
    others = {"learning_rate": 0.1, "bits.other": 99, "rounding.weight": "up", "Scheme": None}
    assert space.config(others | params) == space.config(params)


def test_dimensions_have_the_documented_names() -> None:
    space = QuantizationSpace((WEIGHT, MEMBRANE))
    assert list(space.distributions) == ["scheme", "rounding", "bits.fc.weight", "bits.lif.v"]
    per_family = QuantizationSpace((WEIGHT, BIAS, MEMBRANE), rounding_per_family=True, ties="layer")
    assert set(per_family.distributions) == {
        "scheme",
        "rounding.weight",
        "rounding.bias",
        "rounding.membrane",
        "bits.fc",
        "bits.lif",
    }


# Widths and ties ----------------------------------------------------------------------------------------------------


def widths(space: QuantizationSpace) -> dict[str, tuple[int, int]]:
    return {
        name: (distribution.low, distribution.high)
        for name, distribution in space.distributions.items()
        if isinstance(distribution, IntDistribution)
    }


def test_the_default_widths_are_2_to_16() -> None:
    assert widths(QuantizationSpace([WEIGHT])) == {"bits.fc.weight": (2, 16)}


def test_one_integer_is_the_only_width() -> None:
    space = QuantizationSpace((WEIGHT, MEMBRANE), 5)
    assert widths(space) == {"bits.fc.weight": (5, 5), "bits.lif.v": (5, 5)}
    assert {width for params in grid(space) for width in space.config(params).bits.values()} == {5}


def test_the_widest_range_of_an_unsigned_parameter_is_1_to_24() -> None:
    assert widths(QuantizationSpace([DECAY], (1, 24))) == {"bits.lif.decay": (1, 24)}


@pytest.mark.parametrize("family", [Family.MEMBRANE, "membrane"])
def test_a_name_goes_before_its_family(family: str) -> None:
    other = dataclasses.replace(MEMBRANE, name="lif2.v")
    space = QuantizationSpace((MEMBRANE, other, DECAY), {family: (3, 5), "lif.v": 8, "decay": (2, 4)})
    assert widths(space) == {"bits.lif.v": (8, 8), "bits.lif2.v": (3, 5), "bits.lif.decay": (2, 4)}


def test_families_that_do_not_occur_may_have_widths() -> None:
    assert widths(QuantizationSpace([WEIGHT], dict.fromkeys(Family, (4, 6)))) == {"bits.fc.weight": (4, 6)}


def test_ties_name_their_dimensions_after_the_groups() -> None:
    parameters = (WEIGHT, dataclasses.replace(WEIGHT, name="out.weight"), BIAS)
    assert list(widths(QuantizationSpace(parameters, ties="family"))) == ["bits.weight", "bits.bias"]
    assert list(widths(QuantizationSpace(parameters, ties="layer"))) == ["bits.fc", "bits.out"]
    mapping = {"fc.bias": "small", "out.weight": "small"}
    assert list(widths(QuantizationSpace(parameters, ties=mapping))) == ["bits.fc.weight", "bits.small"]


def test_tied_parameters_keep_formats_of_their_own() -> None:
    space = QuantizationSpace((WEIGHT, DECAY), ties={"fc.weight": "g", "lif.decay": "g"})
    config = space.config({"scheme": "ptq", "rounding": "nearest", "bits.g": 6})
    assert config["fc.weight"].format == QFormat.covering(-1.0, 1.0, 6)
    assert config["lif.decay"].format == QFormat.covering(0.0, 0.9, 6)


def test_a_group_of_the_name_of_a_parameter_outside_it_does_not_take_its_width() -> None:
    """Parameters that the mapping leaves out keep a width of their own, or the mapping is refused."""
    try:
        space = QuantizationSpace((WEIGHT, BIAS), ties={"fc.weight": "fc.bias"})
    except ValueError as error:
        assert "ties" in str(error)  # noqa: PT017
    else:
        assert len(widths(space)) == 2


@given(st.integers(1, 24), st.sampled_from(Scheme), st.sampled_from(Rounding))
@settings(deadline=None)
def test_uniform_is_as_near_to_the_width_as_each_range_allows(width: int, scheme: Scheme, rounding: Rounding) -> None:
    ranges = {"fc.weight": (2, 6), "lif.v": (9, 9), "lif.decay": (4, 12)}
    space = QuantizationSpace((WEIGHT, MEMBRANE, DECAY), ranges, rounding_per_family=True)
    config = space.uniform(width, scheme, rounding)
    assert config.scheme is scheme
    assert set(config.roundings.values()) == {rounding}
    for name, (low, high) in ranges.items():
        assert config.bits[name] == min(range(low, high + 1), key=lambda choice: abs(choice - width))


# What is searched and what is counted -------------------------------------------------------------------------------


@given(st.integers(2, 16))
@settings(deadline=None)
def test_fixed_widths_are_counted_but_not_searched(width: int) -> None:
    space = QuantizationSpace((WEIGHT, LABELS))
    config = space.uniform(width, Scheme.PTQ, Rounding.NEAREST)
    assert set(config.parameters) == {"fc.weight"}
    assert space.footprint(config).by_parameter == {"fc.weight": 100 * width, "labels": 10 * 4}


def test_what_only_learning_stores_is_neither_searched_nor_counted_for_inference() -> None:
    space = QuantizationSpace((WEIGHT, TRACE))
    config = space.uniform(8, Scheme.PTQ, Rounding.NEAREST)
    assert "bits.trace" not in space.distributions
    assert set(config.parameters) == set(space.footprint(config).by_parameter) == {"fc.weight"}


def test_what_only_learning_stores_is_searched_and_counted_for_learning() -> None:
    space = QuantizationSpace((WEIGHT, TRACE), deployment=Deployment.LEARNING)
    config = space.uniform(8, Scheme.ITQ, Rounding.NEAREST)
    assert "bits.trace" in space.distributions
    assert space.footprint(config).by_parameter == {"fc.weight": 800, "trace": 160}


# Description --------------------------------------------------------------------------------------------------------


def described(*parameters: ParameterSpec, **changes: Any) -> dict[str, Any]:
    return QuantizationSpace(parameters or ALL, **{"bits": (3, 6)} | changes).to_dict()


def test_the_description_survives_json() -> None:
    assert json.loads(json.dumps(described(ties="layer"))) == described(ties="layer")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"bits": [3, 6]}),
        ({}, {"bits": dict.fromkeys(Family, (3, 6))}),
        ({"bits": 4}, {"bits": (4, 4)}),
        ({}, {"schemes": ["ptq", "itq"]}),
        ({}, {"roundings": [rounding.value for rounding in Rounding]}),
        ({}, {"deployment": "inference"}),
        ({}, {"ties": {}}),
        ({"ties": "layer"}, {"ties": {"fc.weight": "fc", "fc.bias": "fc", "lif.v": "lif", "lif.decay": "lif"}}),
    ],
)
def test_equal_spaces_have_equal_descriptions(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert described(**one) == described(**other)


def test_a_baseline_count_equal_to_the_count_makes_no_difference() -> None:
    assert described(WEIGHT) == described(dataclasses.replace(WEIGHT, baseline_count=WEIGHT.count))


def test_parameters_may_come_from_a_generator() -> None:
    assert QuantizationSpace((parameter for parameter in ALL), (3, 6)).to_dict() == described()


@pytest.mark.parametrize(
    "changes",
    [
        {"bits": (3, 7)},
        {"bits": (2, 6)},
        {"bits": {**dict.fromkeys(Family, (3, 6)), "lif.v": 6}},
        {"schemes": [Scheme.PTQ]},
        {"roundings": [Rounding.NEAREST, Rounding.STOCHASTIC]},
        {"rounding_per_family": True},
        {"ties": "family"},
        {"ties": "layer"},
        {"ties": {"fc.weight": "g", "fc.bias": "g"}},
        {"deployment": Deployment.LEARNING},
    ],
)
def test_other_arguments_have_other_descriptions(changes: dict[str, Any]) -> None:
    assert described(**changes) != described()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "fc2.weight"},
        {"family": Family.BIAS},
        {"count": 101},
        {"low": -2.5},
        {"low": 0.0},
        {"high": 4.0},
        {"fixed_bits": 4},
        {"baseline_count": 0},
    ],
)
def test_other_parameters_have_other_descriptions(changes: dict[str, Any]) -> None:
    assert described(dataclasses.replace(WEIGHT, **changes), MEMBRANE) != described(WEIGHT, MEMBRANE)


def test_one_parameter_more_or_less_has_another_description() -> None:
    assert described(WEIGHT, MEMBRANE) != described(WEIGHT)
    assert described(WEIGHT, LABELS) != described(WEIGHT)


def test_other_fixed_widths_have_other_descriptions() -> None:
    assert described(WEIGHT, LABELS) != described(WEIGHT, dataclasses.replace(LABELS, fixed_bits=5))


def test_other_members_of_the_same_groups_have_other_descriptions() -> None:
    parameters = tuple(dataclasses.replace(WEIGHT, name=name) for name in "abcd")
    straight = described(*parameters, ties={"a": "g", "b": "g", "c": "h", "d": "h"})
    crossed = described(*parameters, ties={"a": "g", "c": "g", "b": "h", "d": "h"})
    assert straight != crossed


# Bad input: the error names the argument and what was given ---------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"schemes": ["ptq", "qat"]}, ["schemes", "'qat'"]),
        ({"roundings": ["up"]}, ["roundings", "'up'"]),
        ({"schemes": []}, ["schemes", "[]"]),
        ({"roundings": ()}, ["roundings", "()"]),
        ({"schemes": "ptq"}, ["schemes", "'ptq'"]),
        ({"schemes": Scheme.PTQ}, ["schemes", "ptq"]),
        ({"roundings": "nearest"}, ["roundings", "'nearest'"]),
        ({"roundings": Rounding.NEAREST}, ["roundings", "nearest"]),
        ({"bits": 0}, ["bits", "'fc.weight'", "got 0"]),
        ({"bits": 25}, ["bits", "'fc.weight'", "got 25"]),
        ({"bits": (0, 8)}, ["bits", "(0, 8)"]),
        ({"bits": (8, 25)}, ["bits", "(8, 25)"]),
        ({"bits": (9, 8)}, ["bits", "(9, 8)"]),
        ({"bits": (8,)}, ["bits", "(8,)"]),
        ({"bits": (2, 4, 8)}, ["bits", "(2, 4, 8)"]),
        ({"bits": (2, 8.0)}, ["bits", "(2, 8.0)"]),
        ({"bits": True}, ["bits", "True"]),
        ({"bits": "28"}, ["bits", "'28'"]),
        ({"bits": {"weight": (2, 8)}}, ["bits", "'lif.v'", "'membrane'"]),
        ({"bits": {"weight": 4, "membrane": (9, 8)}}, ["bits", "'lif.v'", "(9, 8)"]),
        ({"bits": {"weight": 4, "membrane": 4, "fc.wieght": 4}}, ["bits", "'fc.wieght'", "fc.weight"]),
        ({"ties": "layers"}, ["ties", "'layers'"]),
        ({"ties": {"lif.u": "g"}}, ["ties", "'lif.u'"]),
        (
            {"ties": {"fc.weight": "g", "lif.v": "g"}, "bits": {"weight": (2, 8), "membrane": (4, 8)}},
            ["bits", "tied", "(2, 8)", "(4, 8)", "'lif.v'", "g", "name the same widths for all of them in bits"],
        ),
        ({"bits": (1, 8)}, ["'fc.weight'", "1 bit", "(-1.0, 1.0)"]),
        ({"parameters": []}, ["parameters", "none"]),
        ({"parameters": [LABELS]}, ["parameters", "none"]),
        ({"parameters": [TRACE]}, ["parameters", "none"]),
        ({"parameters": [WEIGHT, MEMBRANE, WEIGHT]}, ["parameters", "'fc.weight'"]),
        ({"parameters": [WEIGHT, dataclasses.replace(LABELS, name="fc.weight")]}, ["parameters", "'fc.weight'"]),
        ({"deployment": "training"}, ["deployment", "'training'"]),
    ],
)
def test_a_bad_argument_is_told_with_what_was_given(arguments: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\w") as error:
        QuantizationSpace(**{"parameters": (WEIGHT, MEMBRANE)} | arguments)
    assert [words for words in told if words not in str(error.value)] == []


def test_a_name_that_occurs_twice_is_refused_whatever_is_stored() -> None:
    with pytest.raises(ValueError, match=r"parameters must have different names.*'fc\.weight'"):
        QuantizationSpace((WEIGHT, dataclasses.replace(WEIGHT, learning_only=True)))


@pytest.mark.parametrize(
    ("argument", "value"),
    [("bits", 5.0), ("bits", None), ("schemes", 3), ("roundings", None), ("ties", 5), ("ties", ("fc.weight", "lif.v"))],
)
def test_an_argument_of_the_wrong_type_is_told_with_what_was_given(argument: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=argument) as error:
        QuantizationSpace(**{"parameters": (WEIGHT, MEMBRANE), argument: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scheme", "qat"),
        ("scheme", None),
        ("rounding", "up"),
        ("rounding", ["nearest"]),
        ("bits.fc.weight", 2),
        ("bits.fc.weight", 9),
        ("bits.fc.weight", 4.0),
        ("bits.fc.weight", 4.5),
        ("bits.fc.weight", "4"),
        ("bits.fc.weight", None),
        ("bits.fc.weight", True),
    ],
)
def test_a_param_outside_its_choices_is_told_with_its_value(name: str, value: Any) -> None:
    space = QuantizationSpace([WEIGHT], (3, 8))
    params = {"scheme": "ptq", "rounding": "nearest", "bits.fc.weight": 4}
    with pytest.raises(ValueError, match=f"params.*{name}") as error:
        space.config(params | {name: value})
    assert f"got {value!r}" in str(error.value)


@pytest.mark.parametrize("name", ["scheme", "rounding", "bits.fc.weight"])
def test_a_missing_param_is_told(name: str) -> None:
    params = {"scheme": "ptq", "rounding": "nearest", "bits.fc.weight": 4}
    del params[name]
    with pytest.raises(ValueError, match=f"params must have '{name}'") as error:
        QuantizationSpace([WEIGHT]).config(params)
    assert str(sorted(params)) in str(error.value)


def test_true_is_not_a_width_of_one_bit() -> None:
    params = {"scheme": "ptq", "rounding": "nearest", "bits.lif.decay": 1}
    space = QuantizationSpace([DECAY], (1, 4))
    assert space.config(params).bits == {"lif.decay": 1}
    with pytest.raises(ValueError, match=r"bits\.lif\.decay.*got True"):
        space.config(params | {"bits.lif.decay": True})


def test_a_fixed_trial_outside_the_space_is_refused() -> None:
    params = {"scheme": "ptq", "rounding": "nearest", "bits.fc.weight": 17}
    with pytest.warns(UserWarning, match="17"), pytest.raises(ValueError, match=r"bits\.fc\.weight.*17"):
        QuantizationSpace([WEIGHT]).suggest(optuna.trial.FixedTrial(params))


def other_config(**quantizations: ParameterQuantization) -> QuantizationConfig:
    return QuantizationConfig(Scheme.PTQ, {name.replace("_", "."): value for name, value in quantizations.items()})


FITTING = ParameterQuantization(QFormat.covering(-1.0, 1.0, 4), Rounding.NEAREST)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (other_config(lif_v=FITTING), ["'lif.v'", "'fc.weight'"]),
        (other_config(fc_weight=FITTING, lif_v=FITTING), ["'lif.v'"]),
        (other_config(fc_weight=dataclasses.replace(FITTING, format=QFormat(3, 0))), ["Q3.0"]),
        (other_config(fc_weight=dataclasses.replace(FITTING, format=QFormat(2, 2, signed=False))), ["UQ2.2"]),
        (other_config(fc_weight=dataclasses.replace(FITTING, format=QFormat(1, 15))), ["17"]),
        (other_config(fc_weight=dataclasses.replace(FITTING, rounding=Rounding.STOCHASTIC)), ["stochastic"]),
        (QuantizationConfig(Scheme.ITQ, {"fc.weight": FITTING}), ["itq"]),
    ],
)
def test_a_config_of_another_space_is_told(config: QuantizationConfig, told: list[str]) -> None:
    space = QuantizationSpace([WEIGHT], (2, 16), [Scheme.PTQ], [Rounding.NEAREST, Rounding.TRUNCATION])
    with pytest.raises(ValueError, match="config") as error:
        space.params(config)
    assert [words for words in told if words not in str(error.value)] == []


def test_a_config_of_unequal_widths_is_refused_where_they_are_tied() -> None:
    parameters = (WEIGHT, dataclasses.replace(WEIGHT, name="out.weight"))
    free, tied = QuantizationSpace(parameters), QuantizationSpace(parameters, ties="family")
    unequal = {"scheme": "ptq", "rounding": "nearest", "bits.fc.weight": 4, "bits.out.weight": 5}
    with pytest.raises(ValueError, match="config must be a point of the space"):
        tied.params(free.config(unequal))


def test_a_config_of_unequal_roundings_is_refused_where_they_are_one() -> None:
    config = other_config(
        fc_weight=FITTING,
        lif_v=ParameterQuantization(QFormat.covering(-2.0, 3.0, 4), Rounding.TRUNCATION),
    )
    with pytest.raises(ValueError, match="config must be a point of the space"):
        QuantizationSpace((WEIGHT, MEMBRANE)).params(config)
    per_family = QuantizationSpace((WEIGHT, MEMBRANE), rounding_per_family=True)
    assert per_family.config(per_family.params(config)) == config


@pytest.mark.parametrize(
    ("argument", "value"), [("scheme", "qat"), ("scheme", "itq"), ("rounding", "up"), ("rounding", "stochastic")]
)
def test_a_uniform_choice_outside_the_space_is_told(argument: str, value: Any) -> None:
    space = QuantizationSpace([WEIGHT], 4, [Scheme.PTQ], [Rounding.NEAREST])
    arguments: dict[str, Any] = {"width": 4, "scheme": Scheme.PTQ, "rounding": Rounding.NEAREST, argument: value}
    with pytest.raises(ValueError, match=rf"\b{argument}\b.*'{value}'"):
        space.uniform(**arguments)


def test_widths_for_all_go_as_far_as_a_parameter_can() -> None:
    space = QuantizationSpace([replace(WEIGHT, max_bits=14), MEMBRANE], bits=(2, 16))
    assert widths(space) == {"bits.fc.weight": (2, 14), "bits.lif.v": (2, 16)}


@given(st.lists(st.integers(6, 24), min_size=1, max_size=5), st.integers(1, 6), st.integers(6, 24))
def test_tied_parameters_go_as_far_as_all_of_them_can(limits: list[int], low: int, high: int) -> None:
    tied = [replace(MEMBRANE, name=f"lif.{number}", low=0.0, max_bits=limit) for number, limit in enumerate(limits)]
    space = QuantizationSpace([WEIGHT, *tied], bits=(max(low, 2), high), ties="layer")
    assert widths(space) == {"bits.fc": (max(low, 2), high), "bits.lif": (max(low, 2), min(high, *limits))}


def test_tied_parameters_go_as_far_as_their_named_widths_can_and_tell_so() -> None:
    tied = [replace(MEMBRANE, name="lif.a", max_bits=14), replace(MEMBRANE, name="lif.b")]
    with pytest.warns(UserWarning, match=r"^bits go as far .*: 2-14 instead of 2-16 for 'lif'\.$"):
        assert widths(QuantizationSpace(tied, bits={"membrane": (2, 16)}, ties="layer")) == {"bits.lif": (2, 14)}
    with pytest.raises(ValueError, match=r"\(2, 14\) and \(2, 16\) for 'lif.b': name the same widths for all of them"):
        QuantizationSpace(tied, bits={"lif.a": (2, 14), "lif.b": (2, 16)}, ties="layer")
    assert widths(QuantizationSpace(tied, bits={"membrane": (2, 14)}, ties="layer")) == {"bits.lif": (2, 14)}


NARROW = replace(WEIGHT, max_bits=2)


@pytest.mark.parametrize(
    ("bits", "given"),
    [((4, 8), "4-8"), (4, "4"), ({"weight": (4, 8), "membrane": (4, 8)}, "4-8"), ({"weight": 4, "membrane": 8}, "4")],
)
def test_a_parameter_that_cannot_have_the_first_width_has_its_widest_and_tells_so(bits: Any, given: str) -> None:
    with pytest.warns(
        UserWarning, match=rf"^bits go as far .* exactly: 2 instead of {given} for 'fc.weight'\.$"
    ) as told:
        space = QuantizationSpace([NARROW, MEMBRANE], bits)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert widths(space)["bits.fc.weight"] == (2, 2)
    assert widths(space)["bits.lif.v"][1] in (4, 8)


def test_tied_parameters_of_which_one_cannot_have_the_first_width_share_its_widest() -> None:
    with pytest.warns(UserWarning, match=r"2 instead of 4-8 for 'weight'\.$"):
        space = QuantizationSpace([NARROW, replace(WEIGHT, name="fc2.weight")], (4, 8), ties="family")
    assert space.widths == {"weight": (2, 2)}


def test_named_widths_go_as_far_as_can_be_simulated_and_are_refused_if_none_can() -> None:
    limited = replace(WEIGHT, max_bits=14)
    with pytest.warns(UserWarning, match=r"2-14 instead of 2-16 for 'fc.weight'\.$"):
        space = QuantizationSpace([limited, MEMBRANE], bits={"fc.weight": (2, 16), "membrane": 8})
    assert widths(space) == {"bits.fc.weight": (2, 14), "bits.lif.v": (8, 8)}
    with pytest.raises(ValueError, match=r"bits of 'fc.weight' must begin at 14 or below.*got \(15, 16\)"):
        QuantizationSpace([limited, MEMBRANE], bits={"fc.weight": (15, 16), "membrane": 8})


RESTRICTED = QuantizationSpace(ALL, {"weight": (2, 8), "bias": (2, 8), "membrane": (6, 16), "decay": 8}, ties="family")


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ((4, 7), {"weight": (4, 7), "bias": (4, 7), "membrane": (6, 7)}),
        ({"weight": (1, 24)}, {"weight": (2, 8)}),
        ({"fc.weight": 3, "weight": (5, 6), "membrane": (1, 6)}, {"weight": (3, 3), "membrane": (6, 6)}),
        ({}, {}),
    ],
)
def test_a_restricted_space_has_the_widths_that_both_have(bits: Any, expected: dict[str, tuple[int, int]]) -> None:
    space = QuantizationSpace(
        [WEIGHT, BIAS, MEMBRANE], {"weight": (2, 8), "bias": (2, 8), "membrane": (6, 16)}, ties="family"
    )
    restricted = space.restrict(bits)
    assert restricted.widths == {**space.widths, **expected}
    assert set(map(str, grid(restricted))) <= set(map(str, grid(space)))
    assert space.widths == {"weight": (2, 8), "bias": (2, 8), "membrane": (6, 16)}


def test_a_restricted_space_has_the_choices_that_both_have() -> None:
    restricted = RESTRICTED.restrict(schemes=["itq"], roundings=["truncation", "nearest"])  # type: ignore[list-item]
    assert (restricted.schemes, set(restricted.roundings)) == ((Scheme.ITQ,), {Rounding.TRUNCATION, Rounding.NEAREST})
    assert restricted.cardinality == RESTRICTED.cardinality // 3
    assert RESTRICTED.restrict().to_dict() == RESTRICTED.to_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": (1, 5)}, "bits of 'lif.v' .* 6 to 16"),
        ({"bits": {"decay": 7}}, "bits of 'decay' .* 8 to 8"),
        ({"bits": {"threshold": 7}}, r"bits must name .*'lif.v'.*\['threshold'\]"),
        ({"bits": {"weight": (0, 7)}}, "bits of 'weight' must be between 1 and 24"),
        ({"bits": "2-8"}, "bits of 'fc.weight' must be one integer or a first and a last"),
        ({"schemes": ["later"]}, "schemes must be chosen from"),
        ({"roundings": []}, "roundings must be chosen from"),
    ],
)
def test_a_restriction_that_leaves_nothing_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RESTRICTED.restrict(**arguments)


def test_a_restriction_twice_has_to_leave_something() -> None:
    with pytest.raises(ValueError, match=r"schemes must keep one of \['ptq'\]"):
        RESTRICTED.restrict(schemes=[Scheme.PTQ]).restrict(schemes=[Scheme.ITQ])


def test_names_of_widths_go_both_ways() -> None:
    assert [parameter_of(name) for name in RESTRICTED.distributions if is_width(name)] == list(RESTRICTED.widths)
    assert width_name("fc.weight") == "bits.fc.weight"
    with pytest.raises(ValueError, match="dimension"):
        parameter_of("rounding.weight")


def test_widths_that_go_less_far_than_asked_are_logged_in_a_line_for_each_end() -> None:
    parameters = (WEIGHT, replace(MEMBRANE, max_bits=12), replace(DECAY, max_bits=8), replace(BIAS, max_bits=12))
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("optuna")
    logger.addHandler(handler)
    verbosity = optuna.logging.get_verbosity()  # Other tests may have left it at warnings.
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        QuantizationSpace(parameters, (2, 16))
        QuantizationSpace(parameters, (2, 8))
        QuantizationSpace(parameters, dict.fromkeys(Family, (2, 8)))
    finally:
        logger.removeHandler(handler)
        optuna.logging.set_verbosity(verbosity)
    assert lines == [
        "Widths of lif.decay go to 8, not to 16 bits: wider ones are not simulated exactly.",
        "Widths of lif.v, fc.bias go to 12, not to 16 bits: wider ones are not simulated exactly.",
    ]


BOTH_GRIDS = replace(WEIGHT, grids=(GridKind.MID_RISE, GridKind.MID_TREAD))


def test_parameters_with_several_grids_choose_one_for_their_family() -> None:
    other = replace(BOTH_GRIDS, name="fc2.weight", low=-3.0)
    normalization = ParameterSpec("norm.scale", Family.WEIGHT, 4, 0.0, 1.0)
    space = QuantizationSpace((BOTH_GRIDS, other, normalization, MEMBRANE), bits=(2, 3))
    assert space.distributions["grid.weight"] == CategoricalDistribution(["mid-rise", "mid-tread"])
    points = grid(space)
    assert len(points) == space.cardinality
    configs = {space.config(point) for point in points}
    assert len(configs) == len(points)
    for point in points:
        config = space.config(point)
        assert {str(config[name].format.grid) for name in ("fc.weight", "fc2.weight")} == {point["grid.weight"]}
        assert {config[name].format.grid for name in ("norm.scale", "lif.v")} == {GridKind.MID_TREAD}
        assert space.params(config) == point
        assert QuantizationConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_single_grid_is_no_dimension() -> None:
    space = QuantizationSpace((replace(WEIGHT, grids=(GridKind.MID_RISE,)), MEMBRANE), bits=(2, 3))
    assert not any(name.startswith("grid") for name in space.distributions)
    assert space.uniform(2, Scheme.PTQ, Rounding.NEAREST)["fc.weight"].format == QFormat(0, 2, grid=GridKind.MID_RISE)


def test_a_family_has_one_choice_of_grids() -> None:
    other = replace(BOTH_GRIDS, name="fc2.weight", grids=tuple(reversed(BOTH_GRIDS.grids)))
    with pytest.raises(ValueError, match="grids of all parameters of the family 'weight'"):
        QuantizationSpace((BOTH_GRIDS, other))


def test_a_mid_rise_range_may_end_half_a_step_beyond_its_last_value() -> None:
    assert QFormat.covering(-1.0, 1.0, 1, GridKind.MID_RISE) == QFormat(0, 1, grid=GridKind.MID_RISE)
    assert QFormat.covering(-1.1, 1.0, 2, GridKind.MID_RISE) == QFormat(1, 1, grid=GridKind.MID_RISE)
    assert QFormat.covering(0.0, 0.9, 2, GridKind.MID_RISE) == QFormat(0, 3, signed=False, grid=GridKind.MID_RISE)
