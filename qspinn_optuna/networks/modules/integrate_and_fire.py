"""Integrate-and-fire neurons in fixed point: the step, a sequence of steps, and its gradient.

Codes are membrane potentials times ``2**n``, n the fraction bits of the membrane's format, so stored ones are integers.
With e = 1 - d for a decay d, and R rounding to integers, a step charges, fires, and resets::

    u = v + e * (v_reset - v) + x           # v + e * (v_reset + x - v) if the input decays too
    s = u >= v_threshold
    v = clamp(R(v_reset if s else u))       # clamp(R(u - s * v_threshold)) if the reset is soft

which an accumulator of 24 bits computes from the codes of v, d and x: it holds the product with all its digits and
adds the input, and what it gives is rounded once, when it is stored in the membrane's format. (Rounding the product by
itself, as well, costs accuracy where membranes are narrow: with two bits, decays above 3/4 would be none at all.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding, quantize
from qspinn_optuna.fixed_point.exporting import is_exporting
from qspinn_optuna.fixed_point.keyed_rounding import KeyedDraws
from qspinn_optuna.fixed_point.simulated_rounding import Draws, round_positions
from qspinn_optuna.fixed_point.values import check_values
from qspinn_optuna.networks.modules import sequence_kernel
from qspinn_optuna.networks.modules.quantizer import straight_through

_LARGEST_THRESHOLD = 2.0**76
"""Beyond which no format has a number."""

Surrogate = Callable[[Tensor], Tensor]
"""A step function at 0 with a gradient of its own."""


class IntegrateAndFire(NamedTuple):
    """Parameters of a layer of neurons, all on their grids.

    Attributes:
        membrane: Format of stored potentials.
        rounding: Of the stored potential.
        threshold: At which a neuron fires, or one a channel; infinity if it never does.
        reset: Potential after a spike; None subtracts the threshold instead.
        leaky: Whether the potential decays.
        decay_input: Whether the input is scaled by 1 - decay too.
        detach_reset: Whether the gradient passes by the reset.
    """

    membrane: QFormat
    rounding: Rounding
    threshold: float | Tensor
    reset: float | None
    leaky: bool
    decay_input: bool
    detach_reset: bool


def integrate_and_fire(
    x_seq: Tensor,
    v: Tensor,
    decay: Tensor,
    parameters: IntegrateAndFire,
    surrogate: Surrogate,
    draws: Draws = None,
) -> tuple[Tensor, Tensor]:
    """Run a layer over a sequence.

    Args:
        x_seq: Input currents, [steps, ...].
        v: Potentials before the first step, on the grid of the membrane, [...].
        decay: Factor of the potential in a step, a scalar or one a channel, on its grid; not used unless
            ``parameters.leaky``.
        parameters: The neurons.
        surrogate: Its gradient is that of firing.
        draws: Of stochastic rounding: keyed ones, which are those of the first step, or a generator, of which a step
            takes one ``torch.rand(v.shape)``.

    Returns:
        Spikes (0 or 1) and potentials on the grid after every step, both [steps, ...].
    """
    trained = torch.is_grad_enabled() and (x_seq.requires_grad or v.requires_grad or decay.requires_grad)
    if not trained or is_exporting():
        inputs = x_seq.detach(), v.detach(), decay.detach()
        spikes, _, v_seq = _run(*inputs, parameters, draws, keep_charged=False)
        return spikes, v_seq
    result: tuple[Tensor, Tensor] = _Sequence.apply(x_seq, v, decay, parameters, surrogate, draws)  # type: ignore[no-untyped-call]
    return result


def charge(x: Tensor, v: Tensor, decay: Tensor | None, decay_input: bool, reset: float) -> Tensor:
    """Potential before firing, with all its digits.

    Args:
        x: Input.
        v: Potential after the step before.
        decay: Part of it that remains; None if all does.
        decay_input: Whether the input is scaled by 1 - decay too.
        reset: What the potential decays to.
    """
    if decay is None:
        return v + x
    if decay_input:
        return v + (1 - decay) * (x + (reset - v))
    return (v * decay if reset == 0 else v + (1 - decay) * (reset - v)).add_(x)


def never_fires(threshold: float | Tensor) -> bool:
    """Whether neurons are leaky integrators, as readouts are: their threshold is infinite, or beyond all formats."""
    return not isinstance(threshold, Tensor) and threshold > _LARGEST_THRESHOLD


def store(y: Tensor, quantization: ParameterQuantization, draws: Draws) -> Tensor:
    """:func:`quantize`, with keyed draws too, and the same draws whatever the type of ``y``: float64 repeats them."""
    fmt, rounding = quantization.format, quantization.rounding
    keyed = isinstance(draws, KeyedDraws)
    if rounding is not Rounding.STOCHASTIC or (not keyed and y.dtype == torch.float32 and y.device.type == "cpu"):
        return quantize(y, fmt, rounding, None if isinstance(draws, KeyedDraws) else draws)
    if keyed and not is_exporting():
        check_values(y)
    codes = y.detach().clamp(fmt.min, fmt.max).mul_(2.0**fmt.fraction_bits)
    grid = round_positions(codes, rounding, draws) * fmt.resolution
    return straight_through(y, grid, fmt) if y.requires_grad and torch.is_grad_enabled() else grid


def _run(
    x_seq: Tensor,
    v: Tensor,
    decay: Tensor,
    parameters: IntegrateAndFire,
    draws: Draws,
    *,
    keep_charged: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, potentials before firing (if they are kept, else nothing), and stored potentials of a sequence."""
    dynamics = _dynamics(x_seq, v, decay, parameters)
    if dynamics is not None:
        return sequence_kernel.run(x_seq, v, dynamics, keep_charged=keep_charged)
    fmt, rounding = parameters.membrane, parameters.rounding
    scale = 2.0**fmt.fraction_bits
    never = never_fires(parameters.threshold)
    threshold = math.inf if never else parameters.threshold * scale
    reset = None if parameters.reset is None else parameters.reset * scale
    spikes, v_seq = torch.empty_like(x_seq), torch.empty_like(x_seq)
    u_seq = torch.empty_like(x_seq) if keep_charged else x_seq[:0]
    code = v * scale
    for step, x in enumerate(x_seq):
        u = charge(x * scale, code, decay if parameters.leaky else None, parameters.decay_input, reset or 0.0)
        if keep_charged:
            torch.mul(u, fmt.resolution, out=u_seq[step])
        fired = u >= threshold
        spikes[step] = fired
        if reset is not None:
            kept = u.masked_fill_(fired, reset)
        elif never:
            kept = u
        else:
            kept = u.sub_(fired * threshold)
        drawn = draws.after(step) if isinstance(draws, KeyedDraws) else draws
        code = round_positions(kept.clamp_(fmt.min_code, fmt.max_code), rounding, drawn)
        torch.mul(code, fmt.resolution, out=v_seq[step])
    return spikes, u_seq, v_seq


