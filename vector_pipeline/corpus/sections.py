"""Sections of a Markdown text: headings with what stands below them, and the small ones joined.

Laws
----
1. Sections lie one after another and cover the text; blanks at their ends belong to nobody.
2. A section is joined only to neighbours in its *run*: a heading's own text and the consecutive leaf sections below it. So an
   edit moves the borders of chunks inside one run and nowhere else.
3. A heading with nothing below it but a deeper heading goes with that one: no chunk is a lone heading that has content.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from vector_pipeline.corpus.outline import headings


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of text below one heading, or several joined ones."""

    start: int
    end: int
    path: tuple[str, ...]
    """Titles of the headings above, and its own (for joined sections: what they have in common)."""
    above: tuple[str, ...]
    """Titles of the headings above whatever the section's text begins with."""
    body: int
    """Where the text below the heading begins: its place in the document, ``start`` where there is no heading."""
    run: int
    """Sections of one run may be joined."""
    bare: bool = False
    """It holds its heading and nothing else."""


def sections(text: str) -> list[Section]:
    """The sections of a Markdown text, in order."""
    found = headings(text)
    result: list[Section] = []
    first = found[0].start if found else len(text)
    if text[:first].strip():
        result.append(whole(text[:first]))
    stack: list[tuple[int, str]] = []  # (level, title) of the open headings
    run = -1
    carried: tuple[int, tuple[str, ...]] | None = None  # bare headings that wait for the section they go with
    for number, heading in enumerate(found):
        following = found[number + 1] if number + 1 < len(found) else None
        while stack and stack[-1][0] >= heading.level:
            stack.pop()
        above = tuple(title for _, title in stack)
        stack.append((heading.level, heading.title))
        parent = following is not None and following.level > heading.level
        before = found[number - 1] if number else None
        # A new run: this one has children, or the one before was deeper (its run is over).
        if carried is None and (parent or (before is not None and before.level > heading.level)):
            run = number
        start, end = _trim(text, heading.start, following.start if following else len(text))
        bare = not text[heading.end : end].strip()
        if bare and parent:
            carried = carried or (start, above)
            continue
        begin, outer = carried or (start, above)
        path = tuple(title for _, title in stack)
        result.append(Section(begin, end, _named(path), _named(outer), min(heading.end, end), run, bare))
        carried = None
    return result


def whole(text: str) -> Section:
    """A text that has no headings, as one section."""
    start, end = _trim(text, 0, len(text))
    return Section(start, end, (), (), start, -1)


def join_small(
    parts: Sequence[tuple[Section, int]], least: int, room: Callable[[Section], int]
) -> Iterator[tuple[Section, int]]:
    """Join neighbours of a run of which one has fewer than ``least`` tokens, while both fit the ``room`` of the first."""
    pending: tuple[Section, int] | None = None
    for section, size in parts:
        if pending is None:
            pending = (section, size)
            continue
        last, held = pending
        if last.run == section.run and min(held, size) < least and held + size <= room(last):
            pending = (replace(last, end=section.end, path=_common(last.path, section.path), bare=False), held + size)
        else:
            yield pending
            pending = (section, size)
    if pending is not None:
        yield pending


def _named(path: tuple[str, ...]) -> tuple[str, ...]:
    """Without headings that have no words."""
    return tuple(title for title in path if title)


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return one[:shared]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without blanks at its ends; the indentation of its first line stays."""
    body = text[start:end]
    end = start + len(body.rstrip())
    lead = len(body) - len(body.lstrip())
    return start + max(body.rfind("\n", 0, lead) + 1, 0), max(end, start)
