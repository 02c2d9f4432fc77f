"""What cannot be captured, by name."""

from __future__ import annotations


class CaptureError(ValueError):
    """A network that has no integer model, or none that is known to be the same; it names where and why."""
