"""The planner against a plain model: whatever happened to the index, a push ends in exactly the version, and harms no other."""

import random
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vector_pipeline.hashing import base_record_id, record_id
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.comparing import compare_shared, observe
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA, Capabilities

SPACE = "0123456789abcdef"
CONTENTS = [(f"doc{n // 3}", f"text{n}") for n in range(9)]
RECORDS = [record_id(document, text, SPACE) for document, text in CONTENTS]

LIMITS = Capabilities(
    numeric_filters=True, scans_marks=True, atomic_batches=True, fencing=True, metrics=frozenset({"cosine"}),
    max_batch_records=10, max_batch_bytes=10_000, max_top_k=10, derives=True,
)  # fmt: skip
Index = dict[str, dict[str, object]]
Desired = dict[str, str]
DESIRED = st.dictionaries(st.sampled_from(RECORDS), st.sampled_from(["m1", "m2"]), max_size=9)
"""Record id to metadata hash."""


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    lake = Lake(duckdb.connect(), "memory", read_only=False)
    yield lake
    lake.close()


def planned(lake: Lake, index: Index, desired: Desired, version: int) -> list[dict[str, object]]:
    """Actions of a push, as the planner sees index and snapshot."""
    rows = [{"id": identifier, "document_id": "d", "content_hash": "c", **row} for identifier, row in index.items()]
    observe(lake, pa.Table.from_pylist(rows, schema=MARK_SCHEMA).to_batches(), SPACE)
    wanted = pa.table(
        {
            "shard": pa.array([0] * len(desired), pa.int32()),
            "record_id": pa.array(list(desired), pa.string()),
            "document_id": pa.array(["d"] * len(desired), pa.string()),
            "content_hash": pa.array(["c"] * len(desired), pa.string()),
            "metadata_hash": pa.array(list(desired.values()), pa.string()),
        }
    )
    with lake.registered("desired_rows", wanted):
        compare_shared(lake, "desired_rows", version, LIMITS)
    found: list[dict[str, object]] = lake.table("SELECT * FROM plan_actions ORDER BY record_id, id, end_id").to_pylist()
    return found


def apply(index: Index, actions: list[dict[str, object]], desired: Desired, version: int, upto: int) -> None:
    """What apply does to an index: additions first, then closings; stopped after ``upto`` writes, as a crash would."""
    writes: list[tuple[str, str, str]] = []
    for action in actions:
        if action["id"] is not None:
            writes.append(("add", str(action["id"]), str(action["record_id"])))
    for action in actions:
        if action["end_id"] is not None:
            writes.append(("close", str(action["end_id"]), ""))
    for kind, identifier, record in writes[:upto]:
        if kind == "add":
            index[identifier] = {
                "metadata_hash": desired[record], "space": SPACE, "added_in": version, "removed_in": LIVE,
            }  # fmt: skip
        else:
            index[identifier]["removed_in"] = version


def visible(index: Index, version: int) -> list[tuple[str, object]]:
    """What a reader of a version sees: base record id and metadata, with repetitions."""
    return sorted(
        (base_record_id(identifier), row["metadata_hash"])
        for identifier, row in index.items()
        if row["added_in"] <= version < row["removed_in"]  # type: ignore[operator]
    )


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(DESIRED, st.integers(0, 20), st.booleans()), min_size=1, max_size=6), st.integers())
def test_a_push_reaches_its_version_and_harms_no_other(
    lake: Lake, history: list[tuple[Desired, int, bool]], seed: int
) -> None:
    """Pushes that are killed anywhere and abandoned or resumed, with foreign writes between."""
    chance = random.Random(seed)
    index: Index = {}
    complete: dict[int, Desired] = {}
    for version, (desired, crash_after, resume) in enumerate(history, start=1):
        if chance.random() < 0.3:
            index[f"foreign-{version}"] = {
                "metadata_hash": "x", "space": "ffffffffffffffff", "added_in": 0, "removed_in": LIVE,
            }  # fmt: skip
            for wanted in complete.values():  # A foreign record is in every version's view until a push closes it.
                wanted.setdefault(f"foreign-{version}", "x")
        before = {number: visible(index, number) for number in complete}
        apply(index, planned(lake, index, desired, version), desired, version, crash_after)
        assert {number: visible(index, number) for number in complete} == before
        if resume:
            apply(index, planned(lake, index, desired, version), desired, version, 10**6)
            assert visible(index, version) == sorted(desired.items())
            assert {number: visible(index, number) for number in complete} == before
            assert all(action["action"] == "unchanged" for action in planned(lake, index, desired, version))
            complete[version] = dict(desired)


def test_content_that_returns_takes_a_generation(lake: Lake) -> None:
    index: Index = {}
    record = RECORDS[0]
    for version, desired in enumerate(({record: "m"}, {}, {record: "m"}), start=1):
        apply(index, planned(lake, index, desired, version), desired, version, 10**6)
    assert sorted(index) == [record, f"{record}~3"]
    assert [row["removed_in"] for row in index.values()] == [2, LIVE]


def test_changed_metadata_is_a_new_generation_beside_the_old_one(lake: Lake) -> None:
    index: Index = {}
    record = RECORDS[0]
    apply(index, planned(lake, index, {record: "m1"}, 1), {record: "m1"}, 1, 10**6)
    actions = planned(lake, index, {record: "m2"}, 2)
    assert [(a["action"], a["id"], a["end_id"]) for a in actions] == [("metadata", f"{record}~2", record)]
    apply(index, actions, {record: "m2"}, 2, 10**6)
    assert visible(index, 1) == [(record, "m1")]
    assert visible(index, 2) == [(record, "m2")]


def test_two_visible_generations_keep_the_newer(lake: Lake) -> None:
    record = RECORDS[0]
    row = {"metadata_hash": "m", "space": SPACE, "removed_in": LIVE}
    index: Index = {record: {**row, "added_in": 1}, f"{record}~2": {**row, "added_in": 2}}
    actions = planned(lake, index, {record: "m"}, 3)
    assert [(a["action"], a["id"], a["end_id"]) for a in actions] == [
        ("foreign", None, record), ("unchanged", None, None),
    ]  # fmt: skip
