"""What a model is held against: golden texts with their vectors, what was attested, and what is in quarantine.

Laws
----
1. Each embedding table has three small ones beside it, named by the same fingerprint: ``golden_<fp>``, ``attestations_<fp>`` and
   ``quarantine_<fp>``. They are made with the first vector that is attested.
2. A golden row is written once and never again while the fingerprint is the same. Rows of texts that the user's file holds no more
   go.
3. Which rows of an embedding table were written after the last whole attestation that passed is asked of DuckLake: every row
   knows the commit that wrote it (``tables.WRITTEN``), through merges, expiry and erasures. An attestation is recorded in the
   commit of the vectors that it attests.
4. Quarantine holds hashes, and neither texts nor vectors: what is in it is made anew from the text, or not at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.arrow import as_one
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.literals import Value, literal
from vector_pipeline.lake.tables import DatasetTables, SpaceTables, create

Kind = Literal["document", "query"]
WHOLE, FEW, SAMPLE = "whole", "few", "sample"
"""What an attestation looked at: every golden text; a few of them; stored vectors."""
KEPT_RECORDS = 500
"""Attestations that are remembered; with twice as many, the older half goes."""
_GOLDEN = pa.schema(
    [
        pa.field("kind", pa.string()), pa.field("name", pa.string()), pa.field("origin", pa.string()),
        pa.field("text", pa.string()), pa.field("vector", pa.list_(pa.float32())), pa.field("declared", pa.string()),
        pa.field("made_at", pa.timestamp("us")),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GoldenTables:
    """Names of the three tables, quoted and ready for SQL."""

    dataset: DatasetTables
    fingerprint: str
    """First eight characters of the embedder's."""

    @classmethod
    def of(cls, tables: SpaceTables) -> "GoldenTables":
        return cls(tables.dataset, tables.embedding_table.removeprefix("embeddings_"))

    @property
    def golden(self) -> str:
        return self.dataset.named(f"golden_{self.fingerprint}")

    @property
    def attestations(self) -> str:
        return self.dataset.named(f"attestations_{self.fingerprint}")

    @property
    def quarantine(self) -> str:
        return self.dataset.named(f"quarantine_{self.fingerprint}")

    def exist(self, lake: Lake) -> bool:
        return lake.has_table(self.dataset.dataset, f"golden_{self.fingerprint}")

    def ensure(self, lake: Lake) -> None:
        """Create all three in one commit; nothing where they are."""
        if self.exist(lake):
            return

        def work() -> None:
            for kind in ("golden", "attestations", "quarantine"):
                create(lake, self.dataset, f"{kind}_{self.fingerprint}", kind)

        lake.transaction(work, f"golden texts of {self.dataset.dataset}")


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Golden texts as documents and as queries: one entry a row."""

    kinds: tuple[str, ...]
    names: tuple[str, ...]
    origins: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    """float32[n, dim]."""
    declared: str | None = None
    """How the embedder was configured when the first of them was made, as JSON; None for no rows."""

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Attested:
    """One attestation, as it is recorded."""

    looked_at: str
    probes: int
    passed: bool
    worst: float
    """Largest cosine distance."""
    at_text: str
    """Name of the golden text, or hash of the content, that moved most."""


def read_golden(lake: Lake, names: GoldenTables) -> Golden | None:
    """Every golden row in a fixed order; None where none was ever stored."""
    if not names.exist(lake):
        return None
    found = lake.table(
        f"SELECT kind, name, origin, text, vector, declared FROM {names.golden} ORDER BY origin DESC, kind, name"
    )
    if not found.num_rows:
        return None
    flat = as_one(found["vector"]).flatten().to_numpy(zero_copy_only=False)
    text = {name: tuple(found[name].to_pylist()) for name in ("kind", "name", "origin", "text")}
    return Golden(
        text["kind"], text["name"], text["origin"], text["text"], flat.reshape(found.num_rows, -1).astype(np.float32),
        found["declared"][0].as_py(),
    )  # fmt: skip


def store_golden(lake: Lake, names: GoldenTables, new: Golden, gone: Sequence[str] = ()) -> None:
    """Add rows, and drop the user's own texts of those names (law 2), in one commit."""
    count, width = new.vectors.shape
    rows = pa.table(
        {
            "kind": new.kinds, "name": new.names, "origin": new.origins, "text": new.texts,
            "vector": pa.ListArray.from_arrays(
                pa.array(np.arange(0, (count + 1) * width, max(width, 1), dtype=np.int32)[: count + 1]),
                pa.array(new.vectors.reshape(-1)),
            ),
            "declared": [new.declared] * count, "made_at": [_now()] * count,
        },
        schema=_GOLDEN,
    )  # fmt: skip

    def work() -> None:
        if gone:
            lake.run(
                f"DELETE FROM {names.golden} WHERE origin = 'file' AND list_contains(?::VARCHAR[], name)", [list(gone)]
            )
        with lake.registered("new_golden", rows):
            lake.run(
                f"""INSERT INTO {names.golden} BY NAME
                    SELECT * FROM new_golden ANTI JOIN {names.golden} USING (kind, name)"""
            )

    lake.transaction(work, f"golden texts of {names.dataset.dataset}")


def recording(lake: Lake, names: GoldenTables, tables: SpaceTables, attested: Attested) -> Callable[[], None]:
    """What records an attestation within a transaction. One that passed takes out of quarantine what is made anew by now."""

    def work() -> None:
        if int(lake.row(f"SELECT count(*) FROM {names.attestations}")[0]) >= 2 * KEPT_RECORDS:
            _forget_old(lake, names)
        said: tuple[Value, ...] = (
            _now(), attested.looked_at, attested.probes, attested.passed, attested.worst, attested.at_text,
        )  # fmt: skip
        lake.run(
            f"""INSERT INTO {names.attestations} (attested_at, looked_at, probes, passed, worst, at_text)
                VALUES ({", ".join(map(literal, said))})"""
        )
        if attested.passed and attested.looked_at == WHOLE and lake.row(f"SELECT count(*) FROM {names.quarantine}")[0]:
            lake.run(
                f"""DELETE FROM {names.quarantine} WHERE (shard, content_hash) IN
                    (SELECT (shard, content_hash) FROM {tables.embeddings})"""
            )

    return work


def record(lake: Lake, names: GoldenTables, tables: SpaceTables, attested: Attested) -> None:
    """Record an attestation in a commit of its own."""
    lake.transaction(recording(lake, names, tables, attested), f"attestation of {names.dataset.dataset}")


def _forget_old(lake: Lake, names: GoldenTables) -> None:
    """The last whole one that passed stays, or nothing would be proved any more."""
    table = names.attestations
    lake.run(
        f"""DELETE FROM {table}
            WHERE attested_at < (SELECT min(attested_at) FROM
                                 (SELECT attested_at FROM {table} ORDER BY attested_at DESC LIMIT {KEPT_RECORDS}))
              AND attested_at IS DISTINCT FROM
                  (SELECT max(attested_at) FROM {table} WHERE passed AND looked_at = '{WHOLE}')"""
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
