"""Which records of the index say what the source says? By the hash of the text, exactly first, then without blanks.

A record may hold the text as it is embedded here (with title and headings before it) or the chunk's text alone; each is
compared. A text that two different contents share explains a record, but names no content: its vector is not asked for.
"""

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from vector_pipeline.adopt.reading import sql_normal
from vector_pipeline.hashing import sql_content_hash
from vector_pipeline.lake.connection import Lake

KINDS = {1: "text as embedded", 2: "text alone", 3: "as embedded, other blanks", 4: "alone, other blanks"}
"""How a record may match, best first."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Index against source."""

    chunks: int
    contents: int
    """Distinct texts among the chunks: what needs a vector."""
    documents: int
    records: dict[str, int]
    """Records that a content explains, by how (``KINDS``)."""
    ambiguous: int
    """Of those, records whose text several contents share."""
    foreign: int
    """Records that nothing in the source explains."""
    foreign_without_text: int
    unexplained: int
    """Contents that no record of the index says."""
    keys_lost: tuple[str, ...]
    """Metadata keys of the index that no chunk carries: filters on them would find nothing."""
    foreign_examples: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def match(lake: Lake, chunks: str, *, examples: int = 10) -> Matched:
    """Compare ``adopt_records`` with the relation ``chunks``. Leaves ``adopt_matched(id, kind, content_hash)``:

    one row for each record that is explained, ``content_hash`` null where it is ambiguous; and ``adopt_contents``.
    """
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE adopt_contents AS
            SELECT content_hash, min({sql_content_hash("text")}) AS alone,
                   min({sql_content_hash(sql_normal("(context || text)"))}) AS normal,
                   min({sql_content_hash(sql_normal("text"))}) AS normal_alone, count(*) AS chunks
            FROM {chunks} GROUP BY content_hash"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE adopt_names AS
           SELECT kind, name, content_hash, count(*) OVER (PARTITION BY kind, name) AS contents FROM (
               SELECT 1 AS kind, content_hash AS name, content_hash FROM adopt_contents
               UNION ALL SELECT 2, alone, content_hash FROM adopt_contents
               UNION ALL SELECT 3, normal, content_hash FROM adopt_contents
               UNION ALL SELECT 4, normal_alone, content_hash FROM adopt_contents)"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE adopt_matched AS
           WITH n AS (SELECT kind, name, min(content_hash) AS content_hash, any_value(contents) AS contents
                      FROM adopt_names GROUP BY kind, name)
           SELECT r.id, n.kind, n.name, CASE WHEN n.contents = 1 THEN n.content_hash END AS content_hash
           FROM adopt_records r
           JOIN n ON n.name = CASE WHEN n.kind <= 2 THEN r.text_hash ELSE r.normal_hash END
           QUALIFY row_number() OVER (PARTITION BY r.id ORDER BY n.kind) = 1"""
    )
    return _counted(lake, chunks, examples)


def _counted(lake: Lake, chunks: str, examples: int) -> Matched:
    kinds = lake.rows("SELECT kind, count(*) FROM adopt_matched GROUP BY kind ORDER BY kind")
    ambiguous, foreign, silent, contents, unexplained = lake.row(
        """SELECT (SELECT count(*) FROM adopt_matched WHERE content_hash IS NULL),
                  (SELECT count(*) FROM adopt_records ANTI JOIN adopt_matched USING (id)),
                  (SELECT count(*) FROM adopt_records WHERE text_hash IS NULL),
                  (SELECT count(*) FROM adopt_contents),
                  (SELECT count(*) FROM adopt_contents ANTI JOIN (
                       SELECT content_hash FROM adopt_names SEMI JOIN adopt_matched USING (kind, name)) e
                   USING (content_hash))"""
    )
    total, documents = lake.row(f"SELECT count(*), count(DISTINCT document_id) FROM {chunks}")
    named = lake.rows("SELECT id FROM adopt_records ANTI JOIN adopt_matched USING (id) ORDER BY id LIMIT ?", [examples])
    return Matched(
        chunks=total,
        contents=contents,
        documents=documents,
        records={KINDS[kind]: count for kind, count in kinds},
        ambiguous=ambiguous,
        foreign=foreign,
        foreign_without_text=silent,
        unexplained=unexplained,
        keys_lost=_keys_lost(lake, chunks),
        foreign_examples=tuple(row[0] for row in named),
    )


def _keys_lost(lake: Lake, chunks: str) -> tuple[str, ...]:
    """Keys whose text is kept elsewhere are no loss: they are what the match was made with."""
    rows = lake.rows(
        f"""SELECT DISTINCT key FROM adopt_keys
            ANTI JOIN (SELECT DISTINCT unnest(json_keys(metadata)) AS key FROM {chunks}) USING (key)
            WHERE 'metadata ' || key NOT IN (SELECT text_from FROM adopt_records WHERE text_from IS NOT NULL)
            ORDER BY key LIMIT 100"""
    )
    return tuple(row[0] for row in rows)


def foreign_records(lake: Lake) -> pa.Table:
    """Every record that nothing explains: ``[id, document_id, why]``, ordered by id."""
    return lake.table(
        """SELECT id, document_id, CASE WHEN text_hash IS NULL THEN 'it has no text' ELSE 'its text is not in the source' END AS why
           FROM adopt_records ANTI JOIN adopt_matched USING (id) ORDER BY id"""
    )
