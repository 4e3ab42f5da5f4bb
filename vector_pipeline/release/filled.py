"""What an embedding run leaves in the registry: shards that it made whole, what that took, and those that it failed in.

Laws
----
1. What was embedded is counted for each text until a space has its first version: budgets are told from it. Later only where it was
   much: a row for every edit would fill the registry.
2. A failure of before the first text is that of every shard that was asked for and is not whole. It is said once, however often it
   comes again.
"""

from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from vector_pipeline.build.filling import shard_states
from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.release.registry import Fill, FillStatus, NewFill, Registry
from vector_pipeline.release.registry.fills import failed_now

ENOUGH = 256
"""Texts of a shard from which on what they took is kept of a shard that was filled before, too."""
_LONGEST = 300
"""Characters that are kept of what a library says."""


class Taken:
    """What one run took of each of its shards. As a context: what it raises is recorded as their failure."""

    def __init__(
        self, registry: Registry, lake: Lake, tables: SpaceTables, space: EmbeddingSpace, run_id: str | None,
        shards: Sequence[int],
    ) -> None:  # fmt: skip
        self._registry, self._lake, self._tables, self._space = registry, lake, tables, space
        self._run_id, self._shards = run_id, shards
        self._spent: dict[int, tuple[int, float]] = {}
        self._now: int | None = None

    def add(self, shard: int, texts: int, seconds: float) -> None:
        """``embed_chunks``'s ``on_shard``."""
        before = self._spent.get(shard, (0, 0.0))
        self._spent[shard] = (before[0] + texts, before[1] + seconds)
        self._now = shard

    def record(self) -> None:
        """Shards that are whole now and were not known to be, and law 1."""
        self._write(self._ended(sorted({*self._shards, *self._spent}), self._attempts()))

    def _attempts(self) -> list[Fill]:
        return self._registry.fills(self._tables.dataset.dataset, self._space.name, self._space.fingerprint)

    def _ended(self, shards: Sequence[int], attempts: Sequence[Fill]) -> list[NewFill]:
        known = {one.shard for one in attempts if one.status is FillStatus.DONE} - set(failed_now(attempts))
        dataset, name, fingerprint = self._tables.dataset.dataset, self._space.name, self._space.fingerprint
        least = 1 if self._registry.latest_version(dataset, name, fingerprint) is None else ENOUGH
        looked = [shard for shard in shards if shard not in known or self._spent.get(shard, (0,))[0] >= least]
        made = []
        for state in shard_states(self._lake, self._tables, looked) if looked else ():
            texts, seconds = self._spent.get(state.shard, (0, 0.0))
            if state.whole or texts:
                status = FillStatus.DONE if state.whole else FillStatus.PART
                made.append(
                    NewFill(
                        shard=state.shard, status=status, documents=state.documents, records=state.records,
                        embedded=texts, seconds=seconds,
                    )
                )  # fmt: skip
        return made

    def _write(self, made: Sequence[NewFill]) -> None:
        self._registry.record_fills(
            self._tables.dataset.dataset, self._space.name, self._space.fingerprint, made, run_id=self._run_id
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Who was interrupted has not failed.
        if isinstance(error, Exception):
            # What fails may be the lake or the registry itself: then nothing can be told, and the error says so.
            with suppress(VectorPipelineError):
                self._failed(_said(error))

    def _failed(self, error: str) -> None:
        attempts = self._attempts()
        if self._now is not None:
            shards = [self._now]
        else:
            states = shard_states(self._lake, self._tables, self._shards)
            before = {shard: one.error for shard, one in failed_now(attempts).items()}
            shards = [one.shard for one in states if not one.whole and before.get(one.shard) != error]
        failed = []
        for shard in shards:
            texts, seconds = self._spent.get(shard, (0, 0.0))
            failed.append(NewFill(shard=shard, status=FillStatus.FAILED, embedded=texts, seconds=seconds, error=error))
        ended = [shard for shard in self._spent if shard != self._now]
        self._write([*self._ended(ended, attempts), *failed])


def _said(error: Exception) -> str:
    """One line; of an error that is not ours, its kind too."""
    if isinstance(error, VectorPipelineError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}"
