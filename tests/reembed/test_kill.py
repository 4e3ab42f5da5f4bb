"""Processes that fill a space are killed, and compete: what was committed is never embedded again, nothing stands twice, and
production's releases go on.
"""

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import page, write_project
from tests.process.test_kill import forkserver  # noqa: F401  (a fixture)
from tests.reembed import work
from tests.reembed.test_filling import OTHER, with_space
from tests.reembed.work import FILLED, name_of
from tests.survived import survived
from vector_pipeline.lake.golden import GoldenTables, read_golden
from vector_pipeline.project import Project

Context = multiprocessing.context.ForkServerContext
BATCH = 2
"""Texts of a batch, and of a commit: there is much to interrupt."""
NEW = OTHER.replace("dimension: 96", f"dimension: 96, batch_size: {BATCH}")
SAME_MODEL = NEW.replace("model: another, dimension: 96", "model: seed, dimension: 128")


@pytest.fixture
def context(forkserver: Context) -> Context:  # noqa: F811
    """Processes that start with everything imported."""
    forkserver.set_forkserver_preload(["tests.process.work", "tests.reembed.work"])
    return forkserver


def prepare(folder: Path, documents: dict[str, str] | int, *, shards: int = 2, space: str = NEW) -> Path:
    """A project whose serving space is built, and whose new space is empty."""
    config = write_project(folder, documents, shards=shards)
    with Project.load(config) as project:
        project.build("handbook")
    return with_space(config, space)


@dataclass
class Filling:
    """Runs of one fill, and what each of them asked its model for."""

    context: Context
    config: Path
    runs: list[Path] = field(default_factory=list)
    held: list[set[str]] = field(default_factory=list)
    """Contents that had their vector before each run."""

    def start(self, **how: Any) -> multiprocessing.context.ForkServerProcess:
        asked = self.config.parent / f"asked{len(self.runs)}.txt"
        asked.touch()
        self.runs.append(asked)
        self.held.append(self.vectors())
        process = self.context.Process(target=work.fill, args=(self.config, asked, BATCH), kwargs=how)
        process.start()
        return process

    def run(self, **how: Any) -> int | None:
        """Exit code."""
        process = self.start(**how)
        process.join(120)
        return process.exitcode

    def asked(self, run: int) -> Counter[str]:
        """Contents that a run asked for, with how often. Golden texts are no contents."""
        contents = self.contents()
        names = self.runs[run].read_text(encoding="utf-8").splitlines()
        return Counter(contents[name] for name in names if name in contents)

    def lines(self) -> int:
        """Texts that the present run has asked for, golden ones too."""
        return len(self.runs[-1].read_text(encoding="utf-8").splitlines())

    def contents(self) -> dict[str, str]:
        """Content hash of each text of the new space."""
        with Project.load(self.config) as project:
            chunks = project.tables("handbook", FILLED).chunks
            rows = project.lake(read_only=True).rows(f"SELECT context || text, content_hash FROM {chunks}")
        return {name_of(text): content for text, content in rows}

    def vectors(self) -> set[str]:
        with Project.load(self.config) as project:
            lake, tables = project.lake(read_only=True), project.tables("handbook", FILLED)
            if not lake.has_table("handbook", tables.embedding_table):
                return set()
            return {content for (content,) in lake.rows(f"SELECT content_hash FROM {tables.embeddings}")}

    def assert_nothing_was_embedded_again(self) -> None:
        again = [set(self.asked(run)) & held for run, held in enumerate(self.held)]
        assert again == [set()] * len(again)


def whole(config: Path) -> tuple[str, list[tuple[Any, ...]]]:
    """Digest of the new space's version, and every vector."""
    with Project.load(config) as project:
        digest = project.snapshot("handbook", space=FILLED).version.digest
        lake, tables = project.lake(), project.tables("handbook", FILLED)
        contents = f"SELECT DISTINCT shard, content_hash FROM {tables.chunks}"
        rows = lake.rows(f"FROM {tables.embeddings} SEMI JOIN ({contents}) USING (shard, content_hash) ORDER BY ALL")
        assert lake.row(f"SELECT count(*) FROM {tables.embeddings}") == lake.row(
            f"SELECT count(DISTINCT (shard, content_hash)) FROM {tables.embeddings}"
        )
        golden = read_golden(lake, GoldenTables.of(tables))
        assert golden is not None
        assert len({*zip(golden.kinds, golden.names, strict=True)}) == len(golden)
        return digest, rows


def from_scratch(folder: Path, origin: Path, space: str = NEW) -> tuple[str, list[tuple[Any, ...]]]:
    """The same of a new project of the same documents."""
    pages = {one.name: one.read_text(encoding="utf-8") for one in (origin.parent / "documents").iterdir()}
    config = with_space(write_project(folder, pages, shards=shards_of(origin)), space)
    with Project.load(config) as project:
        project.build("handbook")
        project.fill("handbook", FILLED)
    return whole(config)


def shards_of(config: Path) -> int:
    with Project.load(config) as project:
        return project.dataset("handbook").shards


