"""Batch normalization: folded into the layer before it, or a scale and an offset per channel."""
