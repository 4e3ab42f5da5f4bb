"""Relevance judgements: questions with ids, and which documents answer them.

Laws
----
1. Queries are JSONL with ``id`` and ``text``. Judgements are TREC qrels (query, iteration, document, relevance) or three columns
   (query, document, relevance), parted by tabs where there is one, else by blanks; a first line of names is skipped.
2. Every mistake is one line that names file and line. A judgement of a query that is not asked is left out, and counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vector_pipeline.errors import ConfigError
from vector_pipeline.verify.queries import json_lines, mistake

_COLUMNS = "query, document, relevance (or TREC: query, 0, document, relevance)"


class _Query(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)
    id: str = Field(min_length=1)
    text: str = Field(min_length=1, pattern=r"\S")


@dataclass(frozen=True, slots=True)
class Judgements:
    """What was judged."""

    queries: Mapping[str, str]
    """Query id: its text. Those with a judgement."""
    relevance: Mapping[str, Mapping[str, int]]
    """Query id: document id: grade."""
    left_out: int
    """Judgements of queries that are not in the file of queries."""


def load_judgements(queries: Path, judgements: Path) -> Judgements:
    """Read both files. ``ConfigError`` names file and line."""
    texts: dict[str, str] = {}
    for number, value in json_lines(queries, "gates: retrieval: queries:"):
        try:
            query = _Query.model_validate(value)
        except ValidationError as error:
            raise mistake(queries, number, error) from None
        if query.id in texts:
            raise ConfigError(f"{queries}:{number}: query {query.id} stands there twice")
        texts[query.id] = query.text
    relevance: dict[str, dict[str, int]] = {}
    left_out = 0
    for query_id, document, grade in _rows(judgements):
        if query_id in texts:
            relevance.setdefault(query_id, {})[document] = grade
        else:
            left_out += 1
    if not relevance:
        raise ConfigError(
            f"{judgements}: no judgement is about a query of {queries}", fix="Check the ids of the queries"
        )
    return Judgements({name: texts[name] for name in texts if name in relevance}, relevance, left_out)


def judged_documents(judgements: Path) -> set[str]:
    """Documents that a file says to be relevant to anything."""
    return {document for _, document, grade in _rows(judgements) if grade > 0}


def _rows(path: Path) -> Iterator[tuple[str, str, int]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        fix = "Check `gates: retrieval: judgements:`"
        raise ConfigError(f"{path}: it cannot be read: {reason}", fix=fix) from None
    first = True
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parts = [part.strip() for part in (line.split("\t") if "\t" in line else line.split())]
        if len(parts) == 4:
            del parts[1]
        if len(parts) != 3 or not all(parts):
            raise ConfigError(f"{path}:{number}: {len(parts)} columns", fix=f"Write {_COLUMNS}")
        try:
            yield parts[0], parts[1], int(parts[2])
        except ValueError:
            if not first:
                raise ConfigError(f"{path}:{number}: relevance must be a whole number, not {parts[2]!r}") from None
        first = False
