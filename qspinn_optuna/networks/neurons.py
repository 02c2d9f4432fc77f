"""SpikingJelly's neurons and filters whose whole step is computed in fixed point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from spikingjelly.activation_based import base, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import InexactError
from qspinn_optuna.fixed_point import ParameterQuantization, Rounding, quantize
from qspinn_optuna.fixed_point.simulated_rounding import Draws
from qspinn_optuna.networks.constants import set_constant
from qspinn_optuna.networks.derivation import derive
from qspinn_optuna.networks.fixed_point_classes import fixed_point_class, takes_fixed_point_step
from qspinn_optuna.networks.integrate_and_fire import IntegrateAndFire, charge, integrate_and_fire, never_fires, store
from qspinn_optuna.networks.keyed_draws import DrawSource
from qspinn_optuna.networks.quantizer import ParameterQuantizer
from qspinn_optuna.networks.steps import CountedSteps
from qspinn_optuna.networks.watching import join


@dataclass
class NeuronQuantization:
    """How the states and coefficients of a module are quantized.

    Args:
        module_name: Of the module, for errors.
        states: Format and rounding of every state, by name.
        decays: Decays on their grids, by name; a quantizer where the decay is trained.
        draws: Of the stochastic rounding of every state, by name.
    """

    module_name: str
    states: dict[str, ParameterQuantization]
    decays: dict[str, Tensor | ParameterQuantizer]
    draws: dict[str, DrawSource]

    def start(self, name: str, value: float) -> float:
        """The value of the state's grid nearest to ``value``, for resets."""
        return float(quantize(torch.tensor(value), self.states[name].format, Rounding.NEAREST))

    def store(self, name: str, value: Tensor) -> Tensor:
        """``value`` as the state stores it; errors as in :func:`store_state`."""
        return store_state(join(self.module_name, name), value, self.states[name], self.draws[name].now())


def store_state(name: str, value: Tensor, quantization: ParameterQuantization, draws: Draws) -> Tensor:
    """:func:`~.integrate_and_fire.store`, which names the state that cannot be stored.

    Raises:
        InexactError: If ``value`` is not finite: the step computed what no format holds.
    """
    try:
        return store(value, quantization, draws)
    except ValueError as error:
        raise InexactError(f"{name} cannot be stored in {quantization.format}: {error}") from error


