"""Names of parameters and states, as torch makes them: the module's, then its own."""

from __future__ import annotations


def join(module_name: str, name: str) -> str:
    """Full name of a parameter or state of a module; the network itself has the empty name."""
    return f"{module_name}.{name}" if module_name else name
