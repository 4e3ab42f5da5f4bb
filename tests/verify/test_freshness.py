"""A version beside its source: of which shards is it older than of the others, and how old is it?"""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.conftest import MakeProject, page
from vector_pipeline.project import Project
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.freshness import gate as freshness
from vector_pipeline.verify.freshness.shards import Shard, behind, left_out, untouched
from vector_pipeline.verify.outcome import CheckResult, Status

PAGES = {f"page{n}.md": page(n, 1) for n in range(80)}


def context(project: Project, dataset: str = "handbook", **bounds: float) -> GateContext:
    found = project.gate_context(project.version(dataset), None)
    limits = found.gates.freshness.model_copy(update=bounds)
    found.gates = found.gates.model_copy(update={"freshness": limits})
    return found


def judged(project: Project, dataset: str = "handbook", **bounds: float) -> CheckResult:
    return freshness.judge(context(project, dataset, **bounds))


def build(project: Project, dataset: str = "handbook", shards: range | None = None) -> None:
    project.sync(dataset, shards=shards)
    project.chunk(dataset)
    project.embed(dataset)
    project.snapshot(dataset)


def rewrite(project: Project, some: range) -> None:
    for n in some:
        (project.base / "documents" / f"page{n}.md").write_text(page(n, 2), encoding="utf-8")


@pytest.fixture
def files(make_project: MakeProject) -> Project:
    project = make_project(PAGES, shards=4)
    build(project)
    return project


def test_what_the_source_lists_now_has_no_age(files: Project) -> None:
    result = judged(files)
    assert result.status is Status.PASSED
    assert result.summary == "the version holds what its source lists now; no bound is set"
    older = context(files, max_age_h=1)
    older.now += timedelta(hours=5)
    assert freshness.judge(older).status is Status.PASSED


def late(project: Project, dataset: str = "handbook") -> CheckResult:
    """The verdict 30 hours after; 24 are tolerated."""
    found = context(project, dataset, max_age_h=24)
    found.now += timedelta(hours=30)
    return freshness.judge(found)


def test_a_source_that_was_read_again_and_gave_the_same_version_has_no_age(files: Project) -> None:
    for path in (files.base / "documents").glob("*.md"):
        os.utime(path, (1_800_000_000, 1_800_000_000))
    (files.base / "documents" / "empty.md").write_text("", encoding="utf-8")
    assert late(files).status is Status.FAILED
    build(files)
    assert files.version("handbook").number == 1
    assert late(files).summary == "the version holds what its source lists now"
    rewrite(files, range(3))
    files.sync("handbook")
    assert late(files).status is Status.FAILED, "what was read and is in no version makes none newer"


@pytest.mark.slow
def test_erased_documents_are_no_part_of_a_source(files: Project) -> None:
    files.erase("handbook", document="page0.md", by="me", reason="asked")
    assert late(files).status is Status.PASSED
    build(files)
    assert late(files).status is Status.PASSED


@pytest.mark.slow
def test_a_shard_that_was_not_read_is_named(files: Project) -> None:
    rewrite(files, range(60))
    build(files, shards=range(1, 4))
    result = judged(files)
    assert result.status is Status.FAILED
    assert result.summary.startswith("shard 0 differ")
    assert result.detail["stale_shards"] == [0]
    assert result.examples[0]["such_as"][0] in PAGES
    build(files)
    assert judged(files).status is Status.PASSED


@pytest.mark.slow
def test_a_source_that_changed_since_is_not_stale(files: Project) -> None:
    rewrite(files, range(30))
    result = judged(files)
    assert result.status is Status.PASSED
    assert result.summary.endswith("30 documents of its source have changed since; no bound is set")
    older = context(files, max_age_h=1)
    older.now += timedelta(hours=5)
    result = freshness.judge(older)
    assert result.status is Status.FAILED
    assert "made 5.0 hours ago, and its source has changed since (30 documents); 1 are tolerated" in result.summary


@pytest.mark.slow
def test_a_source_that_went_quiet_is_told(files: Project) -> None:
    assert judged(files, max_quiet_h=1).status is Status.PASSED
    older = context(files, max_quiet_h=1)
    older.now += timedelta(hours=2.5)
    result = freshness.judge(older)
    assert result.status is Status.FAILED
    assert "nothing has come or changed for 2.5 hours from the source; 1 are tolerated" in result.summary


@pytest.mark.slow
def test_without_its_source_a_version_is_compared_with_the_one_before(files: Project) -> None:
    rewrite(files, range(80))
    build(files, shards=range(1, 4))
    (files.base / "documents").rename(files.base / "away")
    result = judged(files)
    assert result.status is Status.FAILED
    assert result.summary.startswith("shard 0 took none")
    assert "does not exist" in result.detail["not_compared"]


RECORDS = """
datasets:
  records:
    source: {kind: KIND, PATH}
    shards: 4
    spaces: {tiny: {embedder: {kind: deterministic, model: seed, dimension: 32}, chunker: {kind: whole}}}
    target: local
"""


