"""Capture: a quantized network as an integer model.

A run of one sample is recorded as a list of arrays (:mod:`~.recorder`), in which each tensor is known by the numbers of
its elements (:mod:`~.symbols`); functions that move elements (:mod:`~.movements`) do the same to the numbers, functions
that compute (:mod:`~.arithmetic`), and modules that are known as a whole (:mod:`~.modules`), make new ones. Then the
operations of each time step are made from their end (:mod:`~.unrolling`), and the steps, which must be the same, become
one graph (:mod:`~.matching`, :mod:`~.assembly`).
"""

from __future__ import annotations

from qspinn_optuna.networks.capture.capture import SampleCoder, capture, input_codes
from qspinn_optuna.networks.capture.entry import input_format_of
from qspinn_optuna.networks.capture.errors import CaptureError

__all__ = ["CaptureError", "SampleCoder", "capture", "input_codes", "input_format_of"]
