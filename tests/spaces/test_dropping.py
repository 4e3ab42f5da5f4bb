"""Dropped tables of a lake: every other table reads back in every state, also for who has been reading all the time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lake.conftest import postgres, postgres_url
from vector_pipeline.config import LakeConfig, SecretTemplate
from vector_pipeline.lake.connection import CATALOG, Lake
from vector_pipeline.lake.dropping import drop_tables, hand_over, left_over, table_sizes
from vector_pipeline.lake.retention import collect_files, expire_snapshots, merge_files

__all__ = ["postgres", "postgres_url"]


class Lakes:
    """One lake, opened by a writer, by another writer and by a reader."""

    def __init__(self, config: LakeConfig, folder: Path) -> None:
        self.one, self.two = Lake.open(config, folder), Lake.open(config, folder)
        self.one.transaction(lambda: self.one.run(f"CREATE SCHEMA {CATALOG}.d"), "make")
        for name in ("old", "new"):
            self.make(name)
        self.reader = Lake.open(config, folder, read_only=True)

    def make(self, name: str) -> None:
        table = f'{CATALOG}.d."{name}"'
        rows = "SELECT i % 2, 't' || i, [i::FLOAT, 1] FROM range(1000) x(i)"
        for statement in (
            f"CREATE TABLE {table} (shard INTEGER, id VARCHAR, vector FLOAT[])",
            f"ALTER TABLE {table} SET PARTITIONED BY (shard)",
            f"INSERT INTO {table} {rows}",
            f"INSERT INTO {table} {rows} LIMIT 3",
            f"DELETE FROM {table} WHERE id IN ('t1', 't7', 't500')",
        ):
            self.one.transaction(lambda statement=statement: self.one.run(statement), "fill")  # type: ignore[misc]

    def all(self) -> tuple[Lake, Lake, Lake]:
        return self.one, self.two, self.reader


def seen(lake: Lake, table: str, snapshot: int) -> tuple[object, ...]:
    return lake.row(f'SELECT count(*), sum(vector[1]) FROM (FROM {CATALOG}.d."{table}" AT (VERSION => {snapshot}))')


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def lakes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lakes]:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    made = Lakes(LakeConfig(catalog=SecretTemplate(url), data=str(tmp_path / "data")), tmp_path)
    yield made
    for lake in made.all():
        lake.close()


def test_files_of_a_dropped_table_go_although_a_kept_state_is_older(lakes: Lakes, tmp_path: Path) -> None:
    lake = lakes.one
    snapshot = lake.snapshot_id()
    before = seen(lake, "new", snapshot)
    for one in lakes.all():
        assert seen(one, "old", snapshot) == before == seen(one, "new", snapshot)
    size = table_sizes(lake, "d")["old"]
    on_disk = list((tmp_path / "data/d/old").rglob("*.parquet"))
    assert (size.rows, size.files) == (999, len(on_disk))
    assert size.bytes == sum(one.stat().st_size for one in on_disk)

    assert drop_tables(lake, "d", ["old", "none"], "drop") == ["old"]
    assert seen(lakes.reader, "old", snapshot) == before, "until the files are handed over"
    assert expire_snapshots(lake, [snapshot], dry_run=False, grace_s=0).snapshots
    assert collect_files(lake, dry_run=True, grace_s=0).files == (), "why they are handed over at all"
    assert left_over(lake, "d")["old"].files == size.files
    assert hand_over(lake, "d", ["old"]).bytes == size.bytes
    assert hand_over(lake, "d", ["old"]).files == 0
    assert left_over(lake, "d") == {}

    assert collect_files(lake, dry_run=False).files == (), "somebody may be reading them"
    assert len(collect_files(lake, dry_run=False, grace_s=0).files) == len(on_disk)
    assert not any(one.exists() for one in on_disk)
    for one in lakes.all():
        assert seen(one, "new", snapshot) == before
        assert seen(one, "old", snapshot) == (0, None)
        assert seen(one, "new", snapshot) == before, "no connection is broken by the look"
    lakes.two.transaction(lambda: lakes.two.run(f"INSERT INTO {CATALOG}.d.new VALUES (1, 'z', [1, 1])"), "goes on")
    merge_files(lakes.two)
    assert seen(lake, "new", snapshot) == before
    # The state that still shows it goes as any other does.
    expire_snapshots(lake, [], dry_run=False, grace_s=0)
    collect_files(lake, dry_run=False, grace_s=0)
    assert lake.row(f"SELECT count(*) FROM {CATALOG}.d.new")[0] == 1000


def test_a_table_that_was_made_again_is_left_alone(lakes: Lakes) -> None:
    lake = lakes.one
    drop_tables(lake, "d", ["old"], "drop")
    lakes.make("old")
    snapshot = lake.snapshot_id()
    before = seen(lake, "old", snapshot)
    assert hand_over(lake, "d", ["old"]).files > 0
    assert hand_over(lake, "elsewhere", ["old"]).files == 0
    collect_files(lake, dry_run=False, grace_s=0)
    for one in lakes.all():
        assert seen(one, "old", snapshot) == before == seen(one, "new", snapshot)
