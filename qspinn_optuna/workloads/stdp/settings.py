"""Settings of the unsupervised STDP network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qspinn_optuna.vocabulary import Vocabulary

_ANCHOR = 400
"""Neurons of the network whose settings the others scale."""

_LARGE = 750
"""Neurons from which several answer an image."""

_VERY_LARGE = 3_000
"""Neurons from which one sees too few of 10,000 label images."""


class ReadoutKind(Vocabulary):
    """What makes classes of the neurons' spikes.

    Example:
        >>> [kind.value for kind in ReadoutKind]
        ['vote', 'class_weights']
    """

    VOTE = "vote"
    """Each neuron stands for one class; the class whose neurons spike most on average is the answer."""

    CLASS_WEIGHTS = "class_weights"
    """Each neuron has a weight for every class, of a few bits; the largest sum over all spikes is the answer."""


@dataclass(frozen=True)
class STDPSettings:
    """Size, dynamics and learning of the network; voltages in mV, times in steps of 1 ms.

    One fully connected layer with one spike at a time: a simplification of Diehl and Cook (2015,
    https://doi.org/10.3389/fncom.2015.00099) with delta synapses and direct inhibition in place of their inhibitory
    neurons. The membrane is counted from the resting potential.

    Example:
        >>> STDPSettings.for_neurons(1_600).neurons
        1600

    Args:
        neurons: Number of neurons.
        epochs: Passes over the training images.
        steps: Time steps for which an image is shown.
        input_rate: Probability of a spike per step of a white pixel.
        membrane_tau: Time constant of the membrane's decay.
        threshold: Part of the firing threshold that all neurons share; the adaptive part, theta, comes on top.
        reset: Membrane after a spike.
        refractory_steps: Steps after a spike in which the membrane is held.
        inhibition: What a spike takes from the membrane of every other neuron, in training.
        inference_inhibition: The same when images are classified, to which thresholds adapt once more, those of the
            float network, too; as in training if None.
        theta_step: Growth of theta with a spike of its neuron, in training.
        theta_tau: Time constant of theta's decay, in training.
        trace_tau: Time constant of the pre-synaptic trace.
        trace_offset: Trace at which a post-synaptic spike leaves the weight as it is.
        learning_rate: Learning rate at the start.
        final_learning_rate: Learning rate at the end, reached exponentially.
        weight_sum: Sum of a neuron's weights, as a fraction of the number of inputs, to which they are normalized
            after every image in which it fired.
        initial_weight_power: Initial weights are uniform draws to this power, then normalized. A power over 1 leaves
            some that are large enough for the codes of 1-bit weights.
        readout: What makes classes of the neurons' spikes.
        label_images: The last training images, from whose responses neurons get their class, or class weights; all if
            there are fewer.
        adaptation_images: The first training images, from which thresholds are adapted again after quantization;
            0 leaves them as they were.
        adaptation_theta_step: Growth of theta with a spike, in that adaptation.
        adaptation_theta_tau: Time constant of theta's decay, in that adaptation.
        scale_per_neuron: Whether a stored factor for each neuron makes up for the weight its codes lose.
        shadow: Whether in-training quantization keeps float weights beside the narrow ones. They are gone after
            training, but a device that learns has to store them.
        voltage_range: Formats of membranes and theta reach from -voltage_range or 0 to a step below voltage_range, and
            values beyond saturate.
        minimum_input_spikes: Inputs with fewer spikes than this, on average over the training images, are dropped
            with their weights; 0 drops those that never spike.

    Raises:
        TypeError: If a value is no number, or not whole where it counts.
        ValueError: If a value is outside its range.
    """

    neurons: int = 400
    epochs: int = 1
    steps: int = 100
    input_rate: float = 0.25
    membrane_tau: float = 100.0
    threshold: float = 8.0
    reset: float = 5.0
    refractory_steps: int = 5
    inhibition: float = 300.0
    inference_inhibition: float | None = None
    theta_step: float = 1.0
    theta_tau: float = 2.7e6
    trace_tau: float = 12.0
    trace_offset: float = 0.13
    learning_rate: float = 0.12
    final_learning_rate: float = 0.005
    weight_sum: float = 0.1
    initial_weight_power: float = 2.0
    readout: ReadoutKind = ReadoutKind.VOTE
    label_images: int = 10_000
    adaptation_images: int = 5_000
    adaptation_theta_step: float = 1.0
    adaptation_theta_tau: float = 9e6
    scale_per_neuron: bool = True
    shadow: bool = True
    voltage_range: float = 512.0
    minimum_input_spikes: float = 0.0

    @classmethod
    def for_neurons(cls, neurons: int) -> STDPSettings:
        """Settings for a size of the network, for tens of thousands of training images.

        The more neurons there are, the less often each wins, and the more its threshold has to grow with a spike:
        in equilibrium, the spikes of an image are neurons * theta * steps / theta_tau / theta_step, and about three are
        best, at a theta of about 300. Small networks need more input and the full inhibition to tell digits apart; of
        large ones, several neurons should answer an image, so the inhibition is softer when images are classified.

        Args:
            neurons: Number of neurons: made for 100 to 6,400.
        """
        size = neurons / _ANCHOR
        small = neurons < _LARGE
        theta_step = (2.5 if small else 1.5) * size
        return cls(
            neurons=neurons,
            epochs=3 if small or neurons >= _VERY_LARGE else 2,
            input_rate=0.5 if small else 0.25,
            inhibition=600.0,
            inference_inhibition=None if small else 200.0,
            theta_step=theta_step,
            learning_rate=0.25,
            final_learning_rate=0.005 if small else 0.01 * (1 + math.log(size, 4)),
            label_images=10_000 if neurons < _VERY_LARGE else 50_000,
            adaptation_images=5_000 if small else 10_000,
            adaptation_theta_step=(0.3 if small else 0.5) * theta_step,
            adaptation_theta_tau=9e6 if small else 2.7e6,
            # Twice the input charges to twice the thresholds.
            voltage_range=1024.0 if small else 512.0,
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "readout", ReadoutKind(self.readout))
        for name in ("neurons", "epochs", "steps", "label_images"):
            self._check(name, 1, math.inf)
        for name in (
            "membrane_tau",
            "theta_tau",
            "trace_tau",
            "adaptation_theta_tau",
            "voltage_range",
            "initial_weight_power",
            "weight_sum",
        ):
            self._check(name, 1e-6, math.inf)
        for name in (
            "threshold",
            "reset",
            "refractory_steps",
            "inhibition",
            "theta_step",
            "adaptation_images",
            "adaptation_theta_step",
            "minimum_input_spikes",
        ):
            self._check(name, 0, math.inf)
        if self.inference_inhibition is not None:
            self._check("inference_inhibition", 0, math.inf)
        for name in ("learning_rate", "final_learning_rate"):
            self._check(name, 1e-9, 1)
        for name in ("input_rate", "trace_offset"):
            self._check(name, 0, 1)

    def _check(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        kind = int if type(self).__dataclass_fields__[name].type == "int" else float
        if isinstance(value, bool) or not isinstance(value, kind if kind is int else int | float):
            raise TypeError(f"{name} must be {'an int' if kind is int else 'a number'}, got {value!r}.")
        if not low <= value <= high:
            limit = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise ValueError(f"{name} must be {limit}, got {value!r}.")
