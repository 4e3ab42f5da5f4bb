"""Glob patterns below a folder, matched while walking, so that a folder that cannot hold a match is never opened.

Laws
----
1. ``*`` and ``?`` stay inside one name, ``**`` spans folders, ``{a,b}`` is a choice, ``[abc]`` a class; matching is case-sensitive.
2. A wildcard never matches a leading dot: a hidden file or folder is listed only where a pattern names it. Exclusions match
   hidden names too.
3. A pattern that ends in a plain name or a slash (``docs``, ``docs/``) means that file, or everything below that folder.
"""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vector_pipeline.errors import ConfigError

_CHOICE = re.compile(r"\{([^{}]*)\}")
_ANY_FOLDERS = None


@dataclass(frozen=True, slots=True)
class _Glob:
    """One pattern: a regular expression for each name of the path; None stands for ``**``."""

    parts: tuple[re.Pattern[str] | None, ...]
    hidden: bool
    """Wildcards match a leading dot."""

    def close(self, states: Iterable[int]) -> frozenset[int]:
        """Add the states that ``**`` reaches without consuming a name."""
        reached: set[int] = set()
        for state in states:
            reached.add(state)
            while state < len(self.parts) and self.parts[state] is _ANY_FOLDERS:
                state += 1
                reached.add(state)
        return frozenset(reached)

    def step(self, states: frozenset[int], name: str) -> frozenset[int]:
        """The states after one more name of the path."""
        after: list[int] = []
        for state in states:
            if state == len(self.parts):
                continue
            part = self.parts[state]
            if part is _ANY_FOLDERS:
                if self.hidden or not name.startswith("."):
                    after.append(state)
            elif part.match(name):
                after.append(state + 1)
        return self.close(after)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a walk stands in every pattern of a set. ``matched``: the path so far is a match."""

    states: tuple[frozenset[int], ...]
    matched: bool

    @property
    def alive(self) -> bool:
        """Something below this path can still match."""
        return any(self.states)


class GlobSet:
    """Several patterns, any of which may match. Raises ``ConfigError`` for a pattern that leaves the folder."""

    def __init__(self, patterns: Sequence[str], *, hidden: bool = False) -> None:
        self._globs = [_compile(one, hidden) for pattern in patterns for two in _expand(pattern) for one in _below(two)]

    def start(self) -> Position:
        """The position at the root."""
        return Position(tuple(glob.close([0]) for glob in self._globs), matched=False)

    def step(self, position: Position, name: str) -> Position:
        """The position one name further down."""
        states = tuple(glob.step(s, name) for glob, s in zip(self._globs, position.states, strict=True))
        return Position(states, any(len(g.parts) in s for g, s in zip(self._globs, states, strict=True)))

    def matches(self, path: str) -> bool:
        """Whether a posix path matches any pattern."""
        position = self.start()
        for name in path.split("/"):
            position = self.step(position, name)
        return position.matched


def _expand(pattern: str) -> Iterator[str]:
    """``*.{md,txt}`` gives ``*.md`` and ``*.txt``."""
    found = _CHOICE.search(pattern)
    if found is None:
        yield pattern
        return
    for choice in found.group(1).split(","):
        yield from _expand(pattern[: found.start()] + choice + pattern[found.end() :])


def _below(pattern: str) -> Iterator[str]:
    """``docs`` gives itself and ``docs/**/*``; a pattern that ends in a wildcard is already what it says."""
    last = pattern.rstrip("/").rpartition("/")[2]
    plain = not any(mark in last for mark in "*?[") and last not in ("", ".", "..")
    if not (plain and pattern.endswith("/")):
        yield pattern
    if plain:
        yield pattern.rstrip("/") + "/**/*"


def _compile(pattern: str, hidden: bool) -> _Glob:
    names = [name for name in pattern.replace("\\", "/").split("/") if name not in ("", ".")]
    if pattern.startswith("/") or ".." in names or not names:
        raise ConfigError(
            f"pattern {pattern!r} is not below the source's root",
            fix="Write it relative to root, without a leading / or ..",
        )
    if names[-1] == "**":
        names.append("*")
    return _Glob(tuple(_ANY_FOLDERS if name == "**" else _name(name, hidden) for name in names), hidden)


def _name(name: str, hidden: bool) -> re.Pattern[str]:
    guard = "" if hidden or name.startswith(".") else r"(?!\.)"
    return re.compile(guard + fnmatch.translate(name))
