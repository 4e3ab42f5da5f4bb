"""Where a command writes: results to standard output, everything else to standard error.

Laws
----
1. With ``--json`` standard output holds one JSON document and nothing else.
2. A pipe gets lines of text without colours, not cut to a terminal's width.
3. What documents, messages and models say is text: no character of it is a terminal's command, whoever prints it.
"""

import json
import logging
import os
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from vector_pipeline.report.words import in_json, legible

_PIPE_WIDTH = 160


class LegibleConsole(Console):
    """Law 3, for everything that is printed: what moves the cursor and colours are rich's own, and no text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else legible(text), style, control)


def console() -> Console:
    """Standard output as it is now (a test or a pipe may have replaced it)."""
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return LegibleConsole(file=sys.stdout, width=wide, highlight=False, markup=False, emoji=False)


def show(renderable: RenderableType) -> None:
    """Print a table or a group of lines. A pipe gets no trailing blanks."""
    out = console()
    if out.is_terminal:
        out.print(renderable)
        return
    with out.capture() as captured:
        out.print(renderable)
    sys.stdout.write("\n".join(line.rstrip() for line in captured.get().split("\n")))


def say(line: str = "", *, style: str | None = None) -> None:
    """Print one line, never wrapped by us."""
    console().print(line, style=style, soft_wrap=True)


def complain(line: str) -> None:
    """Print one line on standard error."""
    err = LegibleConsole(file=sys.stderr, highlight=False, markup=False, emoji=False)
    err.print(line, soft_wrap=True)


def emit(value: Any) -> None:
    """Print a JSON document."""
    sys.stdout.write(in_json(json.dumps(value, indent=2, ensure_ascii=False, default=str)) + "\n")


def quiet_interrupts() -> None:
    """Say nothing of an interrupt that meets a library's clean-up: the one line at the end does."""
    if logging.lastResort is not None:
        logging.lastResort.addFilter(lambda record: not _interrupt(record.exc_info[0] if record.exc_info else None))
    before = sys.unraisablehook
    sys.unraisablehook = lambda found: None if _interrupt(found.exc_type) else before(found)


def _interrupt(kind: type[BaseException] | None) -> bool:
    """Ctrl-C, under python's or Dagster's name."""
    return kind is not None and not issubclass(kind, Exception)
