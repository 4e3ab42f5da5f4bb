from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_pipeline.errors import UnavailableError
from vector_pipeline.hashing import base_record_id
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA
from vector_pipeline.verify.coverage import coverage
from vector_pipeline.verify.outcome import CheckResult, Status

SPACE = "0123456789abcdef"
FAULTS = ("missing", "unexpected", "doubled", "metadata_differs", "other_space", "repeated_in_the_snapshot")
Mark = tuple[str, str | None, str | None, int, int]
"""id, metadata hash, space, added in, removed in"""


def desired(*rows: tuple[str, str]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [(), ()]
    return pa.table(
        {"record_id": pa.array(columns[0], pa.string()), "metadata_hash": pa.array(columns[1], pa.string())}
    )


def observed(*marks: Mark, size: int = 2) -> Iterator[pa.RecordBatch]:
    rows = [
        {
            "id": mark[0],
            "document_id": "doc",
            "content_hash": "h",
            "metadata_hash": mark[1],
            "space": mark[2],
            "added_in": mark[3],
            "removed_in": mark[4],
        }
        for mark in marks
    ]
    for start in range(0, len(rows), size):
        yield pa.RecordBatch.from_pylist(rows[start : start + size], schema=MARK_SCHEMA)


def faults(result: CheckResult) -> dict[str, int]:
    assert result.status is not Status.UNKNOWN, result.summary
    return {fault: result.detail[fault] for fault in FAULTS if result.detail[fault]}


def test_equal_sets_pass_whatever_the_generation_and_the_history() -> None:
    marks: list[Mark] = [
        ("a#1", "m1", SPACE, 1, LIVE),
        ("b#1", "old", SPACE, 1, 3),
        ("b#1~3", "m2", SPACE, 3, LIVE),
        ("c#1", "m", SPACE, 4, LIVE),
        ("c#9", "m", "other", 1, 2),
        ("d#1.2", "m3", SPACE, 2, 4),
    ]
    result = coverage(desired(("a#1", "m1"), ("b#1", "m2"), ("d#1.2", "m3")), observed(*marks), 3, SPACE)
    assert result.status is Status.PASSED, result.summary
    assert result.summary == "the target shows all 3 records of version 3, each once, and no other"
    assert (result.detail["visible"], result.detail["scanned"]) == (3, 6)


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (("a#1", "m", SPACE, 3, LIVE), {"missing": 1}),
        (("a#1", "m", SPACE, 1, 2), {"missing": 1}),
        (("a#1", "x", SPACE, 1, LIVE), {"metadata_differs": 1}),
        (("a#1", None, SPACE, 1, LIVE), {"metadata_differs": 1}),
        (("a#1", "m", "fedcba9876543210", 1, LIVE), {"other_space": 1}),
        (("a#1", "m", None, 1, LIVE), {"other_space": 1}),
        (("z#1", "m", SPACE, 2, 3), {"missing": 1, "unexpected": 1}),
        (("a#1x", "m", SPACE, 2, 3), {"missing": 1, "unexpected": 1}),
    ],
)
def test_one_wrong_record(mark: Mark, expected: dict[str, int]) -> None:
    result = coverage(desired(("a#1", "m"), ("b#1", "m")), observed(mark, ("b#1", "m", SPACE, 1, LIVE)), 2, SPACE)
    assert result.status is Status.FAILED
    assert faults(result) == expected
    assert {example["fault"].replace(" ", "_") for example in result.examples} == set(expected)


def test_two_visible_generations_are_doubled_and_named() -> None:
    marks: list[Mark] = [("a#1", "m", SPACE, 1, LIVE), ("a#1~2", "m", SPACE, 2, LIVE)]
    result = coverage(desired(("a#1", "m")), observed(*marks), 2, SPACE)
    assert faults(result) == {"doubled": 1}
    assert sorted(result.examples[0]["generations"]) == ["a#1", "a#1~2"]


def test_examples_are_ten_of_each_fault_and_the_first_by_name() -> None:
    wanted = [(f"a#{i:03}", "m") for i in range(100)]
    marks: list[Mark] = [(f"z#{i:03}", "m", SPACE, 1, LIVE) for i in range(100)]
    result = coverage(desired(*wanted), observed(*marks, size=7), 1, SPACE)
    assert faults(result) == {"missing": 100, "unexpected": 100}
    assert [example["id"] for example in result.examples] == [f"{x}#{i:03}" for x in "az" for i in range(10)]
    assert "100 missing, 100 unexpected (of 100 records)" in result.summary


