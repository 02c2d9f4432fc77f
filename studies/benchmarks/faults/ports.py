"""Ports for servers of our own."""

from __future__ import annotations

import socket
from contextlib import closing


def free_port() -> int:
    """A port that no program listens on."""
    with closing(socket.socket()) as one:
        one.bind(("localhost", 0))
        port: int = one.getsockname()[1]
        return port
