"""A preview in the lake: tables of its own, and vectors of texts that its dataset has embedded already.

Laws
----
1. A preview has a schema of its own, named by the dataset that it is held as. Tables of its dataset are read, never written.
2. A vector is taken over by content and embedder, from the dataset's own embedding table: nothing is embedded twice because of a
   pull request. It is copied, so that whoever collects, quarantines or retires there changes nothing here, and the other way round.
3. Evidence goes with it: which commit wrote a vector, the golden texts, and what was attested. So a preview's model is held against
   what made the vectors of production.
4. What stands in quarantine there has no vector there, and is embedded anew.
"""

from dataclasses import dataclass

from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import CATALOG, Lake
from vector_pipeline.lake.dropping import drop_tables, hand_over, tables_there
from vector_pipeline.lake.golden import GoldenTables
from vector_pipeline.lake.tables import WRITTEN, DatasetTables, SpaceTables

_GOLDEN = "kind, name, origin, text, vector, declared, made_at"
_ATTESTED = "attested_at, looked_at, probes, passed, worst, at_text"


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of a preview: every content counts once."""

    total: int
    reused: int
    """That its dataset has vectors of, here or in the environment that is reused, and the preview took over."""
    embed: int
    """That the model must embed."""


def of_origin(mine: SpaceTables, origin: str) -> SpaceTables:
    """The tables of the same space that the dataset itself has."""
    return SpaceTables(DatasetTables(origin), mine.chunk_table, mine.embedding_table)


def take_over(lake: Lake, mine: SpaceTables, origin: str) -> None:
    """Copy the vectors that the preview's chunks need and its dataset has (law 2), with their evidence (law 3). One commit."""
    mine.ensure(lake)
    theirs = of_origin(mine, origin)
    if lake.has_table(origin, theirs.embedding_table):
        _copy_evidence(lake, GoldenTables.of(mine), GoldenTables.of(theirs))
        _copy_vectors(lake, mine, theirs)


def count_texts(lake: Lake, mine: SpaceTables) -> Texts:
    """How many texts a preview has, and how many of them have no vector yet."""
    total, embed = lake.row(
        f"""SELECT count(*), count(*) FILTER (NOT known) FROM
            (SELECT n.content_hash, n.content_hash IN (SELECT content_hash FROM {mine.embeddings}) AS known
             FROM (SELECT DISTINCT content_hash FROM {mine.chunks}) n)"""
    )
    return Texts(int(total), int(total) - int(embed), int(embed))


def require_texts(texts: Texts, most: int | None, name: str) -> None:
    """``RefusedError`` where a preview would embed more texts than it may."""
    if most is not None and texts.embed > most:
        raise RefusedError(
            f"preview {name} would embed {texts.embed:,} texts, more than its budget allows ({most:,})",
            fix="Raise previews.max_texts of the environment, or create it with --max-texts",
        )


def require_records(lake: Lake, mine: SpaceTables, most: int | None, name: str) -> int:
    """Records of a preview. ``RefusedError`` for more than it may write."""
    records = int(lake.row(f"SELECT count(*) FROM {mine.chunks}")[0])
    if most is not None and records > most:
        raise RefusedError(
            f"preview {name} would write {records:,} records, more than its budget allows ({most:,})",
            fix="Raise previews.max_records of the environment, or create it with --max-records",
        )
    return records


def drop_schema(lake: Lake, held_as: str) -> None:
    """Drop whatever the lake holds of a preview; what is gone already is no error. Files go with the next collection."""
    names = tables_there(lake, held_as)
    drop_tables(lake, held_as, names, f"take down preview {held_as}")
    hand_over(lake, held_as, names)
    if _has_schema(lake, held_as):
        schema = DatasetTables(held_as).schema
        lake.transaction(lambda: lake.run(f"DROP SCHEMA IF EXISTS {schema}"), f"take down preview {held_as}")


def _has_schema(lake: Lake, name: str) -> bool:
    found = lake.rows("SELECT 1 FROM duckdb_schemas() WHERE database_name = ? AND schema_name = ?", [CATALOG, name])
    return bool(found)


def _copy_vectors(lake: Lake, mine: SpaceTables, theirs: SpaceTables) -> None:
    def work() -> None:
        lake.run(
            f"""INSERT INTO {mine.embeddings} (shard, content_hash, vector, written_in)
                WITH needed AS (SELECT DISTINCT shard, content_hash FROM {mine.chunks}),
                lacking AS (SELECT * FROM needed ANTI JOIN {mine.embeddings} USING (shard, content_hash)),
                known AS (SELECT e.content_hash, e.vector, {_written("e")} AS written
                          FROM {theirs.embeddings} e SEMI JOIN lacking USING (content_hash)
                          QUALIFY row_number() OVER (PARTITION BY e.content_hash ORDER BY {_written("e")}, e.shard) = 1)
                SELECT l.shard, l.content_hash, k.vector, k.written
                FROM lacking l JOIN known k USING (content_hash) ORDER BY l.shard"""
        )

    lake.transaction(work, f"take over vectors of {theirs.dataset.dataset}")


def _copy_evidence(lake: Lake, mine: GoldenTables, theirs: GoldenTables) -> None:
    """Once: golden texts of a preview change no more than those of a dataset."""
    if not theirs.exist(lake):
        return
    mine.ensure(lake)
    if lake.row(f"SELECT count(*) FROM {mine.golden}")[0]:
        return

    def work() -> None:
        for table, source, columns in (
            (mine.golden, theirs.golden, _GOLDEN), (mine.attestations, theirs.attestations, _ATTESTED),
        ):  # fmt: skip
            lake.run(f"INSERT INTO {table} ({columns}, written_in) SELECT {columns}, {WRITTEN} FROM {source}")

    lake.transaction(work, f"take over golden texts of {theirs.dataset.dataset}")


def _written(alias: str) -> str:
    return f"coalesce({alias}.written_in, {alias}.snapshot_id)"
