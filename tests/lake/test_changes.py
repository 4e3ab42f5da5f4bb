"""What the change feed tells of two states is their difference, after any history, or it tells nothing."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from vector_pipeline.config import LakeConfig, SecretTemplate
from vector_pipeline.lake import changes
from vector_pipeline.lake.changes import count_at, find_changes
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import DatasetTables, at

TABLES = DatasetTables("corpus")
TABLE = TABLES.named("rows")


@pytest.fixture
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    """Its catalog is a SQLite file; PostgreSQL where a test says so."""
    config = LakeConfig()
    if getattr(request, "param", "") == "postgres":
        config = LakeConfig(catalog=SecretTemplate(request.getfixturevalue("postgres_url")))
    with Lake.open(config, tmp_path) as lake:

        def make() -> None:
            lake.run(f"CREATE SCHEMA {TABLES.schema}")
            lake.run(f"CREATE TABLE {TABLE} (shard INTEGER, name VARCHAR, hash VARCHAR)")
            lake.run(f"ALTER TABLE {TABLE} SET PARTITIONED BY (shard)")

        lake.transaction(make, "make")
        yield lake


def insert(lake: Lake, first: int, count: int, hash_: str) -> None:
    lake.transaction(
        lambda: lake.run(
            f"INSERT INTO {TABLE} SELECT i % 3, 'n' || i, '{hash_}' FROM range({first}, {first + count}) r(i)"
        ),
        "insert",
    )


def step(lake: Lake, chosen: random.Random, kept: list[int]) -> None:
    """One thing that happens to a lake; those states that are still kept."""
    some = f"hash(name) % {chosen.randrange(2, 9)} = 0"
    match chosen.choice(["few", "many", "delete", "update", "again", "merge", "flush", "expire"]):
        case "few":
            insert(lake, chosen.randrange(1_000), chosen.choice([1, 3]), f"h{chosen.randrange(3)}")
        case "many":
            insert(lake, chosen.randrange(1_000), chosen.choice([20, 300]), f"h{chosen.randrange(3)}")
        case "delete":
            lake.transaction(lambda: lake.run(f"DELETE FROM {TABLE} WHERE {some}"), "delete")
        case "update":
            new = f"h{chosen.randrange(4)}"
            lake.transaction(lambda: lake.run(f"UPDATE {TABLE} SET hash = '{new}' WHERE {some}"), "update")
        case "again":

            def again() -> None:
                lake.run(f"CREATE OR REPLACE TEMP TABLE same AS FROM {TABLE} WHERE {some}")
                lake.run(f"DELETE FROM {TABLE} WHERE {some}")
                lake.run(f"INSERT INTO {TABLE} FROM same")

            lake.transaction(again, "again")
        case "merge":
            lake.run("CALL ducklake_merge_adjacent_files('lake')")
        case "flush":
            lake.run("CALL ducklake_flush_inlined_data('lake')")
        case "expire" if len(kept) > 2:
            gone = chosen.sample(kept[:-1], chosen.randint(1, len(kept) - 2))
            lake.run(f"CALL ducklake_expire_snapshots('lake', versions => {gone})")
            if chosen.random() < 0.5:
                lake.run("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)")
            kept[:] = [one for one in kept if one not in gone]
    if lake.snapshot_id() != kept[-1]:
        kept.append(lake.snapshot_id())


def true_difference(lake: Lake, old: int, new: int) -> list[tuple[object, ...]]:
    return sorted(
        lake.rows(
            f"""SELECT name, hash, sum(n)::BIGINT FROM (SELECT name, hash, 1 AS n FROM {at(TABLE, new)} b
                    UNION ALL SELECT name, hash, -1 FROM {at(TABLE, old)} a) GROUP BY ALL HAVING sum(n) <> 0"""
        )
    )


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 40))])
def test_what_is_told_is_true(lake: Lake, seed: int) -> None:
    chosen, kept = random.Random(seed), [lake.snapshot_id()]
    for _ in range(chosen.randint(6, 12)):
        step(lake, chosen, kept)
    told = 0
    for old, new in combinations_with_replacement(kept, 2):
        if find_changes(lake, TABLES, "rows", ("name", "hash"), old, new, "net"):
            told += 1
            assert sorted(lake.rows("SELECT name, hash, net FROM net")) == true_difference(lake, old, new)
    assert told >= len(kept), "not even that a state is itself"


def test_what_came_and_went_is_no_change(lake: Lake) -> None:
    insert(lake, 0, 50, "a")
    first = lake.snapshot_id()
    insert(lake, 50, 5, "a")
    lake.transaction(
        lambda: lake.run(f"DELETE FROM {TABLE} WHERE name >= 'n50' AND name < 'n55' AND length(name) = 3"), "back"
    )
    assert find_changes(lake, TABLES, "rows", ("name",), first, lake.snapshot_id(), "net")
    assert lake.rows("FROM net") == []


def test_a_state_that_is_gone_tells_nothing(lake: Lake) -> None:
    insert(lake, 0, 50, "a")
    gone = lake.snapshot_id()
    insert(lake, 50, 50, "a")
    lake.run(f"CALL ducklake_expire_snapshots('lake', versions => [{gone}])")
    assert not find_changes(lake, TABLES, "rows", ("name",), gone, lake.snapshot_id(), "net")


def test_a_table_that_was_made_anew_tells_nothing(lake: Lake) -> None:
    insert(lake, 0, 50, "a")
    first = lake.snapshot_id()
    lake.transaction(lambda: lake.run(f"DROP TABLE {TABLE}"), "drop")
    lake.transaction(lambda: lake.run(f"CREATE TABLE {TABLE} (shard INTEGER, name VARCHAR, hash VARCHAR)"), "anew")
    insert(lake, 0, 50, "b")
    assert not find_changes(lake, TABLES, "rows", ("name", "hash"), first, lake.snapshot_id(), "net")


def test_a_state_that_was_read_and_is_gone_tells_nothing(lake: Lake) -> None:
    insert(lake, 0, 50, "a")
    gone = lake.snapshot_id()
    insert(lake, 50, 50, "a")
    last = lake.snapshot_id()
    assert find_changes(lake, TABLES, "rows", ("name",), gone, last, "net")
    lake.run(f"CALL ducklake_expire_snapshots('lake', versions => [{gone}])")
    assert not find_changes(lake, TABLES, "rows", ("name",), gone, last, "net")


def test_what_was_read_is_added_to(lake: Lake) -> None:
    insert(lake, 0, 50, "a")
    first = lake.snapshot_id()
    insert(lake, 50, 30, "a")
    assert find_changes(lake, TABLES, "rows", ("name", "hash"), first, lake.snapshot_id(), "net")
    # A commit of another table, then one that takes back a part of what was read, then other columns than before.
    lake.transaction(lambda: lake.run(f"CREATE TABLE {TABLES.named('other')} AS SELECT 1 AS n"), "another table")
    lake.transaction(lambda: lake.run(f"INSERT INTO {TABLES.named('other')} FROM range(100)"), "another table's rows")
    assert find_changes(lake, TABLES, "rows", ("name",), first, lake.snapshot_id(), "net")
    assert lake.row("SELECT count(*), sum(net) FROM net") == (30, 30)
    lake.transaction(lambda: lake.run(f"DELETE FROM {TABLE} WHERE name >= 'n60' AND length(name) = 3"), "back")
    last = lake.snapshot_id()
    assert find_changes(lake, TABLES, "rows", ("hash", "shard"), first, last, "net")
    found = lake.rows("SELECT hash, sum(net)::BIGINT FROM net GROUP BY hash")
    assert found == [("a", count_at(lake, TABLES, "rows", last) - count_at(lake, TABLES, "rows", first))]
    assert count_at(lake, TABLES, "rows", last) == lake.row(f"SELECT count(*) FROM {at(TABLE, last)}")[0]


def test_a_lake_that_was_put_back_under_an_open_connection_is_read_again(lake: Lake, tmp_path: Path) -> None:
    insert(lake, 0, 50, "a")
    first, copy = lake.snapshot_id(), tmp_path / "copy.db"
    assert lake.catalog_file is not None
    with sqlite3.connect(lake.catalog_file) as there, sqlite3.connect(copy) as kept:
        there.backup(kept)
    insert(lake, 50, 30, "a")
    last = lake.snapshot_id()
    assert find_changes(lake, TABLES, "rows", ("hash",), first, last, "net")
    for log in tmp_path.rglob(f"{lake.catalog_file.name}-*"):
        log.unlink()
    shutil.copy(copy, lake.catalog_file)
    with Lake.open(LakeConfig(), tmp_path) as another:
        insert(another, 50, 20, "b")
        assert another.snapshot_id() == last, "the same number, and another state"
    assert count_at(lake, TABLES, "rows", last) == 70
    assert find_changes(lake, TABLES, "rows", ("hash",), first, last, "net")
    assert lake.rows("SELECT hash, net FROM net") == [("b", 20)]


def test_what_was_added_to_in_part_is_not_known_any_more(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    insert(lake, 0, 50, "a")
    first = lake.snapshot_id()
    insert(lake, 50, 30, "a")
    assert find_changes(lake, TABLES, "rows", ("hash",), first, lake.snapshot_id(), "net")
    lake.transaction(lambda: lake.run(f"UPDATE {TABLE} SET hash = 'b'"), "as many rows as before")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(changes, "_agreeing", interrupted)
        with pytest.raises(KeyboardInterrupt):
            find_changes(lake, TABLES, "rows", ("hash",), first, lake.snapshot_id(), "net")
    assert find_changes(lake, TABLES, "rows", ("hash",), first, lake.snapshot_id(), "net")
    assert sorted(lake.rows("SELECT hash, net FROM net")) == [("a", -50), ("b", 80)]


@pytest.mark.parametrize("lake", ["sqlite", "postgres"], indirect=True)
def test_a_feed_that_is_longer_than_both_states_is_not_written_out(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_LITTLE", 0)
    insert(lake, 0, 300, "a")
    states = [lake.snapshot_id()]
    for number in range(12):
        lake.transaction(lambda new=number: lake.run(f"UPDATE {TABLE} SET hash = 'b{new}'"), "all")  # type: ignore[misc]
        states.append(lake.snapshot_id())
    assert find_changes(lake, TABLES, "rows", ("name", "hash"), states[0], states[1], "net")
    assert lake.row("SELECT count(*), sum(net) FROM net") == (600, 0)
    # Neither at once nor by adding to what was read.
    for seen in (states[0], states[3]):
        assert not find_changes(lake, TABLES, "rows", ("name", "hash"), seen, states[-1], "net")
        (most,) = lake.row(
            "SELECT coalesce(max(estimated_size), 0) FROM duckdb_tables() WHERE table_name LIKE 'feed of %'"
        )
        assert most <= 4 * 300
    monkeypatch.setattr(changes, "_LITTLE", 100_000)
    assert find_changes(lake, TABLES, "rows", ("name", "hash"), states[0], states[-1], "net")
    assert sorted(lake.rows("SELECT name, hash, net FROM net")) == true_difference(lake, states[0], states[-1])
