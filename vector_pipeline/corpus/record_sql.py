"""SQL of record sources: text that is built here runs in DuckDB, over rows, never one row at a time in Python.

``{rows}`` is the temporary table that every source fills: ``seq`` (order), ``place`` (file and line or row), ``id``, ``text``,
``title``, ``metadata`` (JSON text), ``columns`` (bits: which of the named columns a JSON line has), ``reason``, ``detail``.
"""

import glob
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vector_pipeline.config import RecordSourceConfig
from vector_pipeline.corpus.model import Reason

CREATE_ROWS = """
CREATE TEMP TABLE rows (seq BIGINT, place VARCHAR, id VARCHAR, text VARCHAR, title VARCHAR, metadata VARCHAR,
                        columns BIGINT, reason VARCHAR, detail VARCHAR)
"""
# Only ids and positions are sorted; the texts stay where they are.
MARK_DUPLICATES = f"""
UPDATE rows SET reason = '{Reason.BAD_ID}', text = '', detail = 'id ' || id || ' occurs before: ids must be unique'
WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, row_number() OVER (PARTITION BY id ORDER BY seq) AS nth FROM rows
        WHERE reason IS DISTINCT FROM '{Reason.BAD_ID}' AND reason IS DISTINCT FROM '{Reason.UNPARSABLE}'
    ) WHERE nth > 1
)
"""
SELECT_ROWS = f"""
SELECT CASE WHEN reason IN ('{Reason.BAD_ID}', '{Reason.UNPARSABLE}') THEN place ELSE id END AS id,
       text, title, metadata, reason, detail
FROM rows ORDER BY seq
"""
# Of a source whose lines are compared with what was seen of them: ``key`` is what the line's row is known by.
CREATE_LISTED = """
CREATE TEMP TABLE listed (seq BIGINT, place VARCHAR, id VARCHAR, key VARCHAR, revision VARCHAR, changed BOOLEAN, body VARCHAR,
                          problem VARCHAR, repeated BOOLEAN)
"""
# Only ids that occur twice are put in order.
MARK_REPEATED = """
UPDATE listed SET repeated = true, key = place, changed = again.changed
FROM (SELECT nth.seq, known.revision IS DISTINCT FROM nth.revision AS changed
      FROM (SELECT seq, place, revision, row_number() OVER (PARTITION BY id ORDER BY seq) AS nth FROM listed
            WHERE id IN (SELECT id FROM listed WHERE id IS NOT NULL GROUP BY id HAVING count(*) > 1)) nth
      LEFT JOIN known ON known.id = nth.place WHERE nth.nth > 1) again
WHERE listed.seq = again.seq
"""
MARK_REPEATED_ROWS = f"""
UPDATE rows SET reason = '{Reason.BAD_ID}', text = '', detail = 'id ' || listed.id || ' occurs before: ids must be unique'
FROM listed WHERE listed.seq = rows.seq AND listed.repeated
"""
SELECT_LISTED = "SELECT key AS document_id FROM listed"
SELECT_CHANGED = f"""
SELECT CASE WHEN rows.reason IN ('{Reason.BAD_ID}', '{Reason.UNPARSABLE}') THEN listed.place ELSE rows.id END AS id,
       rows.text, rows.title, rows.metadata, rows.reason, rows.detail, listed.revision
FROM rows JOIN listed USING (seq) ORDER BY rows.seq
"""
_JSON_TEXT = "to_json(({value})::VARCHAR)::VARCHAR"
# What Python's `strip` leaves, as the chunker sees it: RE2's own \s knows ASCII blanks only.
_INK = r"[^\s\v\x1c-\x1f\x{85}\p{Z}]"
_PLAIN_TYPES = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT|INTEGER|UINTEGER|DECIMAL|BOOLEAN")


