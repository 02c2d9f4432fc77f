"""The memory of integer models is what configurations count: constants as flash, states as RAM."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from torch import nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.networks import find_parameters
from qspinn_optuna.parameters import Family
from tests.networks.capture import networks
from tests.networks.capture.comparison import captured, configured
from tests.networks.capture.networks import counts, gaussian, scaled
from tests.networks.capture.test_capture import CASES

STATES = (Family.MEMBRANE, Family.TRACE)
WIDE = QFormat(3, 0, signed=False)


def counted(network: nn.Module, config: QuantizationConfig, shape: tuple[int, ...]) -> Mapping[bool, int]:
    """Bits of states, and of all else, as the search counts them."""
    found = {True: 0, False: 0}
    for parameter in find_parameters(network, counts(*shape)):
        assert parameter.count is not None
        found[parameter.family in STATES] += parameter.count * config[parameter.name].format.bits
    return found


@pytest.mark.parametrize("case", CASES)
def test_constants_and_states(case: str) -> None:
    make, shape = CASES[case]
    network = scaled(make(), 1)
    config = configured(network)
    model, _ = captured(network, config, counts(*shape), input_format=WIDE)
    bits = counted(network, config, shape)
    # Spikes that forward keeps in a variable of its own are no state to the search; nor are the bits of
    # 0.25 and 1, or a second array of weights that are read transposed as well.
    kept = 9 if isinstance(network, networks.HandRecurrence) else 0
    written = {networks.Residual: 1, networks.OwnParameters: 63 * 5 + 1}.get(type(network), 0)
    assert (model.constant_bits - written, model.state_bits - kept) == (bits[False], bits[True])


def test_input_that_is_rounded_is_a_state() -> None:
    network = scaled(networks.DirectCoding(before=False), 3)
    formats = {"input": QFormat(1, 3)}
    with_input, _ = captured(network, configured(network, extra=formats), gaussian(1, 1, 5, 5))
    without, _ = captured(network, configured(network), counts(1, 1, 5, 5))
    assert with_input.state_bits - without.state_bits == 25 * 5
    assert with_input.constant_bits == without.constant_bits
