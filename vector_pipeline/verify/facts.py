"""The SELECTs that make facts: per row what expectations need to know, and never a vector.

Laws
----
1. Facts run where the data is (DuckDB): a gate over a million vectors moves a few counts, not gigabytes.
2. Only what a suite names is computed (``select``): a fact that nobody asks for costs nothing.
3. A fact that cannot be measured is null. NaN is never a fact.

``relation`` is whatever may stand after FROM: a quoted name, a name ``AT (VERSION => 3)``, a subquery in parentheses.
"""

from collections.abc import Iterable, Mapping

from vector_pipeline.corpus.record_sql import quoted
from vector_pipeline.verify.letters import SCRIPTS, counted, foreign
from vector_pipeline.verify.patterns import ENCODING, normalised

METADATA = "metadata."
"""Columns that begin so are keys of a row's metadata, as JSON."""
TEXT = "text"
"""A column that is read and never kept: what is expected of it is answered while it is read."""
_ROUNDING = 1e-5
"""Share of a vector's mean square below which its variance is float32's rounding."""
_HEAD, _SIGN, _WHOLE = 200, 60, 4_000
"""Characters that are normalised of a text's two ends to find candidates; of those that are compared; of a candidate's text."""
_BEGINNING = f"left({normalised(f'left(text, {_HEAD})')}, {_SIGN})"
_END = f"right({normalised(f'right(text, {_HEAD})')}, {_SIGN})"

DOCUMENTS: Mapping[str, str] = {
    "document_id": "the document",
    "shard": "its shard",
    "title": "its title",
    "media_type": "what it was made from, such as text/markdown",
    "content_hash": "hash of its text",
    "updated_at": "when its content last changed (UTC)",
    "chars": "length of its text in characters; 0 for none",
    TEXT: "the text itself: for lengths, patterns and nulls only",
}
CHUNKS: Mapping[str, str] = {
    "record_id": "the record that it becomes",
    "document_id": "its document",
    "shard": "its shard",
    "ordinal": "its number within the document, from 0",
    "content_hash": "hash of its text and context",
    "chars": "length of its text in characters; 0 for none",
    "duplicate": "1 where the same text stands in another document too, else 0",
    "near_duplicate": "1 where the same text stands in another document but for case, spaces and punctuation, else 0",
    "foreign_letters": "share of its letters in scripts that hold under a tenth of the dataset's letters",
    TEXT: "the text itself: for lengths, patterns and nulls only",
}
EMBEDDINGS: Mapping[str, str] = {
    "content_hash": "hash of the text that it stands for",
    "shard": "its shard",
    "dimension": "number of components",
    "finite": "whether every component is a finite number",
    "norm": "Euclidean length; null where it is not finite or of another dimension",
    "spread": "standard deviation of its components (of one component: its size); null as norm is",
    "same_vector": "1 where another text has exactly the same vector, else 0",
}
_ENCODING_SAYS = {
    "bad_chars": "U+FFFD in its text, which a decoder writes where it lost a character",
    "mojibake": "signs of UTF-8 that was read as Latin-1 or Windows-1252 (Ã©, â€™) in its text",
    "control_chars": "control characters other than tab, line and page feeds in its text",
}
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "documents": {**DOCUMENTS, **_ENCODING_SAYS},
    "chunks": {**CHUNKS, **_ENCODING_SAYS},
    "embeddings": EMBEDDINGS,
}
"""What suites may name, by kind, and what it means. Documents and chunks have ``metadata.<key>`` too."""
NAMES: Mapping[str, tuple[str, ...]] = {
    "documents": ("document_id",),
    "chunks": ("record_id", "document_id", "ordinal"),
    "embeddings": ("content_hash", "shard"),
}
"""Columns that name a row to a person: always there."""

_CHARS = "coalesce(length(text), 0)"
_FINITE = "coalesce(list_count(vector) = len(vector) AND isfinite(list_sum(vector)), false)"


def says(column: str) -> bool:
    """Whether a column holds what a document says, and not what is measured of it or names it."""
    return column in (TEXT, "title") or column.startswith(METADATA)


def select(
    kind: str, relation: str, wanted: Iterable[str], *, extra: Mapping[str, str] | None = None,
    dimension: int | None = None, nulls: bool = False,
) -> str:  # fmt: skip
    """A SELECT of the names of rows, the ``wanted`` columns and ``extra`` (name: expression over the relation's own columns).

    ``dimension``: vectors of another one are not measured. ``nulls``: components may be null, which costs four times as much.
    """
    chosen = dict.fromkeys([*NAMES[kind], *(name for name in wanted if name != TEXT)])
    more = dict(extra or {})
    if kind == "embeddings":
        return _embeddings(relation, chosen, more, dimension, nulls=nulls)
    plain = {"chars": _CHARS, **ENCODING}
    base = {name: _row_fact(name, plain) for name in chosen if name not in _ACROSS} | more
    across = [name for name in chosen if name in _ACROSS]
    if not across:
        return f"SELECT {_as(base)} FROM {relation}"
    for name in across:
        base |= _ACROSS[name][0]
    steps = [f"base AS MATERIALIZED (SELECT {_as(base)} FROM {relation})"]
    if "near_duplicate" in across:
        steps += _near(relation)
    if "foreign_letters" in across:
        steps.append(
            f"letters AS (SELECT {', '.join(f'sum({one}) AS {one}' for one in ('letters', *SCRIPTS))} FROM base)"
        )
    final = {name: _ACROSS[name][1] if name in _ACROSS else f'"{name}"' for name in [*chosen, *more]}
    return f"WITH {', '.join(steps)} SELECT {_as(final)} FROM base"