def test_a_fill_that_dies_at_its_commits_goes_on_where_it_was(tmp_path: Path, context: Context) -> None:
    filling = Filling(context, prepare(tmp_path / "hit", 6))
    ends = [filling.run(kill_at_step=step) for step in (1, 2, 4)]
    assert ends == [-signal.SIGKILL] * 3
    before, uncommitted, committed = (len(held) for held in filling.held)
    assert (before, uncommitted) == (0, 0)
    assert 0 < committed <= BATCH
    assert filling.run() == 0
    filling.assert_nothing_was_embedded_again()
    asked = sum(len(filling.asked(run)) for run in range(len(filling.runs)))
    assert asked <= 6 + BATCH * len(ends), "a kill costs a commit"
    assert whole(filling.config) == from_scratch(tmp_path / "calm", filling.config)
    survived("SIGKILLs of a process that fills a space, at its commits", len(ends))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_fill_that_is_killed_at_random_while_documents_change(tmp_path: Path, context: Context) -> None:
    filling = Filling(context, prepare(tmp_path / "hit", 40, shards=4))
    chance, killed = random.Random(20261130), 0
    for turn in range(8):
        process, texts = filling.start(texts_per_s=100.0), chance.randint(1, 6)
        # Wherever it is after so many texts: a clock would kill it before it began, or when it has ended.
        wait_until(lambda p=process, n=texts: filling.lines() >= n or not p.is_alive())
        process.join(chance.uniform(0.0, 0.05))
        killed += process.is_alive()
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        release(filling.config, turn)
    assert filling.run() == 0
    assert killed >= 4, "otherwise the kills came too late"
    filling.assert_nothing_was_embedded_again()
    with Project.load(filling.config) as project:
        assert project.fill_status("handbook", FILLED).whole
    assert whole(filling.config) == from_scratch(tmp_path / "calm", filling.config)
    survived("SIGKILLs of a process that fills a space, at random", killed)


def release(config: Path, turn: int) -> None:
    """Some documents come, change and go, and the chain runs: in production's space, and where the new one is filled."""
    documents = config.parent / "documents"
    (documents / f"page{turn}.md").write_text(page(turn + 1000), encoding="utf-8")
    (documents / f"new{turn}.md").write_text(page(turn + 2000), encoding="utf-8")
    (documents / f"page{turn + 20}.md").unlink()
    with Project.load(config) as project:
        project.sync("handbook")
        filled = project.shards_to_build("handbook", FILLED, None)
        if filled:
            project.catch_up("handbook", FILLED, filled)
        project.chunk("handbook")
        project.embed("handbook")
        project.snapshot("handbook")


@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param(((0, 1), (2, 3)), id="two ranges", marks=pytest.mark.slow),
        pytest.param((None, None), id="one range"),
    ],
)
def test_two_processes_fill_at_once_and_nothing_twice(
    tmp_path: Path, context: Context, ranges: tuple[tuple[int, ...] | None, ...]
) -> None:
    filling = Filling(context, prepare(tmp_path / "both", 16, shards=4))
    together = context.Barrier(2)
    processes = [filling.start(shards=shards, slice_texts=4, together=together) for shards in ranges]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    one, other = set(filling.asked(0)), set(filling.asked(1))
    assert one & other == set()
    assert len(one | other) == 16
    if ranges[0] is not None:
        assert one
        assert other
    assert whole(filling.config) == from_scratch(tmp_path / "calm", filling.config)


@pytest.mark.parametrize(
    "ranges", [pytest.param(((0, 1), (2, 3)), id="two ranges"), pytest.param((None, None), id="one range")]
)
@pytest.mark.slow
def test_a_text_in_shards_of_two_fills_is_embedded_by_one_of_them(
    tmp_path: Path, context: Context, ranges: tuple[tuple[int, ...] | None, ...]
) -> None:
    pages = {f"page{number}.md": page(number % 4) for number in range(24)}
    filling = Filling(context, prepare(tmp_path / "both", pages, shards=4))
    together = context.Barrier(2)
    processes = [filling.start(shards=shards, slice_texts=4, together=together) for shards in ranges]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert filling.asked(0) + filling.asked(1) == Counter(set(filling.contents().values()))
    assert len(filling.vectors()) == 4
    assert whole(filling.config) == from_scratch(tmp_path / "calm", filling.config)


@pytest.mark.parametrize(
    "space",
    [
        pytest.param(NEW, id="another model", marks=pytest.mark.slow),
        pytest.param(SAME_MODEL, id="the same model, cut anew"),
    ],
)
def test_a_release_goes_on_while_a_fill_is_at_work(tmp_path: Path, context: Context, space: str) -> None:
    """The fill would take minutes; the release waits for no more of it than a commit. In a re-chunk both write one table."""
    filling = Filling(context, prepare(tmp_path, 40, space=space))
    process = filling.start(texts_per_s=1.0)
    try:
        wait_until(lambda: len(filling.vectors()) > (40 if space == SAME_MODEL else 0) or not process.is_alive())
        with Project.load(filling.config) as project:
            (project.base / "documents" / "page0.md").write_text(page(1000), encoding="utf-8")
            project.sync("handbook")
            project.chunk("handbook")
            assert project.embed("handbook").embedded > 0
            assert project.snapshot("handbook").version.number == 2
            assert process.is_alive()
            assert not project.fill_status("handbook", FILLED).whole
    finally:
        process.kill()
        process.join(30)


def wait_until(holds: Callable[[], bool], timeout_s: float = 100.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)