class _FixedPointStep(CountedSteps):
    """Common to the mixins below: fresh states on the grid, sequences as single steps."""

    _quantization: NeuronQuantization

    def materialize_states(
        self, inputs: tuple[Tensor, ...], states: tuple[object, ...], step_mode: str
    ) -> tuple[object, ...]:
        x = inputs[0][0] if step_mode == "m" else inputs[0]
        return tuple(
            value.to(x)
            if isinstance(value, Tensor) and value.shape == x.shape
            else torch.full_like(x, value if isinstance(value, float) else start)
            for value, start in zip(states, self._memories_rv.values(), strict=True)  # type: ignore[attr-defined]
        )

    def multi_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[object, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        result: tuple[tuple[Tensor, ...], tuple[object, ...]] = base.MemoryModule.multi_step_functional_forward(
            self, inputs, states, **kwargs
        )
        return result

    def multi_step_forward(self, x_seq: Tensor, *args: Any, **kwargs: Any) -> Any:
        owner = neuron.BaseNode if isinstance(self, neuron.BaseNode) else base.MemoryModule
        return owner.multi_step_forward(self, x_seq, *args, **kwargs)

    def _decay(self, name: str, learned: Tensor | None = None) -> Tensor:
        decay = self._quantization.decays[name]
        if isinstance(decay, Tensor):
            return decay
        assert learned is not None
        return decay(1 - learned.sigmoid())

    def _fire(self, u: Tensor) -> Tensor:
        threshold = self.v_threshold  # type: ignore[attr-defined]
        spikes: Tensor = torch.zeros_like(u) if never_fires(threshold) else self.surrogate_function(u - threshold)  # type: ignore[attr-defined]
        return spikes


class _IntegrateAndFireStep(_FixedPointStep):
    """IF and LIF neurons: a sequence is one operation."""

    v_threshold: float | Tensor
    v_reset: float | None
    detach_reset: bool
    surrogate_function: Any

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        spikes, v_seq = self._run(inputs[0].unsqueeze(0), states[0])
        # A view would refuse detach_, as truncated backpropagation through time calls it.
        return (spikes[0],), (v_seq[0].clone(),)

    def multi_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        spikes, v_seq = self._run(inputs[0], states[0])
        return (spikes,), (v_seq[-1].clone(),)

    def single_step_forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        owner = neuron.BaseNode if isinstance(self, neuron.BaseNode) else base.MemoryModule
        return owner.single_step_forward(self, x, *args, **kwargs)

    def multi_step_forward(self, x_seq: Tensor, *_: Any, **__: Any) -> Tensor:
        memories: dict[str, Any] = self._memories  # type: ignore[attr-defined]
        (v,) = self.materialize_states((x_seq,), tuple(memories.values()), "m")
        spikes, v_seq = self._run(x_seq, v)
        memories["v"] = v_seq[-1].clone()
        if getattr(self, "store_v_seq", False):
            self.v_seq = v_seq
        return spikes

    def _run(self, x_seq: Tensor, v: Any) -> tuple[Tensor, Tensor]:
        membrane = self._quantization.states["v"]
        leaky = "decay" in self._quantization.decays
        parameters = IntegrateAndFire(
            membrane.format,
            membrane.rounding,
            _number(self.v_threshold),
            None if self.v_reset is None else float(self.v_reset),
            leaky,
            getattr(self, "decay_input", False),
            self.detach_reset,
        )
        decay = self._decay("decay", getattr(self, "w", None)) if leaky else torch.ones(())
        with self.counted(len(x_seq)):
            draws = self._quantization.draws["v"].now()
            return integrate_and_fire(x_seq, v, decay, parameters, self.surrogate_function, draws)


class _TernaryStep(_FixedPointStep):
    """Ternary IF and LIF neurons, which fire -1 below the negative threshold."""

    v_threshold: float | Tensor
    v_reset: float | None
    detach_reset: bool
    surrogate_function: Any

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        decay = self._decay("decay") if "decay" in self._quantization.decays else None
        u = charge(inputs[0], states[0], decay, getattr(self, "decay_input", False), self.v_reset or 0.0)
        positive, negative = self._fire(u), self._fire(-u)
        spike = positive - negative
        event = spike if self.v_reset is None else positive + negative
        kept = _reset(u, event, self.v_threshold, self.v_reset, self.detach_reset)
        with self.counted():
            return (spike,), (self._quantization.store("v", kept),)


class _CurrentBasedStep(_FixedPointStep):
    """Current-based LIF neurons: the current is stored, then charges the membrane."""

    v_threshold: float | Tensor
    v_reset: float | None
    detach_reset: bool
    surrogate_function: Any

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        v, c = states
        quantization = self._quantization
        with self.counted():
            c = quantization.store("c", self._decay("c_decay") * c + inputs[0])
            u = self._decay("v_decay") * v + c
            spike = self._fire(u)
            kept = _reset(u, spike, self.v_threshold, self.v_reset, self.detach_reset)
            return (spike,), (quantization.store("v", kept), c)


class _FilterStep(_FixedPointStep):
    """Synapse filters: a trace that decays where no spike arrives."""

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        x, trace = inputs[0], states[0]
        quantization = self._quantization
        rate = 1 - self._decay("decay", getattr(self, "w", None))
        with self.counted():
            trace = quantization.store("out_i", trace - (1 - x) * trace * rate + x)
        return (trace,), (trace,)


_STEPS: dict[type[nn.Module], type] = {
    neuron.IFNode: _IntegrateAndFireStep,
    neuron.SimpleIFNode: _IntegrateAndFireStep,
    neuron.HalfThresholdIFNode: _IntegrateAndFireStep,
    neuron.LIFNode: _IntegrateAndFireStep,
    neuron.SimpleLIFNode: _IntegrateAndFireStep,
    neuron.ParametricLIFNode: _IntegrateAndFireStep,
    neuron.TernaryIFNode: _TernaryStep,
    neuron.TernaryLIFNode: _TernaryStep,
    neuron.CUBALIFNode: _CurrentBasedStep,
    layer.SynapseFilter: _FilterStep,
}
"""The step of each of :data:`~.fixed_point_classes.FIXED_POINT_CLASSES`."""


REPEATING = (layer.Delay, layer.ElementWiseRecurrentContainer, layer.LinearRecurrentContainer)
"""Modules whose states are what neurons put out, which they pass on at a later step."""


def has_fixed_point_step(module: nn.Module) -> bool:
    """Whether all operations between the roundings of a module's states are sums and products.

    Fixed point computes these exactly, but not exponentials, squares or divisions. Of a class of the user's own it is
    not known, unless the class sets ``fixed_point_step = True``.

    Args:
        module: A module with states, quantized or not.
    """
    return (
        "_quantization" in module.__dict__
        or takes_fixed_point_step(module)
        or isinstance(module, REPEATING)
        or bool(getattr(module, "fixed_point_step", False))
    )


def computes_integrate_and_fire(module: nn.Module) -> bool:
    """Whether a module is of quantized IF or LIF neurons, whose steps :mod:`~.integrate_and_fire` computes."""
    return isinstance(module, _IntegrateAndFireStep)


def quantize_neuron(module: Any, quantization: NeuronQuantization) -> None:
    """Let ``module`` compute in fixed point, in place.

    Args:
        module: One that :func:`~.fixed_point_classes.takes_fixed_point_step`, its threshold on the grid.
        quantization: Of all its states and decays.
    """
    known = fixed_point_class(type(module))
    assert known is not None
    derive(module, _STEPS[known])
    module.__dict__["_quantization"] = quantization
    if getattr(module, "v_reset", None) is not None:
        set_constant(module, "v_reset", torch.tensor(quantization.start("v", float(module.v_reset))))
    for name, start in list(module._memories_rv.items()):
        on_grid = quantization.start(name, float(start))
        module.set_reset_value(name, on_grid)
        module._memories[name] = on_grid


def _number(values: float | Tensor) -> float | Tensor:
    """A float, or one a channel."""
    return values if isinstance(values, Tensor) and values.numel() > 1 else float(values)


def _reset(u: Tensor, event: Tensor, threshold: float | Tensor, reset: float | None, detach: bool) -> Tensor:
    """Potential after a spike; ``event`` is 0 or 1, for soft resets -1 as well."""
    event = event.detach() if detach else event
    return u - event * threshold if reset is None else u * (1 - event) + event * reset
