"""What an embedding run leaves in the registry: shards that it made whole, what that took, and the one that it failed in."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from vector_pipeline.build.filling import shard_states
from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.release.registry import FillStatus, NewFill, Registry
from vector_pipeline.release.registry.fills import failed_now

ENOUGH = 256
"""Texts of a shard from which on what they took is kept of a shard that was filled before, too."""


class Taken:
    """What one run took of each shard. As a context: what it raises of ours is recorded as the failure of its shard."""

    def __init__(self, registry: Registry, tables: SpaceTables, space: EmbeddingSpace, run_id: str | None) -> None:
        self._registry, self._tables, self._space, self._run_id = registry, tables, space, run_id
        self._spent: dict[int, tuple[int, float]] = {}
        self._now: int | None = None

    def add(self, shard: int, texts: int, seconds: float) -> None:
        """``embed_chunks``'s ``on_shard``."""
        before = self._spent.get(shard, (0, 0.0))
        self._spent[shard] = (before[0] + texts, before[1] + seconds)
        self._now = shard

    def record(self, lake: Lake, shards: Sequence[int]) -> None:
        """Shards that are whole now, and were not known to be or took much work: rates are told from them."""
        dataset = self._tables.dataset.dataset
        attempts = self._registry.fills(dataset, self._space.name, self._space.fingerprint)
        known = {one.shard for one in attempts if one.status is FillStatus.DONE} - set(failed_now(attempts))
        # A few texts say nothing of a rate, and a row for every edit would fill the registry.
        looked = [shard for shard in shards if shard not in known or self._spent.get(shard, (0,))[0] >= ENOUGH]
        if not looked:
            return
        made = []
        for state in shard_states(lake, self._tables, looked):
            texts, seconds = self._spent.get(state.shard, (0, 0.0))
            if state.whole:
                made.append(
                    NewFill(
                        shard=state.shard, status=FillStatus.DONE, documents=state.documents, records=state.records,
                        embedded=texts, seconds=seconds,
                    )
                )  # fmt: skip
        self._write(made)

    def _write(self, made: Sequence[NewFill]) -> None:
        self._registry.record_fills(
            self._tables.dataset.dataset, self._space.name, self._space.fingerprint, made, run_id=self._run_id
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, VectorPipelineError) and self._now is not None:
            texts, seconds = self._spent.get(self._now, (0, 0.0))
            failed = NewFill(
                shard=self._now, status=FillStatus.FAILED, embedded=texts, seconds=seconds, error=str(error)
            )
            self._write([failed])
