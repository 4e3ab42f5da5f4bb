"""A reader that never stops asking, while another process pushes, promotes and rolls back: no error, no mixed answer."""

import json
import multiprocessing
import random
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from tests.conftest import write_project
from tests.support.gates import verify_index
from vector_pipeline import open_index
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.project import Project

DOCUMENTS = 6


def text(number: int, release: int) -> str:
    """A document that says which release it is of; its words are the same in every release, so that every query finds all."""
    return f"# Page {number}\n\nThe common words of all pages, page{number} in release{release} of the handbook.\n"


def edit(folder: Path, release: int) -> None:
    for number in range(DOCUMENTS):
        (folder / "documents" / f"page{number}.md").write_text(text(number, release), encoding="utf-8")


def read(config: Path, out: Path, started: Event, stop: Event) -> None:
    """Query without pause; one line an answer: the version that it says, and the releases and documents of its hits."""
    with open_index("handbook", project=config, max_staleness_s=0) as index, out.open("w", encoding="utf-8") as file:
        while not stop.is_set():
            try:
                hits = index.query("common words of all pages", top_k=DOCUMENTS)
                line = {
                    "versions": sorted({hit.version for hit in hits}),
                    "releases": sorted({int(hit.text.partition("in release")[2].split()[0]) for hit in hits}),
                    "documents": len({hit.document for hit in hits}),
                    "hits": len(hits),
                }
            except VectorPipelineError as error:
                line = {"error": str(error)}
            file.write(json.dumps(line) + "\n")
            file.flush()
            started.set()


def release(project: Project, number: int, strategy: str) -> int:
    """Edit, build, push, verify, promote; returns the version."""
    edit(project.base, number)
    project.build("handbook")
    project.push("handbook", strategy=strategy)
    verify_index(project)
    return project.promote("handbook", by="writer")[0].deployment.version


@pytest.mark.parametrize(
    "pushes",
    [3, pytest.param(6, marks=pytest.mark.slow), pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def test_a_reader_sees_whole_versions_only(tmp_path: Path, pushes: int) -> None:
    config = write_project(tmp_path, {f"page{n}.md": text(n, 0) for n in range(DOCUMENTS)})
    context = multiprocessing.get_context("spawn")
    started, stop, out = context.Event(), context.Event(), tmp_path / "answers.jsonl"
    chance, strategies = random.Random(pushes), ["versioned", "blue-green"]
    with Project.load(config) as project:
        says = {release(project, 0, "auto"): 0}
        reader = context.Process(target=read, args=(config, out, started, stop))
        reader.start()
        try:
            assert started.wait(120), "the reader did not start"
            for number in range(1, pushes + 1):
                says[release(project, number, chance.choice(strategies))] = number
                if number % 3 == 0:
                    project.rollback("handbook", by="writer")
                if number % 7 == 0:
                    project.collect("handbook", dry_run=False)
            stop.set()
            reader.join(120)
        finally:
            reader.kill()
        moves = [move for move in project.history("handbook", limit=1000) if move.name == "production"]
    assert reader.exitcode == 0
    answers = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [answer for answer in answers if "error" in answer] == []
    for answer in answers:
        assert (answer["hits"], answer["documents"]) == (DOCUMENTS, DOCUMENTS), answer
        (version,) = answer["versions"]
        assert answer["releases"] == [says[version]], answer
    seen = {answer["versions"][0] for answer in answers}
    assert len(moves) >= pushes + pushes // 3
    assert len(seen) > pushes // 2, f"the reader saw only {len(seen)} versions: it shows nothing"
