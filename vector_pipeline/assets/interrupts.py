"""Ctrl-C while a run executes in this process: noticed whatever became of it, raised only where a step's body runs.

Dagster holds an interrupt back until a step's body, where it is raised as an exception of Dagster's. What meets it there may turn
it into something else (DuckDB: ``RuntimeError: Query interrupted``), or swallow it in a clean-up: so the signal itself is counted.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dagster._utils.interrupts import capture_interrupts


class Interrupts:
    """How often this process was interrupted."""

    def __init__(self, signals: int | None) -> None:
        self._signals = signals
        self._seen = 0

    @property
    def any(self) -> bool:
        """Whether it was."""
        if self._signals is not None:
            with suppress(BlockingIOError):
                self._seen += sum(number in _ENDING for number in os.read(self._signals, 4096))
        return self._seen > 0


_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Hold interrupts back for the time of a block, but for the bodies of steps, and notice every one.

    Outside the main thread signals are nobody's: nothing is held back there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Interrupts(None)
        return
    # Handlers are replaced by whoever runs; the descriptor that python wakes up with a signal's number is not.
    signals, woken = os.pipe()
    os.set_blocking(signals, False)
    os.set_blocking(woken, False)
    before = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    try:
        with capture_interrupts():
            yield Interrupts(signals)
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(signals)
