"""Networks with types and random numbers of their own, in float64."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import encoding, neuron
from torch import Tensor, nn

from qspinn_optuna.config import InexactError
from qspinn_optuna.fixed_point import QFormat, Rounding
from qspinn_optuna.networks import check_exact, fold_batch_norm, freeze_network, quantize_network
from qspinn_optuna.networks.running.precision import DeclaredSingle, DoublePrecision, run_in_double
from tests.networks.builders import config_of, eighths


def frozen(network: nn.Module) -> nn.Module:
    return freeze_network(quantize_network(network, config_of(network)))


class Base(nn.Module):
    """A linear layer of 4 inputs, and neurons."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(20)
        self.linear, self.node = nn.Linear(4, 3), neuron.LIFNode()
        self.table = torch.tensor([0.5, 1.0, 1.0, 2.0])

    def spikes(self, x: Tensor) -> Tensor:
        output: Tensor = self.node(self.linear(x))
        return output


class Cast(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.spikes((x > 0.5).to(torch.float32)).type_as(self.table)


class Filled(Base):
    """Outputs of steps are put into a tensor of the default type."""

    def forward(self, x: Tensor) -> Tensor:
        counts = torch.zeros(3, len(x), 3)
        for step in range(3):
            counts[step] = self.spikes(x * torch.ones(4))
        return counts.sum(0)


class Table(Base):
    """Uses a tensor that is no buffer, and one that numpy made."""

    def forward(self, x: Tensor) -> Tensor:
        return self.spikes(x * self.table + torch.from_numpy(np.eye(4, dtype=np.float32))[0])


class InPlace(Base):
    """Changes its input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.spikes(x.mul_(0.5))


class Noisy(Base):
    """Half of the inputs, drawn anew at each run, in several ways."""

    def forward(self, x: Tensor) -> Tensor:
        drawn = torch.bernoulli(torch.full_like(x, 0.5)) + torch.empty(x.shape).uniform_().round()
        return self.spikes(x * drawn + torch.rand(x.shape, dtype=x.dtype).round() + torch.randn_like(x).sign())


class Rates(Base):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoding.PoissonEncoder()

    def forward(self, x: Tensor) -> Tensor:
        return self.spikes(self.encoder(x / 2))


@pytest.mark.parametrize("make", [Cast, Filled, Table, InPlace, Noisy, Rates])
def test_networks_with_types_of_their_own_are_checked(make: Callable[[], nn.Module]) -> None:
    inputs, network = eighths(5, 4), frozen(make())
    before = torch.random.get_rng_state()
    check_exact(network, inputs)
    assert torch.equal(inputs, eighths(5, 4))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("make", [Cast, Filled, Table])
def test_sums_over_24_bits_are_still_found(make: Callable[[], nn.Module]) -> None:
    """Weights that float32 holds, but not their sums."""
    network = frozen(make())
    linear: Any = network.get_submodule("linear")
    for quantizer in linear._parameter_quantizers.values():
        quantizer.quantization = type(quantizer.quantization)(QFormat(2, 21), Rounding.NEAREST)
    weight = torch.tensor([3.0, 3.0, 2.0**-21, 0.0]).repeat(3, 1)
    linear._parameters["weight"].data.copy_(weight)
    linear._parameters["bias"].data.fill_(3.0)
    with pytest.raises(InexactError, match="linear differs"):
        check_exact(network, torch.ones(2, 4))


def test_ids_and_masks_stay_what_they_are() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(21)
            self.embedding, self.linear, self.node = nn.Embedding(7, 4), nn.Linear(4, 3), neuron.IFNode()

        def forward(self, ids: Tensor) -> Tensor:
            assert ids.dtype == torch.int64
            spikes: Tensor = self.node(self.linear(self.embedding(ids)))
            return spikes.masked_fill(ids[..., None] == 0, 0.0)

    check_exact(frozen(Tokens()), torch.randint(0, 7, (4, 5)))
    flags = nn.Sequential(nn.Flatten(), nn.Identity())
    assert run_in_double(flags, torch.ones(2, 3, dtype=torch.bool)).dtype == torch.bool


def test_float64_is_computed_in_float64_and_draws_are_those_of_float32() -> None:
    """A third has digits that float32 does not hold; draws of float32 are multiples of 2**-24."""
    third = torch.tensor([3.0])
    with DoublePrecision():
        inverse = 1 / third.float()
        torch.manual_seed(22)
        drawn = [torch.rand(5), torch.rand(5, dtype=torch.float64), torch.empty(5).uniform_()]
    torch.manual_seed(22)
    expected = [torch.rand(5), torch.rand(5), torch.empty(5).uniform_()]
    assert inverse.dtype == torch.float64
    assert float(inverse) == 1 / 3
    for one, other in zip(drawn, expected, strict=True):
        assert one.dtype == torch.float64
        assert torch.equal(one, other.double())
    assert torch.zeros(1).dtype == torch.float32


class Strict(Base):
    """Refuses float64, each layer too, and chooses a constant by the type."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.dtype == torch.float32
        assert x.type() == "torch.FloatTensor"
        current = self.linear(x)
        if current.dtype not in (torch.float32, torch.bfloat16):
            raise TypeError("current must be float32")
        assert self.linear.weight.dtype is torch.float32
        smallest = {torch.float32: 0.25, torch.float64: 0.125}[x.dtype]
        spikes: Tensor = self.node(current + torch.full((3,), smallest, dtype=x.dtype))
        return spikes


def test_checks_for_float32_hold_in_what_is_computed_in_float64() -> None:
    network, inputs = frozen(Strict()), eighths(5, 4)
    check_exact(network, inputs)
    assert run_in_double(network, inputs).dtype == torch.float64
    assert torch.equal(run_in_double(frozen(Strict()), inputs), frozen(Strict())(inputs).double())
    large = torch.tensor([3.0])
    with DeclaredSingle(), DoublePrecision():
        kept = (large.double() / 7).to(large.dtype)
        assert kept.dtype == torch.float32
    assert float(kept) == 3 / 7


def test_networks_that_are_given_float64_are_told_so() -> None:
    class Double(Base):
        def forward(self, x: Tensor) -> Tensor:
            assert x.dtype == torch.float64
            return self.spikes(x)

    assert run_in_double(Double(), eighths(5, 4).double()).dtype == torch.float64


def test_a_network_with_a_check_for_float32_is_folded() -> None:
    class Checked(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            assert x.dtype == torch.float32
            y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
            return y

    network = Checked(nn.Linear(4, 3), nn.BatchNorm1d(3)).eval()
    inputs = eighths(5, 4)
    assert torch.allclose(fold_batch_norm(network, inputs)(inputs), network(inputs))


def test_forwards_that_refuse_float64_are_refused_with_their_reason() -> None:
    class Stricter(Base):
        def forward(self, x: Tensor) -> Tensor:
            if not isinstance(x, torch.FloatTensor):
                raise TypeError("x must be float32")
            return self.spikes(x)

    with pytest.raises(ValueError, match=r"^network must run .* in float64 .* TypeError: x must be float32"):
        check_exact(frozen(Stricter()), eighths(5, 4))


class Unseeded(Base):
    """Draws outside of torch."""

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.draw = draw

    def forward(self, x: Tensor) -> Tensor:
        return self.spikes(x * round(8 * self.draw()) / 8)


@pytest.mark.parametrize(
    ("draw", "source"),
    [(random.random, "Python's random"), (lambda: float(np.random.rand()), "numpy.random")],  # noqa: NPY002
)
def test_draws_that_no_seed_of_torch_repeats_are_refused(draw: Callable[[], float], source: str) -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    with pytest.raises(ValueError, match=f"^network draws differently .* uses {source},") as caught:
        check_exact(frozen(Unseeded(draw)), eighths(5, 4))
    assert not isinstance(caught.value, InexactError)