def _row_fact(name: str, plain: Mapping[str, str]) -> str:
    if name.startswith(METADATA):
        key = name.removeprefix(METADATA).replace("~", "~0").replace("/", "~1")
        return f"nullif(json_extract(metadata, {quoted('/' + key)}), 'null'::JSON)"
    return plain.get(name, name)


def _as(columns: Mapping[str, str]) -> str:
    return ", ".join(f'{expression} AS "{name.replace(chr(34), chr(34) * 2)}"' for name, expression in columns.items())


def _elsewhere(key: str) -> str:
    """Values of a key that stand in several documents."""
    return f"SELECT {key} FROM base WHERE {key} IS NOT NULL GROUP BY {key} HAVING min(document_id) <> max(document_id)"


_ACROSS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "duplicate": (
        {"content_hash": "content_hash"},
        f"coalesce(content_hash IN ({_elsewhere('content_hash')}), false)::TINYINT",
    ),
    "near_duplicate": (
        {"record_id": "record_id", "near_sign": f"hash({_BEGINNING}, {_END})"},
        "coalesce(record_id IN (SELECT record_id FROM near), false)::TINYINT",
    ),
    "foreign_letters": (counted(), foreign()),
}
"""Facts that need other rows: what each row contributes, and the expression over ``base``."""


def _near(relation: str) -> list[str]:
    """Candidates begin and end alike; only they are normalised whole: all texts would take ten times as long as all the rest."""
    return [
        f"alike AS (SELECT record_id FROM base WHERE near_sign IN ({_elsewhere('near_sign')}))",
        f"""compared AS MATERIALIZED (SELECT record_id, document_id, {normalised(f"left(text, {_WHOLE})")} AS plain
            FROM {relation} SEMI JOIN alike USING (record_id))""",
        """near AS (SELECT record_id FROM compared WHERE plain IN (SELECT plain FROM compared WHERE plain <> ''
            GROUP BY plain HAVING min(document_id) <> max(document_id)))""",
    ]


def _embeddings(
    relation: str, chosen: Mapping[str, None], extra: Mapping[str, str], dimension: int | None, *, nulls: bool
) -> str:
    """Every measure comes from two sums over a vector: of its components, and of their squares."""
    measured = "finite" if dimension is None else f"finite AND dimension = {int(dimension)}"
    # A list function refuses a column that holds a null component anywhere, even where CASE looks away.
    squares = (
        "list_sum(list_transform(vector, lambda x: x::DOUBLE * x))" if nulls else "list_inner_product(vector, vector)"
    )
    inner = {
        "content_hash": "content_hash", "shard": "shard", "dimension": "coalesce(len(vector), 0)", "finite": _FINITE,
        "total": "list_sum(vector)", "squares": f"{squares}::DOUBLE", **extra,
    }  # fmt: skip
    if "same_vector" in chosen:
        inner["vector_sign"] = "hash(vector)"
    variance = "squares / dimension - (total / dimension) ** 2"
    outer = {
        "norm": f"CASE WHEN {measured} THEN sqrt(squares) END",
        "spread": f"""CASE WHEN {measured} THEN CASE WHEN dimension = 1 THEN sqrt(squares)
            WHEN isinf(squares) OR {variance} > {_ROUNDING} * squares / dimension THEN sqrt(greatest({variance}, 0))
            ELSE 0 END END""",
        "vector_sign": "CASE WHEN finite THEN vector_sign END",
    }
    rows = f"SELECT {_as(inner)} FROM {relation}"
    names = [name for name in chosen if name != "same_vector"]
    final = {name: outer.get(name, name) for name in [*names, *extra]}
    if "same_vector" not in chosen:
        return f"SELECT {_as(final)} FROM ({rows})"
    same = """SELECT vector_sign FROM base WHERE vector_sign IS NOT NULL GROUP BY vector_sign
        HAVING min(content_hash) <> max(content_hash)"""
    told = {name: name for name in [*names, *extra]} | {
        "same_vector": f"coalesce(vector_sign IN ({same}), false)::TINYINT"
    }
    return f"""WITH base AS MATERIALIZED (SELECT {_as(final | {"vector_sign": outer["vector_sign"]})} FROM ({rows}))
        SELECT {_as(told)} FROM base"""
