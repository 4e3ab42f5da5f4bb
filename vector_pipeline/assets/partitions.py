"""Shards as partitions: one static set a dataset, named ``00``, ``01``, …"""

from collections.abc import Iterable, Sequence

import dagster as dg

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Tags of a run over a contiguous range of partitions. Scattered shards in one run are impossible (dagster #32335)."""


def shard_key(shard: int) -> str:
    """A shard's partition key: two digits, so that names sort as numbers do."""
    return f"{shard:02d}"


def shard_partitions(shards: int) -> dg.StaticPartitionsDefinition:
    """The partitions of a dataset with so many shards (at most 64)."""
    return dg.StaticPartitionsDefinition([shard_key(shard) for shard in range(shards)])


def backfill_policy(shards: int, runs: int) -> dg.BackfillPolicy:
    """How a backfill of sharded assets is split: into so many runs at most, each over a contiguous range."""
    return dg.BackfillPolicy.single_run() if runs == 1 else dg.BackfillPolicy.multi_run(-(-shards // runs))


def range_tags(first: int, last: int) -> dict[str, str]:
    """Tags of a run over shards ``first`` to ``last``."""
    return {RANGE_START: shard_key(first), RANGE_END: shard_key(last)}


def selected_shards(keys: Sequence[str], shards: int) -> list[int] | None:
    """Shards of a run's partition keys; None when they are all there are."""
    chosen = sorted(int(key) for key in keys)
    return None if len(chosen) == shards else chosen


def each_shard(selected: Iterable[int] | None, shards: int) -> list[int]:
    """The selection written out."""
    return list(range(shards)) if selected is None else sorted(selected)
