"""The layer of the STDP network: leaky integrate-and-fire neurons of which one spikes at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat
from qspinn_optuna.fixed_point.integer_rounding import MAX_DROP, ROUNDING_NUMBERS, CodeRounding
from qspinn_optuna.integer.accumulators import Accumulators, Interval, hull, range_of, range_of_sums, signed_width
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.node import Node, check_has_zero, check_whole

_ONE = Codes(np.array([1]), QFormat(1, 0, signed=False))
"""The scale of neurons that have none."""


class NeuronConstants(NamedTuple):
    """What a step computes with: codes of the membrane's format, and the shifts that align the other formats.

    A charged membrane is ``(decay * u << decay_shift) + (scale * current << current_shift)``, which ``rounding`` brings
    back to a code. A margin is ``(u - threshold << membrane_shift) - (theta << theta_shift)``.

    Example:
        >>> stdp_layer.constants.decay_shift, stdp_layer.constants.current_shift
        (0, 3)
    """

    decay: int
    threshold: int
    reset: int
    inhibition: int
    refractory_steps: int
    decay_shift: int
    current_shift: int
    membrane_shift: int
    theta_shift: int
    rounding: CodeRounding


@dataclass(frozen=True, eq=False)
class WinnerTakeAll(Node):
    """A layer of neurons of which at most one spikes at a step.

    Before a sample, all membranes u are 0 and no neuron is refractory. A step t with input spikes s charges every
    neuron j that is not refractory, with R the rounding and saturation of the membrane::

        u[j]  <-  R(decay * u[j] + scale[j] * sum_i s[i] * weight[i, j])

    Of the neurons that are not refractory and have ``u >= threshold + theta``, the one that is furthest above spikes
    (the first of equals). ``inhibition`` is taken from all membranes, saturating, then the winner's goes to ``reset``
    and is held for ``refractory_steps`` steps. Stochastic rounding takes the upper 32 bits of draw j of the stream
    that the model's seed, the purpose MEMBRANE, the sample and the step key.

    Example:
        >>> stdp_layer.inputs, stdp_layer.neurons, stdp_layer.state_bits
        (2, 2, 18)

    Args:
        weight: Codes of the weights, [inputs, neurons].
        scale: Codes of the factors of the neurons' weights, [neurons]; None if there are none.
        theta: Codes of the adapted part of the thresholds, [neurons].
        decay: Code of the factor of a membrane in a step, [1].
        membrane: Format of the membranes, and their rounding.
        threshold: Code of the common part of the thresholds, in the membrane's format.
        reset: Code of a membrane after a spike.
        inhibition: Code of what a spike takes from the other membranes.
        refractory_steps: Steps for which a membrane is held after a spike.

    Attributes:
        accumulators: Widths that a device needs.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If shapes do not fit, a code is outside its format, or no accumulator of 64 bits is wide enough.
    """

    weight: Codes
    scale: Codes | None
    theta: Codes
    decay: Codes
    membrane: ParameterQuantization
    threshold: int
    reset: int
    inhibition: int
    refractory_steps: int
    accumulators: Accumulators = field(init=False)

    def __post_init__(self) -> None:
        for name in ("weight", "theta", "decay", *([] if self.scale is None else ["scale"])):
            if not isinstance(getattr(self, name), Codes):
                raise TypeError(f"{name} must be Codes, got {type(getattr(self, name)).__name__}.")
            check_has_zero(name, getattr(self, name).format)
        if not isinstance(self.membrane, ParameterQuantization):
            raise TypeError(f"membrane must be a ParameterQuantization, got {self.membrane!r}.")
        if len(self.weight.shape) != 2:
            raise ValueError(f"weight must have the shape [inputs, neurons], got {self.weight.shape}.")
        shapes = {"scale": (self.neurons,), "theta": (self.neurons,), "decay": (1,)}
        for name, shape in shapes.items():
            codes = getattr(self, name)
            if codes is not None and codes.shape != shape:
                raise ValueError(f"{name} must have the shape {shape}, got {codes.shape}.")
        fmt = self.membrane.format
        for name in ("threshold", "reset", "inhibition"):
            check_whole(name, getattr(self, name), fmt.min_code, fmt.max_code)
        check_whole("refractory_steps", self.refractory_steps, 0)
        object.__setattr__(self, "accumulators", self._needed_accumulators())

    @property
    def inputs(self) -> int:
        """Inputs of the layer."""
        return self.weight.shape[0]

    @property
    def neurons(self) -> int:
        """Neurons of the layer."""
        return self.weight.shape[1]

    @cached_property
    def constants(self) -> NeuronConstants:
        """The constants of a step, aligned."""
        membrane = self.membrane.format
        # Bits after the binary point of a decayed membrane, a scaled current, and both added.
        decayed = self.decay.format.fraction_bits + membrane.fraction_bits
        scaled = self._scale.format.fraction_bits + self.weight.format.fraction_bits
        summed = max(decayed, scaled, membrane.fraction_bits)
        compared = max(membrane.fraction_bits, self.theta.format.fraction_bits)
        return NeuronConstants(
            decay=int(self.decay.array[0]),
            threshold=self.threshold,
            reset=self.reset,
            inhibition=self.inhibition,
            refractory_steps=self.refractory_steps,
            decay_shift=summed - decayed,
            current_shift=summed - scaled,
            membrane_shift=compared - membrane.fraction_bits,
            theta_shift=compared - self.theta.format.fraction_bits,
            rounding=CodeRounding(
                drop=summed - membrane.fraction_bits,
                rounding=ROUNDING_NUMBERS[self.membrane.rounding],
                lowest=membrane.min_code,
                highest=membrane.max_code,
            ),
        )

    @property
    def scale_codes(self) -> Codes:
        """Factor of each neuron's weights, [neurons]; ones if there is no scale."""
        return Codes(np.broadcast_to(self._scale.array, (self.neurons,)), self._scale.format)

    @property
    def constant_bits(self) -> int:
        """Memory of what does not change. The voltages that all neurons share are part of the program."""
        return sum(codes.bits for codes in (self.weight, self.scale, self.theta, self.decay) if codes is not None)

    @property
    def state_bits(self) -> int:
        """Memory of what changes: membranes, and the numbers of the neurons that spiked in the refractory steps."""
        held = self.neurons.bit_length()
        return self.neurons * self.membrane.format.bits + self.refractory_steps * held

    @property
    def _scale(self) -> Codes:
        return _ONE if self.scale is None else self.scale

    def _needed_accumulators(self) -> Accumulators:
        constants = self.constants
        to = constants.rounding
        if to.drop > MAX_DROP:
            raise ValueError(f"at most {MAX_DROP} bits can be dropped from a charged membrane, got {to.drop}.")
        u = Interval(to.lowest, to.highest)
        current = range_of_sums(self.weight.array)
        decayed = u.times(Interval(constants.decay, constants.decay)) << constants.decay_shift
        scaled = current.times(range_of(self._scale.array)) << constants.current_shift
        rounded = decayed + scaled + Interval(0, (1 << to.drop) - 1)
        inhibited = u + -Interval(constants.inhibition, constants.inhibition)
        over = u + -Interval(constants.threshold, constants.threshold) << constants.membrane_shift
        theta = range_of(self.theta.array) << constants.theta_shift
        return Accumulators(
            current=signed_width(current),
            charged=signed_width(hull([decayed, scaled, decayed + scaled, rounded, inhibited])),
            margin=signed_width(hull([over, theta, over + -theta, Interval(-1, 0)])),
        )
