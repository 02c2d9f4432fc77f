"""Choices whose truth is known: simulated studies, and parts of the answers of real ones."""
