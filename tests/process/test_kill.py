"""SIGKILL at random moments, run again: the same digests and the same index as if nothing had happened."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from tests.process import work
from tests.survived import survived
from vector_pipeline.project import Project

KILLS_PER_STEP = 8


@pytest.fixture(scope="module")
def forkserver() -> multiprocessing.context.ForkServerContext:
    """Processes that start with everything imported: the kills fall into the work, not into the imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.process.work"])
    return context


def run(context: multiprocessing.context.ForkServerContext, step: Callable[[Path], None], config: Path) -> float:
    """Run a step to its end; returns its seconds."""
    started = time.monotonic()
    process = context.Process(target=step, args=(config,))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    return time.monotonic() - started


def kill(
    context: multiprocessing.context.ForkServerContext, step: Callable[[Path], None], config: Path, after: float
) -> bool:
    """Start a step and kill it after so many seconds; returns whether it was still at work."""
    process = context.Process(target=step, args=(config,))
    process.start()
    process.join(after)
    alive = process.is_alive()
    if alive:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    return alive


def edit(folder: Path) -> None:
    """The second release: documents changed, added and removed."""
    documents = folder / "documents"
    for number in range(0, 30, 3):
        (documents / f"page{number}.md").write_text(page(number + 1000), encoding="utf-8")
    (documents / "page1.md").unlink()
    (documents / "new.md").write_text(page(7777), encoding="utf-8")


def content(config: Path) -> tuple[list[tuple[int, str, int, int]], list[dict[str, object]], list[dict[str, object]]]:
    """Versions with their digests, all marks of the index, and all records with their vectors."""
    with Project.load(config) as project:
        versions = [(one.number, one.digest, one.documents, one.records) for one in project.versions("handbook")]
        target = project.target("handbook", read_only=True)
        (namespace,) = target.namespaces()
        marks = [row for batch in target.scan(namespace) for row in batch.to_pylist()]
        records = target.fetch(namespace, [row["id"] for row in marks]).to_pylist()
    return versions, marks, sorted(records, key=lambda row: str(row["id"]))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_builds_and_pushes_end_like_undisturbed_ones(
    tmp_path: Path, forkserver: multiprocessing.context.ForkServerContext
) -> None:
    pages = {f"page{number}.md": page(number) for number in range(40)}
    calm = write_project(tmp_path / "calm", pages)
    hit = write_project(tmp_path / "hit", pages)
    chance = random.Random(20261121)
    killed = 0
    for release in (1, 2):
        if release == 2:
            edit(calm.parent)
            edit(hit.parent)
        for step in (work.build, work.push):
            seconds = run(forkserver, step, calm)
            for _ in range(KILLS_PER_STEP):
                killed += kill(forkserver, step, hit, chance.uniform(0.05, 1.0) * seconds)
            run(forkserver, step, hit)
    assert content(hit) == content(calm)
    # Otherwise the test has shown nothing: the kills came too late.
    assert killed >= KILLS_PER_STEP
    survived("SIGKILLs at random moments", killed)
    with Project.load(hit) as project:
        _, results = project.verify("handbook", only=["coverage"])
        assert [result.status.value for result in results] == ["passed"]
