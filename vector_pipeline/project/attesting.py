"""Attestation on demand and on a schedule: golden texts and stored texts embedded again, and what is wrong moved out of the way.

Laws
----
1. A model is judged by golden texts first. Where they moved, stored vectors are not compared with it: what was written since they
   were last seen right is doubted, and no more.
2. Where they did not move, or there are none, a sample of stored texts is embedded again; what was written in the same commits as a
   wrong one is doubted. Looking at everything (``whole``) names the wrong ones and no others.
3. Nothing is moved unless it is asked for, and then under the lease of the embedding table.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from vector_pipeline.build.attesting import compare_golden, told
from vector_pipeline.build.comparing import Looked, look_again, look_at_all
from vector_pipeline.errors import NotFoundError
from vector_pipeline.lake import quarantine as doubts
from vector_pipeline.lake.golden import SAMPLE, WHOLE, Attested, GoldenTables, read_golden, record
from vector_pipeline.lake.quarantine import Doubted
from vector_pipeline.lake.stored import draw_stored
from vector_pipeline.lake.tables import SpaceTables, at
from vector_pipeline.project.gating import Gating
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.verify.attest import said
from vector_pipeline.verify.outcome import json_safe

_TEXTS = "shard, document_id, content_hash, context, text"


@dataclass(frozen=True, slots=True)
class Touched:
    """A kept version that needs doubted vectors."""

    version: int
    records: int
    aliases: tuple[str, ...]
    """That point at it."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """What an attestation found, and did."""

    dataset: str
    space: str
    model: str
    passed: bool
    summary: str
    golden: int
    """Golden texts embedded again."""
    golden_moved: int
    golden_worst: float
    sampled: int
    """Stored vectors compared with the model."""
    vectors: int
    """Of so many."""
    wrong: int
    worst: float
    max_distance: float
    doubted: Doubted | None = None
    """What is not believed; None for nothing."""
    touched: tuple[Touched, ...] = ()
    moved: int = 0
    """Rows that went into quarantine now."""
    in_quarantine: int = 0
    """Rows that stand there and are not made anew yet."""
    seed: str = ""

    def to_json(self) -> dict[str, Any]:
        names = (
            "dataset", "space", "model", "passed", "summary", "golden", "golden_moved", "golden_worst", "sampled", "vectors",
            "wrong", "worst", "max_distance", "moved", "in_quarantine", "seed",
        )  # fmt: skip
        doubted = self.doubted
        return {
            **{name: json_safe(getattr(self, name)) for name in names},
            "doubted": None if doubted is None else {
                "vectors": doubted.contents, "rows": doubted.rows, "documents": doubted.documents,
                "examples": list(doubted.examples), "commits": doubted.commits, "shards": list(doubted.shards),
            },
            "touched": [
                {"version": one.version, "records": one.records, "aliases": list(one.aliases)} for one in self.touched
            ],
        }  # fmt: skip


class Attests(Gating):
    """Attests."""

    def attest(
        self,
        dataset: str,
        *,
        space: str | None = None,
        quarantine: bool = False,
        whole: bool = False,
        everything: bool = False,
        sample: int | None = None,
        seed: str | None = None,
    ) -> Attestation:
        """Embed golden texts and stored texts again. What was found is recorded beside the vectors.

        ``quarantine``: move what is doubted. ``whole``: look at every stored text. ``everything``: doubt every vector and the
        golden texts, whatever is found: the next build makes all of them with the model as it is. ``seed``: draw the sample that
        another attestation drew. ``NotFoundError`` where the space has no vectors of the model that is configured here.
        """
        tables = self.tables(dataset, space)
        # Asked of a lake that is opened for reading: none is made where there is none.
        self._require_vectors(dataset, space, tables)
        with self._writing(dataset, tables.embedding_table) if quarantine else nullcontext():
            found = self._looked(dataset, space, tables, whole=whole, everything=everything, sample=sample, seed=seed)
            if not (quarantine and found.doubted is not None and found.doubted.rows):
                return found
            names, lake = GoldenTables.of(tables), self.lake()
            # No document is named in what is kept: an erasure could not take it out again.
            reason = (
                "asked for" if everything else "another model" if found.golden_moved else "not what the model makes"
            )
            moved = doubts.move_doubted(lake, tables, names, reason, golden=everything)
            left = doubts.quarantined(lake, tables, names)
        values = {name: getattr(found, name) for name in found.__slots__}
        return Attestation(**{**values, "moved": moved, "in_quarantine": left})

    def _looked(
        self, dataset: str, space: str | None, tables: SpaceTables, *, whole: bool, everything: bool, sample: int | None,
        seed: str | None,
    ) -> Attestation:  # fmt: skip
        lake, names, resolved = self.lake(), GoldenTables.of(tables), self.space(dataset, space)
        settings = self.gates(dataset).attestation
        embedder = self.embedder(dataset, space)
        golden = read_golden(lake, names)
        seed = seed or str(lake.snapshot_id())
        values: dict[str, Any] = {
            "dataset": dataset, "space": resolved.name, "model": resolved.model, "max_distance": settings.max_distance,
            "golden": 0 if golden is None else len(golden), "golden_moved": 0, "golden_worst": 0.0, "sampled": 0, "wrong": 0,
            "worst": 0.0, "seed": seed,
            "vectors": int(lake.row(f"SELECT count(*) FROM {tables.embeddings}")[0]),
        }  # fmt: skip
        doubted: Doubted | None = None
        attested = None
        if golden is not None:
            compared = compare_golden(embedder, golden, settings.max_distance)
            values |= {"golden_moved": int(compared.differs.sum()), "golden_worst": float(compared.distance.max())}
            if compared.differs.any():
                attested = Attested(WHOLE, len(golden), False, values["golden_worst"], golden.names[compared.worst])
                doubted = doubts.doubt_since(lake, tables, doubts.last_proof(lake, names))
                values["summary"] = (
                    f"{resolved.model} is not the model that made these vectors: {told(golden, compared)}"
                )
        if attested is None:
            texts = self._texts(dataset, tables)
            if whole:
                looked = look_at_all(lake, tables, texts, embedder, settings.max_distance, on_done=self._on_attested)
            else:
                stored = draw_stored(lake, tables, texts, sample or settings.sample, salt=seed)
                looked = look_again(embedder, stored, settings.max_distance)
            values |= {"sampled": looked.compared, "wrong": len(looked.wrong), "worst": looked.worst}
            attested = _attested(looked, values["golden"])
            values["summary"] = _says(looked, resolved.model)
            if looked.wrong and whole:
                doubted = doubts.doubt_contents(lake, tables, [one.content_hash for one in looked.wrong])
            elif looked.wrong:
                doubted = doubts.doubt_commits_of(lake, tables, [(one.shard, one.content_hash) for one in looked.wrong])
        if everything:
            doubted = doubts.doubt_since(lake, tables, None)
        if names.exist(lake):
            record(lake, names, tables, attested)
        return Attestation(
            **values, passed=attested.passed, doubted=doubted, touched=self._touched(dataset, tables, doubted),
            in_quarantine=doubts.quarantined(lake, tables, names),
        )  # fmt: skip

    def _on_attested(self, done: int, total: int) -> None:
        self.progress.update("attest", done, total, unit="texts")

    def _require_vectors(self, dataset: str, space: str | None, tables: SpaceTables) -> None:
        if self.lake(read_only=True).has_table(dataset, tables.embedding_table):
            return
        resolved = self.space(dataset, space)
        served = self._served(dataset)
        made = f"; production serves version {served.number}, made with {served.model}" if served is not None else ""
        raise NotFoundError(
            f"{dataset} has no vectors of {resolved.model} ({resolved.embedder_fingerprint}) in space {resolved.name}{made}",
            fix=f"Build with this model, or install the one that made them: vector-pipeline build {dataset}",
        )

    def _served(self, dataset: str) -> Version | None:
        registry = self.registry(read_only=True)
        alias = registry.alias(dataset, self.environment, PRODUCTION)
        return None if alias is None else registry.version(dataset, alias.deployment.version)

    def _texts(self, dataset: str, tables: SpaceTables) -> str:
        """Relation of the chunks of the present state and of what production serves, as far as they share the vectors."""
        parts = [tables.chunks]
        served = self._served(dataset)
        if served is not None and served.expired_at is None and served.embedding_table == tables.embedding_table:
            parts.append(at(tables_of(served).chunks, served.lake_snapshot))
        # What is not embedded yet is not looked at.
        there = f"WHERE (shard, content_hash) IN (SELECT (shard, content_hash) FROM {tables.embeddings})"
        return "(" + " UNION ALL ".join(f"SELECT {_TEXTS} FROM {part} {there}" for part in parts) + ")"

    def _touched(self, dataset: str, tables: SpaceTables, doubted: Doubted | None) -> tuple[Touched, ...]:
        if doubted is None or not doubted.rows:
            return ()
        registry, lake = self.registry(read_only=True), self.lake()
        aliases: dict[int, list[str]] = {}
        for one in registry.aliases(dataset, self.environment):
            aliases.setdefault(one.deployment.version, []).append(one.name)
        found = [
            (one.number, doubts.records_doubted(lake, tables_of(one), one.lake_snapshot))
            for one in registry.versions(dataset)
            if one.expired_at is None and one.embedding_table == tables.embedding_table
        ]
        return tuple(
            Touched(number, records, tuple(sorted(aliases.get(number, ())))) for number, records in found if records
        )


def _attested(looked: Looked, golden: int) -> Attested:
    if not looked.wrong:
        return Attested(WHOLE if golden else SAMPLE, golden + looked.compared, True, looked.worst, "")
    worst = max(looked.wrong, key=lambda one: one.distance)
    return Attested(SAMPLE, looked.compared, False, looked.worst, worst.content_hash)


def _says(looked: Looked, model: str) -> str:
    if not looked.wrong:
        return said(looked) if looked.compared else "no stored text to look at"
    worst = max(looked.wrong, key=lambda one: one.distance)
    return (
        f"{len(looked.wrong):,} of {looked.compared:,} vectors are not what {model} makes of their texts, such as one of "
        f"{worst.document} (cosine distance {worst.distance:.2g})"
    )
