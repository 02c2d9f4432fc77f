"""Configurations: values that compare, hash, copy, and pass through JSON unchanged."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding

NAME_LETTERS = 'fcw1._ "\\\n\0\u00e9\u8108\U0001f9e0'
"""Letters that JSON leaves as they are, and letters that it escapes."""

QUANTIZATION = ParameterQuantization(QFormat(1, 6), Rounding.NEAREST)


@st.composite
def formats(draw: st.DrawFn) -> QFormat:
    bits, fraction, signed = draw(st.integers(1, 24)), draw(st.integers(-100, 100)), draw(st.booleans())
    return QFormat(bits - fraction - signed, fraction, signed)


def quantizations() -> st.SearchStrategy[ParameterQuantization]:
    return st.builds(ParameterQuantization, formats(), st.sampled_from(Rounding))


def configs() -> st.SearchStrategy[QuantizationConfig]:
    parameters = st.dictionaries(st.text(NAME_LETTERS, min_size=1, max_size=8), quantizations(), min_size=1, max_size=5)
    return st.builds(QuantizationConfig, st.sampled_from(Scheme), parameters)


def plain(**changes: Any) -> dict[str, Any]:
    """The dict of a configuration of one parameter, with changes."""
    return {"scheme": "ptq", "parameters": {"w": {"format": "Q1.6", "rounding": "nearest"}}} | changes


@given(configs())
@settings(deadline=None, max_examples=50)
def test_a_config_survives_json(config: QuantizationConfig) -> None:
    assert QuantizationConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_dict_holds_names_of_schemes_formats_and_roundings() -> None:
    assert QuantizationConfig(Scheme.PTQ, {"w": QUANTIZATION}).to_dict() == plain()


@given(configs())
@settings(deadline=None, max_examples=50)
def test_pickle_copy_and_deepcopy_are_equal_and_read_only(config: QuantizationConfig) -> None:
    twins: list[Any] = [pickle.loads(pickle.dumps(config)), copy.copy(config), copy.deepcopy(config)]
    for twin in twins:
        assert twin == config
        assert hash(twin) == hash(config)
        with pytest.raises(TypeError):
            twin.parameters["new"] = QUANTIZATION


@given(configs())
@settings(deadline=None, max_examples=50)
def test_equality_and_hash_ignore_the_order_of_parameters(config: QuantizationConfig) -> None:
    twin = QuantizationConfig(config.scheme, dict(reversed(list(config.parameters.items()))))
    assert twin == config
    assert hash(twin) == hash(config)


@given(configs(), configs())
@settings(deadline=None, max_examples=50)
def test_configs_are_equal_only_if_their_dicts_are(one: QuantizationConfig, other: QuantizationConfig) -> None:
    assert (one == other) == (one.to_dict() == other.to_dict())


@pytest.mark.parametrize(
    "other",
    [
        QuantizationConfig(Scheme.ITQ, {"w": QUANTIZATION}),
        QuantizationConfig(Scheme.PTQ, {"v": QUANTIZATION}),
        QuantizationConfig(Scheme.PTQ, {"w": QUANTIZATION, "v": QUANTIZATION}),
        QuantizationConfig(Scheme.PTQ, {"w": ParameterQuantization(QFormat(2, 5), Rounding.NEAREST)}),
        QuantizationConfig(Scheme.PTQ, {"w": ParameterQuantization(QFormat(2, 6, signed=False), Rounding.NEAREST)}),
        QuantizationConfig(Scheme.PTQ, {"w": ParameterQuantization(QFormat(1, 6), Rounding.TRUNCATION)}),
    ],
)
def test_a_config_differs_if_anything_does(other: QuantizationConfig) -> None:
    assert QuantizationConfig(Scheme.PTQ, {"w": QUANTIZATION}) != other


def test_configs_are_found_in_a_set() -> None:
    assert QuantizationConfig.from_dict(plain()) in {QuantizationConfig(Scheme.PTQ, {"w": QUANTIZATION})}


def test_the_mapping_of_the_caller_is_copied() -> None:
    given_by_caller = {"w": QUANTIZATION}
    config = QuantizationConfig(Scheme.PTQ, given_by_caller)
    given_by_caller["v"] = QUANTIZATION
    assert set(config.parameters) == {"w"}


def test_nothing_of_a_config_can_be_assigned() -> None:
    config: Any = QuantizationConfig(Scheme.PTQ, {"w": QUANTIZATION})
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.scheme = Scheme.ITQ
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.parameters = {}
    with pytest.raises(TypeError):
        config.parameters["w"] = QUANTIZATION
    with pytest.raises(dataclasses.FrozenInstanceError):
        config["w"].rounding = Rounding.TRUNCATION


@given(configs())
@settings(deadline=None, max_examples=50)
def test_bits_and_roundings_are_those_of_the_parameters(config: QuantizationConfig) -> None:
    assert config.bits == {name: config[name].format.bits for name in config.parameters}
    assert config.roundings == {name: config[name].rounding for name in config.parameters}


def test_changing_what_bits_returns_leaves_the_config_alone() -> None:
    config = QuantizationConfig(Scheme.PTQ, {"w": QUANTIZATION})
    config.bits["w"] = 3
    config.roundings["w"] = Rounding.TRUNCATION
    assert config == QuantizationConfig(Scheme.PTQ, {"w": QUANTIZATION})


def test_a_scheme_may_be_given_by_its_value() -> None:
    assert QuantizationConfig("itq", {"w": QUANTIZATION}).scheme is Scheme.ITQ  # type: ignore[arg-type]


def test_no_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^parameters\b.*got none"):
        QuantizationConfig(Scheme.PTQ, {})


@pytest.mark.parametrize("scheme", ["qat", None])
def test_an_unknown_scheme_is_refused_by_argument(scheme: Any) -> None:
    with pytest.raises(ValueError, match=rf"\bscheme\b.*{scheme!r}"):
        QuantizationConfig(scheme, {"w": QUANTIZATION})


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "ptq",
        {},
        {"scheme": "ptq"},
        {"parameters": plain()["parameters"]},
        plain(parameters=[]),
        plain(parameters=None),
        plain(parameters={"w": None}),
        plain(parameters={"w": "Q1.6"}),
        plain(parameters={"w": {"format": "Q1.6"}}),
        plain(parameters={"w": {"rounding": "nearest"}}),
        plain(parameters={"w": {"format": 7, "rounding": "nearest"}}),
    ],
)
def test_a_dict_that_is_not_of_a_config_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r"^data\b.*got"):
        QuantizationConfig.from_dict(data)


def test_a_dict_without_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^parameters\b.*got none"):
        QuantizationConfig.from_dict(plain(parameters={}))


@pytest.mark.parametrize("text", ["", "Q1", "q1.6", "Q1.6 ", "S1.6", "Q20.20", "Q200.-190"])
def test_a_dict_with_an_unknown_format_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"format|between"):
        QuantizationConfig.from_dict(plain(parameters={"w": {"format": text, "rounding": "nearest"}}))


@pytest.mark.parametrize("scheme", ["qat", None])
def test_a_dict_with_an_unknown_scheme_is_refused_by_key(scheme: Any) -> None:
    with pytest.raises(ValueError, match=rf"\bscheme\b.*{scheme!r}"):
        QuantizationConfig.from_dict(plain(scheme=scheme))


@pytest.mark.parametrize("rounding", ["up", None, ["nearest"]])
def test_a_dict_with_an_unknown_rounding_is_refused_by_key(rounding: Any) -> None:
    with pytest.raises(ValueError, match=rf"\brounding\b.*{re.escape(repr(rounding))}"):
        QuantizationConfig.from_dict(plain(parameters={"w": {"format": "Q1.6", "rounding": rounding}}))
