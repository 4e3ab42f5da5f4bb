"""What must hold, as plain data: building a suite imports nothing heavy. ``expectations`` runs it.

A measured column is always expected to be not null too, because Great Expectations skips nulls (and NaN) in every other
expectation: a fact that was not measured has not passed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vector_pipeline.config import GateConfig
from vector_pipeline.errors import InputError

UNIT_NORM = (0.99, 1.01)
"""Length of a vector that its space calls normalised."""
CLEAN_SHARE = 0.99
"""Share of chunks that must hold no replacement character: a text about U+FFFD must not stop a release."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation: a sentence for people, the name of its class, and that class's arguments."""

    says: str
    expectation: str
    arguments: Mapping[str, Any]


class Rules:
    """A suite in the making."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(self, says: str, expectation: str, **kwargs: Any) -> None:
        self.rules.append(Rule(says, expectation, kwargs))

    def rows(self, least: int) -> None:
        self.add(f"rows >= {least}", "ExpectTableRowCountToBeBetween", min_value=least)

    def known(self, *columns: str) -> None:
        for column in columns:
            self.add(f"{column} is not null", "ExpectColumnValuesToNotBeNull", column=column)

    def unique(self, *columns: str) -> None:
        says = f"{' and '.join(columns)} {'is' if len(columns) == 1 else 'are together'} unique"
        if len(columns) == 1:
            self.add(says, "ExpectColumnValuesToBeUnique", column=columns[0])
        else:
            self.add(says, "ExpectCompoundColumnsToBeUnique", column_list=list(columns))

    def between(self, column: str, low: float, high: float | None = None, **kwargs: Any) -> None:
        sign = ">" if kwargs.get("strict_min") else ">="
        says = f"{column} {sign} {low}" if high is None else f"{column} between {low} and {high}"
        self.add(says, "ExpectColumnValuesToBeBetween", column=column, min_value=low, max_value=high, **kwargs)


def document_rules(shards: int | None) -> Rules:
    """Rules of documents; ``shards`` None leaves the shard's bound out."""
    rules = Rules()
    rules.known("document_id", "content_hash", "chars", "shard")
    rules.unique("document_id")
    rules.between("chars", 1)
    if shards is not None:
        rules.between("shard", 0, shards - 1)
    return rules


def chunk_rules(gates: GateConfig) -> Rules:
    """Rules of chunks, bounded by the dataset's gates."""
    rules = Rules()
    rules.known("record_id", "document_id", "chars", "bad_chars", "duplicate")
    rules.unique("record_id")
    rules.between("chars", gates.min_text_chars, gates.max_text_chars)
    says = f"bad_chars is 0 in {CLEAN_SHARE:.0%} of rows"
    rules.add(says, "ExpectColumnValuesToBeInSet", column="bad_chars", value_set=[0], mostly=CLEAN_SHARE)
    says = f"share of duplicates <= {gates.max_duplicate_share}"
    rules.add(says, "ExpectColumnMeanToBeBetween", column="duplicate", max_value=gates.max_duplicate_share)
    return rules


def embedding_rules(dimension: int | None, normalized: bool) -> Rules:
    """Rules of vectors float32[dimension], of length one where ``normalized``."""
    if dimension is None:
        raise InputError("expectations on embeddings need the space's dimension")
    rules = Rules()
    rules.known("content_hash", "dimension", "finite", "norm", "spread")
    # A text that two shards need has a row in each, so that joins stay inside a shard: unique within its shard.
    rules.unique("shard", "content_hash")
    rules.add(f"dimension is {dimension}", "ExpectColumnValuesToBeInSet", column="dimension", value_set=[dimension])
    rules.add("every component is finite", "ExpectColumnValuesToBeInSet", column="finite", value_set=[True])
    if normalized:
        rules.between("norm", *UNIT_NORM)
    else:
        rules.between("norm", 0, strict_min=True)
    if dimension != 1:  # the one component of a 1-d vector equals itself
        rules.between("spread", 0, strict_min=True)
    return rules
