"""Layers of integrate-and-fire neurons in a single pass over memory, which is what takes the time of training.

Both kernels take a block of neurons through all steps before they begin with the next, so that its potentials stay in
the cache. The equations, and the operations they are rounded by in float32, are those of :mod:`~.integrate_and_fire`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from spikingjelly.activation_based import surrogate
from torch import Tensor

from qspinn_optuna.fixed_point import QFormat, Rounding

_SMALLEST = 1 << 10
"""Neurons times steps from which the kernels are worth their compilation."""

_BLOCK = 2048
"""Neurons of a block."""

_Floats = npt.NDArray[np.float32]


class Dynamics(NamedTuple):
    """What a step computes, as the kernels know it; in units of the potential.

    Args:
        threshold: At which a neuron fires; infinity if it never does.
        reset: Potential after a spike, and what the potential decays to.
        soft: Whether the threshold is subtracted instead.
        decay: Part of the potential that remains; 1 if all does.
        decay_input: Whether the input is scaled by 1 - decay too.
        detach_reset: Whether the gradient passes by the reset.
        resolution: Of the membrane's format.
        low: Smallest code.
        high: Largest code.
        half: What is added to a code before it is cut: 1/2 to nearest, 0 to truncate.
    """

    threshold: np.float32
    reset: np.float32
    soft: bool
    decay: np.float32
    decay_input: bool
    detach_reset: bool
    resolution: np.float32
    low: np.float32
    high: np.float32
    half: np.float32


def dynamics_of(
    membrane: QFormat,
    rounding: Rounding,
    threshold: float,
    reset: float | None,
    decay: float,
    decay_input: bool,
    detach_reset: bool,
) -> Dynamics:
    """The parameters as the kernels take them; see :class:`~.integrate_and_fire.IntegrateAndFire`."""
    numbers = (
        threshold,
        reset or 0.0,
        decay,
        membrane.resolution,
        membrane.min_code,
        membrane.max_code,
        0.5 if rounding is Rounding.NEAREST else 0.0,
    )
    threshold_, reset_, decay_, resolution, low, high, half = (np.float32(number) for number in numbers)
    return Dynamics(threshold_, reset_, reset is None, decay_, decay_input, detach_reset, resolution, low, high, half)


def serves(x_seq: Tensor, v: Tensor, decay: Tensor, rounding: Rounding, threshold: float | Tensor) -> bool:
    """Whether the kernels take a layer: of one decay and one threshold, in float32 on the CPU, without draws."""
    return (
        x_seq.numel() >= _SMALLEST
        and rounding is not Rounding.STOCHASTIC
        and not isinstance(threshold, Tensor)
        and decay.numel() == 1
        and all(one.dtype == torch.float32 and one.device.type == "cpu" for one in (x_seq, v, decay))
        and v.shape == x_seq.shape[1:]
        and not torch.compiler.is_compiling()
    )


def run(x_seq: Tensor, v: Tensor, dynamics: Dynamics, *, keep_charged: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, potentials before firing (if they are kept, else nothing), and stored potentials of a sequence.

    Args:
        x_seq: Input currents, [steps, ...].
        v: Potentials before the first step, on the grid of the membrane, [...].
        dynamics: What a step computes.
        keep_charged: Whether the potentials before firing are kept.
    """
    inputs = x_seq.contiguous()
    spikes, stored = torch.empty_like(inputs), torch.empty_like(inputs)
    charged = torch.empty_like(inputs) if keep_charged else inputs[:0]
    kernel: Any = _run
    kernel(_rows(inputs), _row(v), _rows(spikes), _rows(charged), _rows(stored), dynamics)
    return spikes, charged, stored