def test_nothing_against_nothing_warns() -> None:
    assert coverage(desired(), observed(), 1, SPACE).status is Status.WARNED
    assert coverage(desired(), observed(("a#1", "m", SPACE, 1, 2)), 2, SPACE).status is Status.WARNED
    assert coverage(desired(), observed(("a#1", "m", SPACE, 1, 3)), 2, SPACE).status is Status.FAILED


def test_a_scan_that_breaks_is_unknown_in_its_own_words() -> None:
    def scan() -> Iterator[pa.RecordBatch]:
        yield from observed(("a#1", "m", SPACE, 1, LIVE))
        raise UnavailableError("the target went away")

    result = coverage(desired(("a#1", "m")), scan(), 1, SPACE)
    assert (result.status, result.summary) == (Status.UNKNOWN, "coverage could not run: the target went away")
    other = pa.RecordBatch.from_pydict({"id": ["a"]})
    assert coverage(desired(("a#1", "m")), [other], 1, SPACE).status is Status.UNKNOWN


IDS = st.sampled_from(["a#1", "a#1~2", "a#1~3", "b#1", "b#1.2", "b#1.2~4", "c#1", "c#2"])
MARKS = st.lists(
    st.tuples(
        IDS,
        st.sampled_from(["m", "n", None]),
        st.sampled_from([SPACE, "other", None]),
        st.integers(1, 4),
        st.sampled_from([2, 3, 4, LIVE]),
    ),
    max_size=8,
    unique_by=lambda mark: mark[0],
)
WANTED = st.dictionaries(st.sampled_from(["a#1", "b#1", "b#1.2", "c#1", "d#1"]), st.sampled_from(["m", "n"]))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(WANTED, MARKS, st.integers(1, 4), st.booleans())
def test_coverage_agrees_with_python_sets(
    wanted: dict[str, str], marks: list[Mark], version: int, stream: bool
) -> None:
    seen = [mark for mark in marks if mark[3] <= version < mark[4]]
    bases = [base_record_id(mark[0]) for mark in seen]
    expected = {
        "missing": len(wanted.keys() - set(bases)),
        "unexpected": sum(base not in wanted for base in bases),
        "doubled": sum(times > 1 for times in Counter(bases).values()),
        "metadata_differs": sum(
            base in wanted and wanted[base] != mark[1] for base, mark in zip(bases, seen, strict=True)
        ),
        "other_space": sum(mark[2] != SPACE for mark in seen),
    }
    table = desired(*wanted.items())
    result = coverage(table.to_reader() if stream else table, observed(*marks), version, SPACE)
    assert faults(result) == {fault: count for fault, count in expected.items() if count}
    sound = Status.PASSED if wanted else Status.WARNED
    assert result.status is (Status.FAILED if any(expected.values()) else sound)


def test_a_row_twice_in_the_snapshot_is_no_set() -> None:
    result = coverage(desired(("a#1", "m"), ("a#1", "m")), observed(("a#1", "m", SPACE, 1, LIVE)), 1, SPACE)
    assert faults(result) == {"repeated_in_the_snapshot": 1}


@pytest.mark.slow
def test_a_million_records_stream_in_bounded_memory() -> None:
    size, before = 10_000, pa.total_allocated_bytes()
    yielded, held = list[int](), list[int]()

    def marks() -> Iterator[pa.RecordBatch]:
        for start in range(0, 1_000_000, size):
            held.append(pa.total_allocated_bytes() - before)
            ids = [f"{i:024x}#{i:024x}" for i in range(start, start + size)]
            columns = [ids, ids, ids, ["m"] * size, [SPACE] * size, [1] * size, [LIVE] * size]
            arrays = [pa.array(c, f.type) for c, f in zip(columns, MARK_SCHEMA, strict=True)]
            batch = pa.RecordBatch.from_arrays(arrays, schema=MARK_SCHEMA)
            yielded.append(batch.nbytes)
            yield batch

    schema = pa.schema([("record_id", pa.string()), ("metadata_hash", pa.string())])
    wanted = pa.RecordBatchReader.from_batches(
        schema, (pa.RecordBatch.from_arrays([b["id"], b["metadata_hash"]], schema=schema) for b in marks())
    )
    result = coverage(wanted, marks(), 1, SPACE, memory_limit="100MB")
    assert result.status is Status.PASSED, result.summary
    assert len(held) == 200
    # Beside what DuckDB may take, which is its own to keep: of both sides only the batches that are on their way.
    assert max(held) < sum(yielded) / 10
