"""The left half: source to version."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from vector_pipeline.build import ChunkCounts, EmbedCounts, chunk_documents, embed_chunks, sync_documents
from vector_pipeline.build.attesting import Attesting, declared
from vector_pipeline.build.pending import pending_shards
from vector_pipeline.config.models import gates_of
from vector_pipeline.embedding.batches import Progress
from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError
from vector_pipeline.lake.diff import Side, VersionDiff, diff_versions
from vector_pipeline.lake.documents import SyncCounts
from vector_pipeline.parts import Parts
from vector_pipeline.release.holding import Held, hold
from vector_pipeline.release.registry import Version
from vector_pipeline.release.snapshot import make_version, reads_back, tables_of
from vector_pipeline.report.progress import ProgressSink, current_sink

WAIT_SECONDS = 900.0
"""A step waits this long for another build of the same dataset, then says who holds it."""


@dataclass(frozen=True, slots=True)
class VersionMade:
    """A version, whether it was made now, and how it differs from its parent (None: nothing was made)."""

    version: Version
    made: bool
    diff: VersionDiff | None


class Building(Parts):
    """Steps that write to the lake."""

    @property
    def progress(self) -> ProgressSink:
        """Where long work reports to: a terminal's bar, a run's log, or nowhere."""
        return current_sink()

    def sync(self, dataset: str, *, shards: Sequence[int] | None = None) -> SyncCounts:
        """Source → documents, for the selected shards (None: all)."""
        settings = self.dataset(dataset)
        with self._writing(dataset, "documents"):
            return sync_documents(
                self.lake(), dataset, settings, self.base, shards=shards,
                on_read=lambda done, total: self.progress.update("read documents", done, total, unit="files"),
                erased=self.registry().erased_keys(dataset),
            )  # fmt: skip

    def pending(self, dataset: str) -> set[int]:
        """Shards that a build would change, in any space; all of them when there is no lake yet. Writes nothing."""
        settings = self.dataset(dataset)
        try:
            lake = self.lake(read_only=True)
        except NotFoundError:
            return set(range(settings.shards))
        return pending_shards(
            lake, dataset, settings, self.base, (self.tables(dataset, space) for space in settings.spaces)
        )

    def chunk(self, dataset: str, *, space: str | None = None, shards: Sequence[int] | None = None) -> ChunkCounts:
        """Documents → chunks of a space."""
        tables = self.tables(dataset, space)
        with self._writing(dataset, tables.chunk_table):
            return chunk_documents(
                self.lake(), tables, self.space(dataset, space), self.chunker(dataset, space), shards=shards,
                on_document=lambda done, total: self.progress.update("chunk", done, total, unit="documents"),
            )  # fmt: skip

    def embed(self, dataset: str, *, space: str | None = None, shards: Sequence[int] | None = None) -> EmbedCounts:
        """Chunks → embeddings of a space."""

        def report(progress: Progress) -> None:
            left = (
                ""
                if progress.remaining_s is None
                else f"{progress.rate_per_s:.0f}/s, {progress.remaining_s:.0f} s left"
            )
            self.progress.update("embed", progress.done, progress.total, unit="texts", note=left)

        tables = self.tables(dataset, space)
        # By table, not by space: two spaces of one embedder share their vectors.
        with self._writing(dataset, tables.embedding_table):
            return embed_chunks(
                self.lake(), tables, self.space(dataset, space), self.embedder(dataset, space), shards=shards,
                on_progress=report, attesting=self.attesting(dataset, space),
            )  # fmt: skip

    def attesting(self, dataset: str, space: str | None = None) -> Attesting | None:
        """How what is embedded is attested; None where the gate is turned off."""
        gates = gates_of(self.dataset(dataset), self.settings)
        if gates.mode("attestation") == "off":
            return None
        name = space or self.dataset(dataset).serving_space
        said = declared(self.dataset(dataset).spaces[name].embedder)
        return Attesting(gates.attestation, self.base, said, self.space(dataset, space).model)

    @contextmanager
    def _writing(self, dataset: str, table: str) -> Iterator[Held]:
        """One writer a table: what is missing is worked out and written under one lease, or two builds would write it twice."""

        def waiting(error: ConflictError) -> None:
            self.progress.update(f"waiting: {error.what}", 0, 1)

        with hold(self.registry(), f"lake/{dataset}/{table}", wait_s=WAIT_SECONDS, on_wait=waiting) as held:
            self._require_whole(dataset)
            yield held

    def _require_whole(self, dataset: str) -> None:
        """``RefusedError`` while an erasure is half done: the tables do not hold the present state."""
        if self.registry().open_erasure(dataset) is not None:
            raise RefusedError(
                f"an erasure of a document of {dataset} was not finished",
                fix=f"Finish it: vector-pipeline erase {dataset} --yes",
            )

    def snapshot(
        self, dataset: str, *, space: str | None = None, message: str = "", run_id: str | None = None
    ) -> VersionMade:
        """The version of the lake's present state; made only if its content differs from the last one's."""
        tables = self.tables(dataset, space)
        # Nobody takes a document out of the state, or chunks it anew, while it is described.
        with self._writing(dataset, tables.chunk_table):
            version, made, _ = make_version(
                self.lake(), self.registry(), tables, self.space(dataset, space),
                message=message, run_id=run_id, code_revision=code_revision(),
            )  # fmt: skip
        return VersionMade(version, made, self._since_parent(version) if made else None)

    def _since_parent(self, version: Version) -> VersionDiff:
        parent = self.registry().version(version.dataset, version.parent) if version.parent else None
        gone = parent is None or parent.expired_at or not reads_back(self.lake(), parent)
        old = None if parent is None or gone else Side(tables_of(parent), parent.lake_snapshot)
        return diff_versions(self.lake(), old, Side(tables_of(version), version.lake_snapshot))

    def build(self, dataset: str, *, message: str = "") -> VersionMade:
        """Everything from source to version, without Dagster: for scripts, tests and benchmarks."""
        self.sync(dataset)
        self.chunk(dataset)
        self.embed(dataset)
        return self.snapshot(dataset, message=message)


def code_revision() -> str | None:
    """Commit of the project that runs: ``$VECTOR_PIPELINE_CODE_REVISION``, or git's HEAD in the current folder."""
    named = os.environ.get("VECTOR_PIPELINE_CODE_REVISION")
    if named:
        return named
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