def quoted(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


def file_name(path: Path | str) -> str:
    """A string literal that names one file: DuckDB takes every path for a pattern, in which ``a[1]`` is ``a1``."""
    return quoted(glob.escape(str(path)))


def files_below(folder: str, pattern: str) -> str:
    """A string literal of a pattern below a folder or prefix, which ends with a slash and is itself none (``file_name``)."""
    return quoted(glob.escape(folder) + pattern)


def named(column: str) -> str:
    """An identifier."""
    return '"' + column.replace('"', '""') + '"'


def pointer(column: str) -> str:
    """A JSON pointer to a key, as a string literal."""
    return quoted("/" + column.replace("~", "~0").replace("/", "~1"))


def columns_of(config: RecordSourceConfig) -> list[str]:
    """Every column that the configuration names, once."""
    title = [config.title] if config.title else []
    return list(dict.fromkeys([config.id, *config.text, *title, *config.metadata]))


def insert_table(config: RecordSourceConfig, relation: str, types: Mapping[str, str], place: str, first: int) -> str:
    """Fill ``rows`` from a relation with typed columns; rows are numbered from ``first + 1``."""

    def metadata(column: str) -> str:
        return _typed_metadata(named(column), types[column].upper())

    source = f"(SELECT *, row_number() OVER () AS vp_row FROM {relation})"
    return _insert(config, source, lambda column: f"{named(column)}::VARCHAR", metadata, place, first, "0", "NULL")


def insert_lines(config: RecordSourceConfig, relation: str, place: str, first: int) -> str:
    """Fill ``rows`` from JSON lines: ``relation`` has ``line`` (number), ``body`` (text) and ``problem`` (text or null)."""
    source = f"""(
        SELECT line AS vp_row, CASE WHEN json_valid(body) AND json_type(body) = 'OBJECT' THEN body END AS body,
               CASE WHEN problem IS NOT NULL THEN problem
                    WHEN NOT json_valid(body) THEN 'the line is not JSON: correct or remove it'
                    WHEN json_type(body) <> 'OBJECT' THEN 'the line holds no JSON object: correct or remove it' END AS problem
        FROM {relation})"""
    return _insert(
        config,
        source,
        lambda column: f"json_extract_string(body, {pointer(column)})",
        lambda column: _json_metadata(f"json_extract(body, {pointer(column)})"),
        place,
        first,
        _bits(config),
        "problem",
    )


def list_lines(config: RecordSourceConfig, relation: str, place: str, first: int, secret: str) -> str:
    """Fill ``listed`` from JSON lines (as for ``insert_lines``) and ``known`` [id, revision]; the body of a line that
    is as it was is not kept.
    """
    # `md5` takes less than half of `sha256`'s time, which was most of what an unchanged line cost. Who knows where it begins
    # can make two texts of one md5, have the first read and the second not: it begins with what writers of a source do not know.
    # What is no JSON has no id; nor has what is no object.
    found = f"TRY(json_extract_string(body, {pointer(config.id)}))"
    return f"""
INSERT INTO listed
SELECT {first} + l.line, l.place, l.id, l.key, l.revision, k.revision IS DISTINCT FROM l.revision,
       CASE WHEN k.revision IS DISTINCT FROM l.revision THEN l.body END, l.problem, false
FROM (SELECT *, coalesce(replace(id, chr(0), '\\0'), place) AS key
      FROM (SELECT line, {quoted(place + ":")} || line AS place, body, problem,
                   CASE WHEN regexp_matches({found}, '\\S') THEN {found} END AS id,
                   md5({quoted(secret)} || coalesce(body, '')) AS revision
            FROM {relation})) l
LEFT JOIN known k ON k.id = l.key"""


def insert_changed(config: RecordSourceConfig) -> str:
    """Fill ``rows`` from those of ``listed`` that changed. Their places stand in ``listed``."""
    changed = "(SELECT seq AS line, body, problem FROM listed WHERE changed)"
    return insert_lines(config, changed, "", 0)


def columns_there(config: RecordSourceConfig, relation: str) -> str:
    """SELECT of the bits of columns (``columns_of``) that any of the JSON lines has."""
    body = "CASE WHEN json_valid(body) AND json_type(body) = 'OBJECT' THEN body END"
    return f"SELECT coalesce(bit_or({_bits(config)}), 0) FROM (SELECT {body} AS body FROM {relation})"


def _bits(config: RecordSourceConfig) -> str:
    return " | ".join(
        f"(CASE WHEN json_exists(body, {pointer(column)}) THEN {1 << number} ELSE 0 END)"
        for number, column in enumerate(columns_of(config))
    )


def _insert(
    config: RecordSourceConfig,
    source: str,
    text: Callable[[str], str],
    metadata: Callable[[str], str],
    place: str,
    first: int,
    bits: str,
    problem: str,
) -> str:
    mark = ":" if config.kind == "jsonl" else "#"
    title = f"coalesce({text(config.title)}, '')" if config.title else "''"
    return f"""
INSERT INTO rows
SELECT {first} + vp_row, place, id,
       CASE WHEN reason IS NULL THEN text ELSE '' END, title, metadata, bits, reason,
       CASE reason
            WHEN '{Reason.UNPARSABLE}' THEN problem
            WHEN '{Reason.BAD_ID}' THEN 'the id is null or blank: give every record one'
            WHEN '{Reason.EMPTY}' THEN 'the text is null or blank'
            WHEN '{Reason.TOO_LARGE}' THEN format('{{:,}} bytes; `max_text_size` is {config.max_text_size:,}: split it or raise it',
                                                  strlen(text)) END
FROM (
    SELECT *, CASE
        WHEN problem IS NOT NULL THEN '{Reason.UNPARSABLE}'
        WHEN id IS NULL OR NOT regexp_matches(id, '\\S') THEN '{Reason.BAD_ID}'
        WHEN text = '' THEN '{Reason.EMPTY}'
        WHEN strlen(text) > {config.max_text_size} THEN '{Reason.TOO_LARGE}' END AS reason
    FROM (
        SELECT vp_row, {quoted(place + mark)} || vp_row AS place, {text(config.id)} AS id, {bits} AS bits,
               {problem} AS problem, {_joined([text(column) for column in config.text])} AS text, {title} AS title,
               {_object(config.metadata, metadata)} AS metadata
        FROM {source}
    )
)"""


def _joined(texts: Sequence[str]) -> str:
    """Texts with a blank line between them; blank ones are left out, line ends become ``\\n``."""
    kept = ", ".join(f"CASE WHEN regexp_matches({text}, {quoted(_INK)}) THEN {text} END" for text in texts)
    return f"replace(replace(concat_ws(chr(10) || chr(10), {kept}), chr(13) || chr(10), chr(10)), chr(13), chr(10))"


def _object(columns: Sequence[str], value: Callable[[str], str]) -> str:
    """A JSON object with sorted keys and no blanks; keys of null values are left out."""
    if not columns:
        return "'{}'"
    texts = {column: f"({value(column)})" for column in columns}
    keys = {column: quoted(json.dumps(column, ensure_ascii=False) + ":") for column in columns}
    members = ", ".join(
        f"CASE WHEN {texts[column]} IS NOT NULL THEN {keys[column]} || {texts[column]} END" for column in sorted(texts)
    )
    return f"'{{' || concat_ws(',', {members}) || '}}'"


def _json_metadata(value: str) -> str:
    """JSON text of a value inside JSON: plain values and lists of strings as they are, nested ones as their text."""
    return f"""CASE WHEN json_type({value}) = 'NULL' THEN NULL
        WHEN json_type({value}) = 'OBJECT' THEN {_JSON_TEXT.format(value=value)}
        WHEN json_type({value}) = 'ARRAY' AND len(list_filter(json_type({value}, '$[*]'), lambda t: t <> 'VARCHAR')) > 0
        THEN {_JSON_TEXT.format(value=value)}
        ELSE ({value})::VARCHAR END"""


def _typed_metadata(value: str, kind: str) -> str:
    """JSON text of a typed column's value."""
    if kind == "VARCHAR[]":
        return f"to_json(list_filter({value}, lambda x: x IS NOT NULL))::VARCHAR"
    if kind == "JSON":
        return _json_metadata(value)
    if kind.startswith("TIMESTAMP") or kind.startswith("DATETIME"):
        return f"to_json(replace(({value})::VARCHAR, ' ', 'T'))::VARCHAR"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return f"CASE WHEN {value} IS NOT NULL THEN to_json(to_json({value})::VARCHAR)::VARCHAR END"
    if kind in ("FLOAT", "DOUBLE"):
        return f"CASE WHEN isfinite({value}) THEN to_json({value})::VARCHAR END"
    plain = _PLAIN_TYPES.match(kind)
    return f"to_json({value})::VARCHAR" if plain else f"to_json(({value})::VARCHAR)::VARCHAR"
