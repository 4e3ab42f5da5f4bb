"""Progress of long work on a terminal: a bar with rate and remaining time. Elsewhere a plain line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from vector_pipeline.cli.output import LegibleConsole
from vector_pipeline.report.progress import ProgressSink, reporting_to
from vector_pipeline.report.words import legible

_LINE_EVERY_S = 15.0


class BarSink:
    """One bar a step."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._rates: dict[str, tuple[float, int]] = {}

    def update(self, step: str, done: int, total: int, *, unit: str = "", note: str = "") -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total, note="")
        self._progress.update(self._tasks[step], completed=done, total=total, note=note or self._rate(step, done, unit))

    def _rate(self, step: str, done: int, unit: str) -> str:
        begun, first = self._rates.setdefault(step, (time.monotonic(), done))
        seconds = time.monotonic() - begun
        return f"{(done - first) / seconds:,.0f} {unit}/s" if seconds > 0.5 and done > first else unit


class LineSink:
    """Lines on standard error: the first after a while, then seldom, so that a log stays readable."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def update(self, step: str, done: int, total: int, *, unit: str = "", note: str = "") -> None:
        now = time.monotonic()
        if now - self._last.setdefault(step, now) < _LINE_EVERY_S:
            return
        self._last[step] = now
        rest = f" ({note})" if note else ""
        sys.stderr.write(legible(f"{step}: {done:,} of {total:,} {unit}{rest}\n"))


class Seen:
    """Passes progress on, and remembers the last of it."""

    def __init__(self, sink: ProgressSink) -> None:
        self._sink = sink
        self.last = ""
        """``push: 1,200 of 3,000 records``; empty before anything was reported."""

    def update(self, step: str, done: int, total: int, *, unit: str = "", note: str = "") -> None:
        self.last = f"{step}: {done:,} of {total:,} {unit}".rstrip()
        self._sink.update(step, done, total, unit=unit, note=note)


@contextmanager
def watching() -> Iterator[Seen]:
    """Show progress for the time of a block."""
    if not sys.stderr.isatty():
        seen = Seen(LineSink())
        with reporting_to(seen):
            yield seen
        return
    columns = (
        TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(compact=True),
    )  # fmt: skip
    with Progress(*columns, console=LegibleConsole(stderr=True), transient=True) as bar:
        seen = Seen(BarSink(bar))
        with reporting_to(seen):
            yield seen