def gradients(
    charged: Tensor,
    spikes: Tensor,
    of_spikes: Tensor | None,
    of_stored: Tensor | None,
    dynamics: Dynamics,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """Gradients of the inputs, and of the potentials before the first step, where spikes have the slope of ATan.

    Args:
        charged: Potentials before firing, [steps, ...].
        spikes: Of the same shape.
        of_spikes: Gradients of the spikes, of the same shape, or None if they have none.
        of_stored: Gradients of the stored potentials, likewise.
        dynamics: What a step computes.
        alpha: Of the surrogate function.
    """
    of_inputs = torch.empty_like(charged)
    of_first = torch.empty_like(charged[0])
    nothing = charged[:0]
    given = [nothing if one is None else one.contiguous() for one in (of_spikes, of_stored)]
    kernel: Any = _gradients
    arrays = [_rows(one) for one in (charged, spikes, *given, of_inputs)]
    kernel(*arrays, _row(of_first), dynamics, np.float32(alpha))
    return of_inputs, of_first


def arc_tangent(function: object) -> float | None:
    """The alpha of an arc tangent, whose slope the kernel knows; None of any other surrogate function."""
    known: Any = function
    return float(known.alpha) if type(function) is surrogate.ATan and known.spiking else None


def _rows(sequence: Tensor) -> _Floats:
    """[steps, neurons]."""
    array: _Floats = sequence.detach().reshape(len(sequence), -1 if len(sequence) else 0).numpy()
    return array


def _row(state: Tensor) -> _Floats:
    array: _Floats = state.detach().contiguous().view(-1).numpy()
    return array


@njit(cache=True, nogil=True, error_model="numpy")
def _run(
    inputs: _Floats, first: _Floats, spikes: _Floats, charged: _Floats, stored: _Floats, dynamics: Dynamics
) -> None:
    one, zero = np.float32(1.0), np.float32(0.0)
    scale = one / dynamics.resolution
    threshold, reset = dynamics.threshold * scale, dynamics.reset * scale
    decay, lost = dynamics.decay, one - dynamics.decay
    low, high, half, resolution = dynamics.low, dynamics.high, dynamics.half, dynamics.resolution
    codes = np.empty(_BLOCK, np.float32)
    for start in range(0, first.size, _BLOCK):
        size = min(_BLOCK, first.size - start)
        for i in range(size):
            codes[i] = first[start + i] * scale
        for step in range(inputs.shape[0]):
            x, s, v = inputs[step, start:], spikes[step, start:], stored[step, start:]
            u = charged[step, start:] if charged.shape[0] else v
            for i in range(size):
                code, current = codes[i], x[i] * scale
                if dynamics.decay_input:
                    code = code + lost * (current + (reset - code))
                elif reset == zero:
                    code = code * decay + current
                else:
                    code = (code + lost * (reset - code)) + current
                u[i] = code * resolution
                fired = one if code >= threshold else zero
                s[i] = fired
                if dynamics.soft:
                    code = code - threshold if fired > zero else code
                else:
                    code = reset if fired > zero else code
                # NOTE: not a number stays what it is, so that a training that diverged is found.
                code = low if code < low else code
                code = high if code > high else code
                code = np.floor(code + half)
                codes[i] = code
                v[i] = code * resolution


@njit(cache=True, nogil=True, error_model="numpy")
def _gradients(
    charged: _Floats,
    spikes: _Floats,
    of_spikes: _Floats,
    of_stored: _Floats,
    of_inputs: _Floats,
    of_first: _Floats,
    dynamics: Dynamics,
    alpha: Any,
) -> None:
    one, zero = np.float32(1.0), np.float32(0.0)
    steepest, stretch = alpha / np.float32(2.0), np.float32(np.pi) * (alpha / np.float32(2.0))
    threshold, reset, decay = dynamics.threshold, dynamics.reset, dynamics.decay
    lowest, highest = dynamics.low * dynamics.resolution, dynamics.high * dynamics.resolution
    of_input = one - decay if dynamics.decay_input else one
    fires = threshold < np.float32(np.inf)
    for start in range(0, of_first.size, _BLOCK):
        size = min(_BLOCK, of_first.size - start)
        carried = of_first[start : start + size]
        carried[:] = zero
        for step in range(charged.shape[0] - 1, -1, -1):
            potentials, fired = charged[step, start:], spikes[step, start:]
            gx = of_inputs[step, start:]
            if of_stored.shape[0]:
                gv = of_stored[step, start:]
                for i in range(size):
                    carried[i] += gv[i]
            for i in range(size):
                u, s = potentials[i], fired[i]
                distance = stretch * (u - threshold)
                slope = steepest / (one + distance * distance) if fires else zero
                kept = u - s * threshold if dynamics.soft and fires else u
                inside = one if (kept >= lowest) & (kept <= highest) else zero
                if dynamics.soft:
                    through = one if dynamics.detach_reset or not fires else one - slope * threshold
                elif dynamics.detach_reset:
                    through = one - s
                else:
                    # The reset potential is on the grid, hence within the range.
                    inside = one if s > zero else inside
                    through = one - s + (reset - u) * slope
                gradient = carried[i] * (through * inside)
                if of_spikes.shape[0]:
                    gradient += slope * of_spikes[step, start + i]
                gx[i] = gradient * of_input
                carried[i] = gradient * decay
