"""Waiting for what holds soon."""

import time
from collections.abc import Callable

PATIENCE_S = 60.0


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something holds that holds soon."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
