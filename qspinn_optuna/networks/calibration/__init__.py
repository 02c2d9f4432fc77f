"""Ranges, and widths that are simulated exactly, measured on batches."""
