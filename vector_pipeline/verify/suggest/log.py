"""Read a log of queries: JSON lines, or plain text with one question a line.

Laws
----
1. Questions that differ in case, spaces and the sign at their end are one; the commonest spelling is kept, and they are counted.
2. Of a JSON line ``query`` (or ``question``, ``text``, ``q``), ``filter`` and ``count`` are read, and nothing else.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vector_pipeline.errors import ConfigError, InputError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.targets.base import Filter
from vector_pipeline.targets.filters import parse_filter
from vector_pipeline.verify.canaries.file import json_value

KEYS = ("query", "question", "text", "q")
LONGEST = 2_000
"""Characters of a question; what is longer is no question."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A question and how often it was asked."""

    query: str
    filter: Filter | None = None
    count: int = 1


def read_log(path: Path) -> list[Logged]:
    """Different questions of a log, in the order of their first. ``ConfigError`` names file and line."""
    counts: dict[str, int] = {}
    spellings: dict[str, Counter[str]] = {}
    filters: dict[str, Filter | None] = {}
    for one in _lines(path):
        name = canonical_json([normal(one.query), one.filter])
        counts[name] = counts.get(name, 0) + one.count
        spellings.setdefault(name, Counter())[one.query] += one.count
        filters[name] = one.filter
    if not counts:
        raise ConfigError(f"{path}:1: the file holds no question", fix='Write one a line: {"query": "how do I …"}')
    return [Logged(spellings[name].most_common(1)[0][0], filters[name], count) for name, count in counts.items()]


def normal(query: str) -> str:
    """What two spellings of one question have in common."""
    plain = " ".join(unicodedata.normalize("NFKC", query).casefold().split())
    return re.sub(r"[\s?!.,;:…]+$", "", plain) or plain


def _lines(path: Path) -> Iterator[Logged]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"{path}: it cannot be read: {reason}", fix="Give it a file of questions, one a line"
        ) from None
    json_ = path.suffix in (".jsonl", ".ndjson", ".json")
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        found = _json_line(path, number, line) if json_ else Logged(" ".join(line.split()))
        if len(found.query) <= LONGEST:
            yield found


def _json_line(path: Path, number: int, line: str) -> Logged:
    where = f"{path}:{number}"
    value = json_value(where, line)
    if isinstance(value, str) and value.strip():
        return Logged(" ".join(value.split()))
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: not an object", fix='Write {"query": "how do I …"}')
    query = next((value[key] for key in KEYS if key in value), None)
    if not isinstance(query, str) or not query.strip():
        raise ConfigError(f"{where}: no question: none of the keys {', '.join(KEYS)} holds one")
    count = value.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ConfigError(f"{where}: count must be a whole number from 1")
    return Logged(" ".join(query.split()), _filter(where, value.get("filter")), count)


def _filter(where: str, value: Any) -> Filter | None:
    if value is None or value == {}:
        return None
    try:
        parse_filter(value)
    except InputError as error:
        raise ConfigError(f"{where}: {error.what}") from None
    return dict(value)
