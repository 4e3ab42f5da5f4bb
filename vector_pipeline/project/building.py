"""The left half: source to version."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from vector_pipeline.build import ChunkCounts, EmbedCounts, chunk_documents, embed_chunks, sync_documents
from vector_pipeline.build.attesting import Attesting, Attestor, declared
from vector_pipeline.build.embeddings import COMMIT_ROWS
from vector_pipeline.build.pending import pending_shards
from vector_pipeline.build.reusing import reuse_vectors
from vector_pipeline.config.models import gates_of
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.embedding.batches import Progress
from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError
from vector_pipeline.lake.diff import Side, VersionDiff, diff_versions
from vector_pipeline.lake.documents import SyncCounts
from vector_pipeline.lake.tables import SpaceTables, within
from vector_pipeline.project.sampling import Sampling
from vector_pipeline.release.filled import Taken
from vector_pipeline.release.holding import hold_parts, hold_whole
from vector_pipeline.release.registry import Version
from vector_pipeline.release.snapshot import is_there, make_version, tables_of
from vector_pipeline.report.progress import ProgressSink, current_sink

WAIT_SECONDS = 900.0
"""A step waits this long for another build of the same dataset, then says who holds it."""


@dataclass(frozen=True, slots=True)
class VersionMade:
    """A version, whether it was made now, and how it differs from its parent (None: nothing was made)."""

    version: Version
    made: bool
    diff: VersionDiff | None


class Building(Sampling):
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
                erased=self._erased(dataset), sample=self.sample(dataset),
            )  # fmt: skip

    def _erased(self, dataset: str) -> set[str]:
        """Keys of documents that stay out."""
        return self.registry().erased_keys(dataset)

    def pending(self, dataset: str) -> set[int]:
        """Shards that a build would change, in any space; all of them when there is no lake yet. Writes nothing."""
        settings = self.dataset(dataset)
        try:
            lake = self.lake(read_only=True)
        except NotFoundError:
            return set(range(settings.shards))
        every = range(settings.shards)
        covered = {space: set(self.shards_to_build(dataset, space, every) or []) for space in settings.spaces}
        spaces = [(self.tables(dataset, space), shards) for space, shards in covered.items() if shards]
        return pending_shards(lake, dataset, settings, self.base, spaces, self.sample(dataset))

    def chunk(
        self,
        dataset: str,
        *,
        space: str | None = None,
        shards: Sequence[int] | None = None,
        run_id: str | None = None,
    ) -> ChunkCounts:
        """Documents → chunks of a space. What failed, the registry keeps as fills."""
        tables = self.tables(dataset, space)
        with (
            self._taken(dataset, space, shards, run_id),
            self._writing(dataset, tables.chunk_table, self._parts(dataset, space, shards)),
        ):
            return chunk_documents(
                self.lake(), tables, self.space(dataset, space), self.chunker(dataset, space), shards=shards,
                on_document=lambda done, total: self.progress.update("chunk", done, total, unit="documents"),
            )  # fmt: skip

    def embed(
        self,
        dataset: str,
        *,
        space: str | None = None,
        shards: Sequence[int] | None = None,
        run_id: str | None = None,
        embedder: Embedder | None = None,
        attestor: Attestor | None = None,
        commit_rows: int = COMMIT_ROWS,
        stop: Callable[[], bool] | None = None,
        of: tuple[int, int] | None = None,
    ) -> EmbedCounts:
        """Chunks → embeddings of a space. What was whole at the end, or failed, the registry keeps as fills.

        ``embedder``: the space's own, slowed perhaps. ``attestor``: of a run of which this is a part. ``commit_rows``: texts in one
        commit. ``stop``: asked before each commit whether it is the last. ``of``: texts that were embedded before, and all there
        are, where this is a part of longer work.
        """

        def report(progress: Progress) -> None:
            before, total = of or (0, progress.total)
            done, left = before + progress.done, progress.remaining_s
            if left is not None and of is not None:
                left = (total - done) / progress.rate_per_s if progress.rate_per_s else None
            note = "" if left is None else f"{progress.rate}, {left:.0f} s left"
            self.progress.update("embed", done, total, unit="texts", note=note)

        tables, resolved = self.tables(dataset, space), self.space(dataset, space)
        taken = self._taken(dataset, space, shards, run_id)

        def made(mine: Sequence[int] | None, *, shared: bool = False) -> EmbedCounts:
            # By table, not by space: two spaces of one embedder share their vectors.
            with self._writing(dataset, tables.embedding_table, mine):
                return embed_chunks(
                    self.lake(), tables, resolved, embedder or self.embedder(dataset, space),
                    shards=shards if mine is None else mine, on_progress=report, commit_rows=commit_rows,
                    attesting=attestor or self.attesting(dataset, space), stop=stop, on_shard=taken.add,
                    beside=mine is not None, only_shared=shared,
                )  # fmt: skip

        with taken:
            mine = self._parts(dataset, space, shards)
            reused = self._reused(dataset, space, shards if mine is None else mine, mine)
            counts = made(mine)
            counts = replace(counts, copied=counts.copied + reused)
            # Texts that shards of others lack too: each is embedded once, by whoever has all of these.
            while counts.shared and not counts.left:
                counts = counts.plus(made(counts.shared, shared=True))
        taken.record()
        if mine is None:
            return counts
        held = self.lake().row(f"SELECT count(*) FROM {tables.embeddings} WHERE {within(mine)}")[0]
        return replace(counts, vectors=int(held))

    def _reused(self, dataset: str, space: str | None, shards: Sequence[int] | None, mine: Sequence[int] | None) -> int:
        """Vectors that were read in the environment that this one reuses."""
        other = self.other_lake()
        if other is None:
            return 0
        tables = self.tables(dataset, space)
        with self._writing(dataset, tables.embedding_table, mine):
            return reuse_vectors(
                self.lake(), tables, self.embedder(dataset, space), other,
                shards=None if shards is None else list(shards), attesting=self.attesting(dataset, space),
                theirs=self._elsewhere(tables),
            )  # fmt: skip

    def _elsewhere(self, tables: SpaceTables) -> SpaceTables:
        """What tables of a space here are in another environment's lake."""
        return tables

    def _taken(self, dataset: str, space: str | None, shards: Sequence[int] | None, run_id: str | None) -> Taken:
        """What a run takes of shards (None: all), or fails in."""
        every = range(self.dataset(dataset).shards) if shards is None else shards
        tables, resolved = self.tables(dataset, space), self.space(dataset, space)
        return Taken(self.registry(), self.lake(), tables, resolved, run_id, every)

    def shards_to_build(self, dataset: str, space: str, shards: Sequence[int] | None) -> list[int] | None:
        """Of the shards that a build covers (None: all), those that it brings up to date in a space: where it does not serve, those
        that were filled. A build fills none: production's release would wait for a migration.
        """
        if self.serves(dataset, space):
            return None if shards is None else list(shards)
        filled = self.filled(dataset, space)
        return sorted(filled if shards is None else filled & set(shards))

    def filled(self, dataset: str, space: str) -> set[int]:
        """Shards of a space that were filled. Of one that was never begun the model is not asked for: it may be elsewhere."""
        registry = self.registry()
        if registry.latest_version(dataset, space) is None and all(
            name != space for name, _ in registry.filled_spaces(dataset)
        ):
            return set()
        fingerprint = self.space(dataset, space).fingerprint
        if registry.latest_version(dataset, space, fingerprint) is not None:
            # A version is made of a whole space only, and a retired one has none: also of before there were fills.
            return set(range(self.dataset(dataset).shards))
        return registry.filled_shards(dataset, space, fingerprint)

    def serves(self, dataset: str, space: str | None) -> bool:
        """Whether production serves a space, as the configuration says."""
        return space is None or space == self.dataset(dataset).serving_space

    def _parts(self, dataset: str, space: str | None, shards: Sequence[int] | None) -> Sequence[int] | None:
        """Shards of a table that a writer takes for itself; None: the whole table. Spaces that do not serve are filled by several
        at once, and none of them may keep production's own build waiting.
        """
        if self.serves(dataset, space):
            return None
        return range(self.dataset(dataset).shards) if shards is None else shards

    def attesting(self, dataset: str, space: str | None = None) -> Attesting | None:
        """How what is embedded is attested; None where the gate is turned off."""
        gates = gates_of(self.dataset(dataset), self.settings)
        if gates.mode("attestation") == "off":
            return None
        name = space or self.dataset(dataset).serving_space
        said = declared(self.dataset(dataset).spaces[name].embedder)
        return Attesting(gates.attestation, self.base, said, self.space(dataset, space).model)

    @contextmanager
    def _writing(self, dataset: str, table: str, shards: Sequence[int] | None = None) -> Iterator[None]:
        """One writer a table, or a shard of it: what is missing is worked out and written under one lease, or two builds would
        write it twice. Each commit asks first whether the lease is still held: a process that was suspended writes nothing.
        """

        def waiting(error: ConflictError) -> None:
            self.progress.update(f"waiting: {error.what}", 0, 1)

        resource = f"lake/{dataset}/{table}"
        with ExitStack() as stack:
            if shards is None:
                held = [
                    stack.enter_context(hold_whole(self.registry(), resource, wait_s=WAIT_SECONDS, on_wait=waiting))
                ]
            else:
                held = stack.enter_context(
                    hold_parts(self.registry(), resource, shards, wait_s=WAIT_SECONDS, on_wait=waiting)
                )
            for one in held:
                stack.enter_context(self.lake().guarded(one.check))
            self._require_whole(dataset)
            yield

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
        gone = parent is None or parent.expired_at or not is_there(self.lake(), parent)
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
