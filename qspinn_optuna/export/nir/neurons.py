"""Neurons as primitives of NIR, whose equations run in continuous time.

Of J. E. Pedersen et al., "Neuromorphic intermediate representation: A unified instruction set for interoperable
brain-inspired computing", Nature Communications 15, 8122 (2024), doi:10.1038/s41467-024-52259-9, with v the
membrane, I the input, z the spikes::

    LIF   tau dv/dt = (v_leak - v) + r I      z = 1 if v > v_threshold, and then v = v_reset
    IF        dv/dt = r I                     likewise
    LI, I                                     the same without spikes; the result is v

A step of forward Euler with dt = 1 is ``v + (v_leak - v + r I) / tau``, and ``v + r I`` without a leak. With

    tau = 1 / (1 - d),   v_leak = reset, or 0 without one,   r = tau, or 1 if the input decays too

this is the step of :class:`~qspinn_optuna.integer.operations.IntegrateAndFire` before its rounding. Readers that solve
the equation in another way, such as by ``exp(-dt / tau)``, run another network.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export.nir.graph import GraphBuilder, Shape, Signal, stored
from qspinn_optuna.integer.operations import IntegrateAndFire

_SLOWEST = 2.0**25
"""Time constant of a decay of 1, which would be infinite: float32 holds no decay between."""

Values = NDArray[np.float64]


def leak(name: str, decay: Values, rest: Values, *, decays_input: bool) -> dict[str, NDArray[np.float32]]:
    """Parameters of a leak.

    Args:
        name: Of the neurons.
        decay: Factor of a membrane in a step, of each neuron.
        rest: What membranes decay to.
        decays_input: Whether the input is scaled by 1 - decay too.
    """
    lost = 1 - decay
    tau = np.where(lost == 0, _SLOWEST, 1 / np.where(lost == 0, 1, lost))
    r = np.ones_like(tau) if decays_input else tau
    return {"tau": stored(name, tau), "r": stored(name, r), "v_leak": stored(name, rest)}


class Neurons:
    """A layer of neurons of a graph, as nodes.

    Args:
        operation: The layer.
        x: What it takes.
        shape: Of the layer in the network.
        threshold: Thresholds that broadcast to ``shape``; None if there are none.
        decay: Decays, likewise.
        described: The layer as JSON.
    """

    def __init__(
        self,
        operation: IntegrateAndFire,
        x: Signal,
        shape: Shape,
        threshold: Values | None,
        decay: Values | None,
        described: str,
    ) -> None:
        self._operation = operation
        self._x = x
        self._described = described
        self._shape = shape
        self._threshold = None if threshold is None else self._for_each(threshold)
        self._decay = None if decay is None else self._for_each(decay)
        self._unit = operation.membrane.format.resolution

    def spikes(self, builder: GraphBuilder) -> Signal:
        """The node whose result is the spikes."""
        operation = self._operation
        if self._threshold is None:
            return self.membranes(builder).times(0.0)
        parameters = {
            **self._dynamics(),
            "v_threshold": stored(operation.name, self._threshold),
            "v_reset": stored(operation.name, self._reset),
        }
        kind = "IF" if self._decay is None else "LIF"
        spikes = builder.add(operation.name, kind, parameters, self._x, operation=self._described)
        (builder.spikes[operation.name],) = spikes.terms
        if operation.reset is None:
            self._deviates(builder, "a spike takes the threshold from its membrane; NIR resets it to 0")
        self._starts(builder)
        return spikes

    def membranes(self, builder: GraphBuilder) -> Signal:
        """The node whose result is the membranes, as if there were no spikes."""
        operation = self._operation
        kind = "I" if self._decay is None else "LI"
        if self._threshold is not None:
            self._deviates(builder, "its membranes are read; NIR gives those of neurons that do not spike")
        self._starts(builder)
        return builder.add(operation.membrane_name, kind, self._dynamics(), self._x, operation=self._described)

    @property
    def _reset(self) -> Values:
        return np.full(self._x.shape, (self._operation.reset or 0) * self._unit)

    def _dynamics(self) -> dict[str, NDArray[np.float32]]:
        name = self._operation.name
        if self._decay is None:
            return {"r": stored(name, np.ones(self._x.shape))}
        return leak(name, self._decay, self._reset, decays_input=self._operation.decays_input)

    def _for_each(self, values: Values) -> Values:
        return np.broadcast_to(values, self._shape).reshape(self._x.shape)

    def _starts(self, builder: GraphBuilder) -> None:
        if self._operation.start:
            start = self._operation.start * self._unit
            self._deviates(builder, f"membranes start at {start:g}; NIR starts none elsewhere than at 0")

    def _deviates(self, builder: GraphBuilder, what: str) -> None:
        sentence = f"{self._operation.name}: {what}."
        if sentence not in builder.deviations:
            builder.deviations.append(sentence)