def _dynamics(x_seq: Tensor, v: Tensor, decay: Tensor, parameters: IntegrateAndFire) -> sequence_kernel.Dynamics | None:
    """What the kernels compute; None if they do not take these neurons."""
    threshold = parameters.threshold
    if is_exporting() or not sequence_kernel.serves(x_seq, v, decay, parameters.rounding, threshold):
        return None
    assert not isinstance(threshold, Tensor)
    return sequence_kernel.dynamics_of(
        parameters.membrane,
        parameters.rounding,
        math.inf if never_fires(threshold) else threshold,
        parameters.reset,
        float(decay) if parameters.leaky else 1.0,
        parameters.leaky and parameters.decay_input,
        parameters.detach_reset,
    )


class _Sequence(torch.autograd.Function):
    """A sequence of steps in codes. Backward: straight through the roundings, zero where storing saturates.

    NOTE: step by step throughout, since a step's values stay in the cache, and those of a sequence do not.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_seq: Tensor,
        v: Tensor,
        decay: Tensor,
        parameters: IntegrateAndFire,
        surrogate: Surrogate,
        draws: Draws,
    ) -> tuple[Tensor, Tensor]:
        spikes, u_seq, v_seq = _run(x_seq, v, decay, parameters, draws, keep_charged=True)
        ctx.save_for_backward(x_seq, v, v_seq, u_seq, spikes, decay)
        ctx.parameters, ctx.surrogate = parameters, surrogate
        ctx.set_materialize_grads(False)
        return spikes, v_seq

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x_seq, v_first, v_seq, u_seq, spikes, decay = ctx.saved_tensors
        parameters: IntegrateAndFire = ctx.parameters
        spike_gradient, v_gradient = gradients
        factor: Any = (decay if decay.ndim else float(decay)) if parameters.leaky else 1.0
        input_factor = 1 - factor if parameters.leaky and parameters.decay_input else 1.0
        learns_decay = ctx.needs_input_grad[2] and parameters.leaky
        dynamics = _dynamics(x_seq, v_first, decay, parameters)
        alpha = sequence_kernel.arc_tangent(ctx.surrogate)
        if dynamics is not None and alpha is not None and not learns_decay:
            of_inputs, of_first = sequence_kernel.gradients(u_seq, spikes, spike_gradient, v_gradient, dynamics, alpha)
            return of_inputs, of_first, None, None, None, None
        decay_gradient = torch.zeros_like(decay) if learns_decay else None
        x_gradient = torch.empty_like(u_seq)
        carried = torch.zeros_like(v_first)
        for step in range(len(u_seq) - 1, -1, -1):
            slope = _slope(ctx.surrogate, u_seq[step], parameters.threshold)
            if v_gradient is not None:
                carried = carried + v_gradient[step]
            u_gradient = carried.mul_(_reset_gradient(u_seq[step], spikes[step], slope, parameters))
            if spike_gradient is not None:
                u_gradient.addcmul_(slope, spike_gradient[step])
            torch.mul(u_gradient, input_factor, out=x_gradient[step])
            if decay_gradient is not None:
                driven = (v_seq[step - 1] if step else v_first) - (parameters.reset or 0.0)
                driven = driven - x_seq[step] if parameters.decay_input else driven
                decay_gradient += (u_gradient * driven).sum()
            carried = u_gradient.mul_(factor)
        return x_gradient, carried, decay_gradient, None, None, None


def _slope(surrogate: Surrogate, u: Tensor, threshold: float | Tensor) -> Tensor:
    """Derivative of the surrogate, element by element."""
    if never_fires(threshold):
        return torch.zeros_like(u)
    with torch.enable_grad():
        distance = (u - threshold).detach().requires_grad_()
        return torch.autograd.grad(surrogate(distance).sum(), distance)[0]


def _reset_gradient(u: Tensor, spikes: Tensor, slope: Tensor, parameters: IntegrateAndFire) -> Tensor:
    """Derivative of the stored potential by the potential before firing."""
    fmt = parameters.membrane
    if parameters.reset is None:
        # NOTE: an infinite threshold times no spike is not a number.
        subtracted = 0.0 if never_fires(parameters.threshold) else parameters.threshold
        kept = u - spikes * subtracted
        derivative = torch.ones_like(u) if parameters.detach_reset else 1 - slope * subtracted
        return derivative.mul_((kept >= fmt.min) & (kept <= fmt.max))
    if parameters.detach_reset:
        return ((u >= fmt.min) & (u <= fmt.max)).to(u.dtype).mul_(1 - spikes)
    derivative = 1 - spikes + (parameters.reset - u) * slope
    # The reset potential is on the grid, hence within the range.
    return derivative.mul_(((u >= fmt.min) & (u <= fmt.max)).logical_or_(spikes > 0))
