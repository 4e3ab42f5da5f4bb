"""Small files are merged, given-up files deleted: every kept state of the lake reads back as before."""

from pathlib import Path

import pytest

from tests.lake.conftest import postgres, postgres_url
from tests.retention.conftest import lake_in
from vector_pipeline.config import LakeConfig, SecretTemplate
from vector_pipeline.lake.connection import CATALOG, Lake
from vector_pipeline.lake.retention import collect_files, expire_snapshots, merge_files

__all__ = ["postgres", "postgres_url"]

COMMITS = 6


def digest(lake: Lake, snapshot: int) -> tuple[object, ...]:
    return lake.row(
        f"""SELECT count(*), md5(string_agg(id || text, ',' ORDER BY id, text))
            FROM (FROM {CATALOG}.main.t AT (VERSION => {snapshot}))"""
    )


@pytest.fixture(params=["sqlite", "postgres"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """An empty lake, on each kind of catalog."""
    if request.param == "sqlite":
        return lake_in(tmp_path)
    url = SecretTemplate(request.getfixturevalue("postgres_url"))
    return Lake.open(LakeConfig(catalog=url, data=str(tmp_path / "data")), tmp_path)


@pytest.fixture
def states(lake: Lake) -> tuple[Lake, dict[int, tuple[object, ...]]]:
    """A lake of two shards after some commits that insert, delete and replace; the digest of each state."""
    table = f"{CATALOG}.main.t"
    lake.transaction(lambda: lake.run(f"CREATE TABLE {table} (shard INTEGER, id VARCHAR, text VARCHAR)"), "make")
    lake.transaction(lambda: lake.run(f"ALTER TABLE {table} SET PARTITIONED BY (shard)"), "partition")
    found = {}
    for n in range(COMMITS):

        def work(n: int = n) -> None:
            # All deletions hit the first file: DuckLake leaves one with deletions as it is.
            lake.run(f"DELETE FROM {table} WHERE id IN (SELECT 'd' || i FROM range({n * 20 - 20}, {n * 20}) x(i))")
            rows = f"range({n * 100}, {n * 100 + 100}) x(i)"
            lake.run(f"INSERT INTO {table} SELECT i % 2, 'd' || i, md5('{n}' || i) FROM {rows}")

        lake.transaction(work, f"commit {n}")
        found[lake.snapshot_id()] = digest(lake, lake.snapshot_id())
    return lake, found


def files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.parquet"))


def test_merging_and_deleting_changes_no_kept_state(
    states: tuple[Lake, dict[int, tuple[object, ...]]], tmp_path: Path
) -> None:
    lake, found = states
    before = files(tmp_path)
    with lake:
        assert merge_files(lake) > 0
        assert all(digest(lake, state) == value for state, value in found.items())
        assert collect_files(lake, dry_run=False).files == (), "somebody may be reading them"
        assert files(tmp_path) > before
        told = collect_files(lake, dry_run=True, grace_s=0).files
        assert files(tmp_path) > before
        assert set(collect_files(lake, dry_run=False, grace_s=0).files) == set(told)
        assert files(tmp_path) < before
        assert all(digest(lake, state) == value for state, value in found.items())
        kept = sorted(found)[1::3]
        expire_snapshots(lake, kept, dry_run=False, grace_s=0)
        merge_files(lake)
        collect_files(lake, dry_run=False, grace_s=0)
        assert all(digest(lake, state) == found[state] for state in kept)
        assert merge_files(lake) == 0, "once is enough"
