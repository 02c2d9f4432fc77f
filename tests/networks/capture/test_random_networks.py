"""Random networks in coarse formats, whose roundings meet ties and saturate, against torch."""

from __future__ import annotations

import pytest

from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.integer import ValueCoding
from tests.networks.capture.comparison import captured, compare, static, steps_first
from tests.networks.capture.random_networks import random_case

CASES = 12


@pytest.mark.parametrize("seed", range(CASES))
def test_model_is_the_network(seed: int) -> None:
    case = random_case(seed)
    model, frozen = captured(case.network, case.config, case.inputs(0), seed=seed, input_format=case.input_format)
    assert isinstance(model.coding, ValueCoding)
    for number in range(1, 4):
        x = case.inputs(number)
        values = static(x) if case.network.static else steps_first(x)
        compare(model, frozen, x, values, number=number)


def test_all_roundings_occur() -> None:
    roundings = {next(iter(random_case(seed).config.roundings.values())) for seed in range(CASES)}
    assert roundings == set(Rounding)