def records(folder: Path, **source: str | None) -> Project:
    folder.mkdir(exist_ok=True)
    config = yaml.safe_load(RECORDS.replace("KIND, PATH", "jsonl, path: docs.jsonl"))
    config["datasets"]["records"]["source"] |= source
    (folder / "vector_pipeline.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return Project.load(folder / "vector_pipeline.yaml")


def rows(folder: Path, edited: int) -> None:
    folder.mkdir(exist_ok=True)
    lines = [{"id": f"r{n}", "text": f"row {n} says {'this now' if n < edited else 'that'}"} for n in range(100)]
    (folder / "docs.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    stamp = 1_700_000_000 + edited
    os.utime(folder / "docs.jsonl", (stamp, stamp))


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Project]:
    rows(tmp_path / "records", 0)
    with records(tmp_path / "records") as project:
        build(project, "records")
        yield project


@pytest.mark.slow
def test_records_that_were_read_in_parts_are_compared(lines: Project) -> None:
    rows(lines.base, 60)
    build(lines, "records", range(4))
    assert judged(lines, "records").status is Status.PASSED
    rows(lines.base, 61)
    build(lines, "records", range(3))
    one = judged(lines, "records")
    assert one.status in (Status.PASSED, Status.WARNED), "one row is in one shard, read or not"
    rows(lines.base, 100)
    build(lines, "records", range(1, 4))
    result = judged(lines, "records")
    assert (result.status, result.detail["stale_shards"]) == (Status.FAILED, [0])


def test_records_that_changed_since_are_in_step(lines: Project) -> None:
    rows(lines.base, 50)
    result = judged(lines, "records")
    assert (result.status, result.detail["stale_shards"]) == (Status.PASSED, [])
    assert "its source has changed since" in result.summary


def test_a_file_of_records_that_was_written_again_unchanged_has_no_age(lines: Project) -> None:
    os.utime(lines.base / "docs.jsonl", (1_800_000_000, 1_800_000_000))
    assert late(lines, "records").status is Status.FAILED
    build(lines, "records")
    assert (late(lines, "records").status, lines.version("records").number) == (Status.PASSED, 1)


@pytest.mark.slow
def test_few_rows_behind_of_many_changes_fail(lines: Project) -> None:
    rows(lines.base, 25)
    build(lines, "records", range(1, 4))
    result = judged(lines, "records")
    assert (result.status, result.detail["stale_shards"]) == (Status.FAILED, [0])


@pytest.mark.slow
def test_few_rows_behind_warn(lines: Project) -> None:
    rows(lines.base, 8)
    build(lines, "records", range(1, 4))
    result = judged(lines, "records")
    assert result.status is Status.WARNED
    assert "read from different states of the source" in result.summary


@pytest.mark.slow
def test_a_query_is_not_asked_again(tmp_path: Path) -> None:
    with records(
        tmp_path / "q", kind="duckdb", path=None, query="SELECT 'r' || i AS id, 'text ' || i AS text FROM range(9) t(i)"
    ) as made:
        build(made, "records")
        assert "its source is a query, which is not asked again" in judged(made, "records").summary


@pytest.mark.slow
def test_all_shards_alike_are_hardly_ever_called_behind() -> None:
    chance = np.random.default_rng(0)
    called = [0, 0]
    for _ in range(500):
        sizes = chance.integers(20, 400, size=int(chance.choice([4, 16, 64])))
        rate = chance.choice([0.001, 0.01, 0.05, 0.3, 1.0])
        shards = [Shard(n, int(size), int(chance.binomial(size, rate))) for n, size in enumerate(sizes)]
        called[0] += bool(behind(shards))
        called[1] += bool(left_out(shards))
    assert max(called) <= 2


def test_changes_that_have_nothing_to_do_with_what_was_taken_hardly_ever_call_a_shard_untouched() -> None:
    chance = np.random.default_rng(2)
    called = 0
    for shards, taken, since in ((16, 200, 10), (16, 40, 8), (4, 60, 3), (64, 300, 30)):
        for _ in range(300):
            before, after = (chance.multinomial(count, [1 / shards] * shards) for count in (taken, since))
            now, then = ([Shard(n, 50, int(c)) for n, c in enumerate(counts)] for counts in (after, before))
            called += bool(untouched(now, then))
    assert called <= 1


def test_three_documents_of_one_shard_that_took_none_of_many_changes_are_behind() -> None:
    now = [Shard(n, 28, 3 if n == 5 else 0) for n in range(16)]
    taken = [Shard(n, 28, 0 if n == 5 else 8) for n in range(16)]
    assert [one.shard for one in untouched(now, taken)] == [5]
    assert untouched(now, [Shard(n, 28, 6) for n in range(16)]) == []
    assert untouched(now, []) == untouched([Shard(0, 28, 0)], taken) == []


def test_one_shard_or_nothing_at_all_is_never_behind() -> None:
    assert behind([Shard(0, 50, 50)]) == behind([]) == left_out([]) == []
    assert left_out([Shard(n, 50, 0) for n in range(8)]) == []
    assert [one.shard for one in behind([Shard(n, 50, 12 if n % 2 else 0) for n in range(8)])] == [1, 3, 5, 7]
    caught_up = [Shard(n, 50, 40 if n == 2 else 1) for n in range(8)]
    assert left_out(caught_up) == []
