"""Digits that the simulation of a network in float32 can carry, and how sums of membranes and inputs share them."""

from __future__ import annotations

SIMULATED_BITS = 23
"""Digits that sums and products of the simulation may have: float32 holds 24, one of which rounding takes."""

DECAY_BITS = 8
"""Widest decay: times a membrane, plus the input, it must not have more digits than the simulation."""

HEADROOM_BITS = 3
"""Digits of an input above those of the membrane."""
