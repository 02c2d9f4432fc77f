"""What cannot be captured, by name."""

from __future__ import annotations


class CaptureError(ValueError):
    """A network that has no integer model, or none that is known to be the same; it names where and why.

    Example:
        >>> try:
        ...     capture(quantized, config, spikes)  # 32 samples
        ... except CaptureError as error:
        ...     print(str(error).rpartition(": ")[2])
        give a sample of a batch of 1.
    """
