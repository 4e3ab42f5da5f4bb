"""Laws of drift and repair, over whatever a hand may do to a line of three versions."""

import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.drift.conftest import Hand, deployments, look, read_back, snapshot
from vector_pipeline.drift.repair import repair_line
from vector_pipeline.drift.repair_plan import RepairLine
from vector_pipeline.hashing import base_record_id, content_key, document_key
from vector_pipeline.release.comparing import OUR_ID
from vector_pipeline.targets.base import LIVE, NamespaceSpec

VERSIONS = (1, 2, 3)
_NUMBERS = st.sampled_from([0, 1, 2, 3, 4, LIVE])
_RECORD = st.integers(0, 10**6)
MEDDLING = st.lists(
    st.one_of(
        st.tuples(st.just("delete"), _RECORD),
        st.tuples(st.just("mark"), _RECORD, _NUMBERS),
        st.tuples(st.just("interval"), _RECORD, _NUMBERS, _NUMBERS),
        st.tuples(st.just("double"), _RECORD, st.integers(1, 9), _NUMBERS, _NUMBERS),
        st.tuples(st.just("occurrence"), _RECORD, _NUMBERS),
        st.tuples(st.just("foreign"), _RECORD, _NUMBERS, _NUMBERS),
        st.tuples(st.just("field"), _RECORD, st.sampled_from(["document_id", "content_hash", "metadata_hash"])),
    ),
    min_size=1,
    max_size=7,
)


def meddle(hand: Hand, act: tuple[Any, ...]) -> None:
    rows = hand.rows()
    if not rows:
        return
    one = rows[act[1] % len(rows)]
    name = one["id"]
    if act[0] == "delete":
        hand.delete(name)
    elif act[0] == "mark":
        hand.mark(act[2], name)
    elif act[0] == "interval":
        hand.put(name, added_in=act[2], removed_in=act[3])
    elif act[0] == "double":
        hand.put(name, id=f"{base_record_id(name)}~{act[2]}", added_in=act[3], removed_in=act[4])
    elif act[0] == "occurrence":
        hand.put(name, id=f"{name[:49]}.7", added_in=act[2], removed_in=LIVE)
    elif act[0] == "foreign":
        hand.put(name, id=f"by-hand-{act[1] % 3}", added_in=act[2], removed_in=act[3])
    else:
        hand.put(name, **{act[2]: "other"})


def restore(hand: Hand, pristine: pa.Table) -> None:
    """The line as the pipeline left it."""
    fence, version = hand.fence, hand.project.version("handbook", 1)
    hand.target.drop_namespace(hand.namespace, fence=fence)
    spec = NamespaceSpec(hand.namespace, version.dimension, version.metric, version.fingerprint)
    hand.target.ensure_namespace(spec, fence=fence)
    hand.target.upsert(hand.namespace, pristine, fence=fence)


def is_ours(row: dict[str, Any]) -> bool:
    return re.fullmatch(OUR_ID[1:-1], row["id"]) is not None


def is_sound(row: dict[str, Any]) -> bool:
    document, content = row["id"][:24], row["id"][25:49]
    return document_key(row["document_id"]) == document and content_key(row["content_hash"], row["space"]) == content


def expected_drift(hand: Hand, version: int, wanted: dict[str, dict[str, Any]]) -> bool:
    """The law, record by record in plain Python."""
    rows = hand.rows()
    if not all(is_ours(row) and is_sound(row) for row in rows):
        return True
    visible = [row for row in rows if row["added_in"] <= version < row["removed_in"]]
    return sorted((base_record_id(row["id"]), row["metadata_hash"]) for row in visible) != sorted(
        (name, row["metadata_hash"]) for name, row in wanted.items()
    )


def untouched(hand: Hand, snapshots: dict[int, dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Whole records of content of which every version sees exactly what it wants."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in hand.rows():
        found.setdefault(base_record_id(row["id"]), []).append(row)
    good = set()
    for base, rows in found.items():
        fits = all(is_ours(row) and is_sound(row) for row in rows)
        for version, wanted in snapshots.items():
            seen = [row["metadata_hash"] for row in rows if row["added_in"] <= version < row["removed_in"]]
            fits = fits and seen == ([wanted[base]["metadata_hash"]] if base in wanted else [])
        if fits:
            good |= {row["id"] for row in rows}
    return {name: row for name, row in hand.whole().items() if name in good}


def check(hand: Hand, pristine: pa.Table, acts: list[tuple[Any, ...]], kept: list[int]) -> None:
    project = hand.project
    restore(hand, pristine)
    for act in acts:
        meddle(hand, act)
    snapshots = {version: snapshot(project, version) for version in VERSIONS}
    for version, wanted in snapshots.items():
        report = look(project, version)
        assert report.drifted == expected_drift(hand, version, wanted), report.summary
        told = report.found + report.missing + report.tampered + report.stale_marks
        assert report.expected == len(wanted) <= told
    before = untouched(hand, {version: snapshots[version] for version in kept})
    ones = [one for one in deployments(project) if one.version in kept]
    line = RepairLine(tuple(ones), tuple(project.version("handbook", one.version) for one in ones), ones[-1])
    parts = (project.lake(), project.registry(), project.target("handbook"), line)
    plan, applied = repair_line(*parts)
    assert applied.records == plan.writes
    for version in kept:
        assert not look(project, version).drifted
        assert read_back(hand, version) == snapshots[version]
    after = hand.whole()
    assert {name: after.get(name) for name in before} == before
    again, nothing = repair_line(*parts)
    assert (again.empty, nothing.records) == (True, 0)


_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
_KEPT = st.lists(st.sampled_from(VERSIONS), min_size=1, unique=True).map(sorted)


@pytest.fixture
def pristine(line: Hand) -> pa.Table:
    return line.target.fetch(line.namespace, [row["id"] for row in line.rows()])


@settings(max_examples=4, deadline=None, suppress_health_check=_CHECKS, derandomize=True)
@given(acts=MEDDLING, kept=_KEPT)
def test_an_audit_sees_exactly_the_drift_and_a_repair_ends_it(
    line: Hand, pristine: pa.Table, acts: list[tuple[Any, ...]], kept: list[int]
) -> None:
    check(line, pristine, acts, kept)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=_CHECKS)
@given(acts=MEDDLING, kept=_KEPT)
def test_many_more_of_them(line: Hand, pristine: pa.Table, acts: list[tuple[Any, ...]], kept: list[int]) -> None:
    check(line, pristine, acts, kept)
