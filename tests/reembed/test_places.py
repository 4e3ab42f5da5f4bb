"""Two spaces of one dataset where it is served from several targets, written in place, or read from records: filled, pushed beside
production, judged, promoted and rolled back, and every answer is of one space.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from tests.reembed.test_filling import with_space
from tests.support.gates import say_passed
from vector_pipeline import open_index
from vector_pipeline.project import Project
from vector_pipeline.project.gating import MIRROR_DRIFT, OF_INDEX
from vector_pipeline.verify.agreement import NAME as MIRRORS_AGREE
from vector_pipeline.verify.catchup import NAME as CATCH_UP

WHY = {"by": "test", "reason": "test"}
TARGETS = "\nenvironments: {dev: {targets: {local: {}, other: {path: other_index}}}}\n"
DOCUMENTS = 5


class World:
    """A project on disk, opened anew whenever its configuration changes."""

    project: Project

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.config = write_project(folder, DOCUMENTS, shards=2)
        self._stack = stack

    def configure(self, *pairs: tuple[str, str]) -> Project:
        text = self.config.read_text(encoding="utf-8")
        for before, after in pairs:
            assert before in text
            text = text.replace(before, after)
        self.config.write_text(text, encoding="utf-8")
        if hasattr(self, "project"):
            self.project.close()
        self.project = self._stack.enter_context(Project.load(self.config))
        return self.project

    def gates(self, version: int | None = None) -> None:
        """What stands on every place is judged for real, with the gate of the cut-over; data are said to have passed."""
        several = [MIRROR_DRIFT, MIRRORS_AGREE] if len(self.project.places("handbook")) > 1 else []
        gates = (*OF_INDEX, *several, CATCH_UP)
        for deployment, results in self.project.verify_places("handbook", version=version, only=gates):
            assert not any(one.blocks for one in results), results
            say_passed(self.project, deployment, index=True, but=gates)

    def release(self) -> int:
        number = self.project.build("handbook").version.number
        self.project.push("handbook")
        self.gates()
        self.project.promote("handbook", **WHY)
        return number

    def beside(self) -> int:
        """Fill the other space, make its version, push and judge it. Production stays where it is."""
        before = self.serves()
        filled = self.project.fill("handbook", "other")
        assert (filled.left, filled.embedded) == (0, DOCUMENTS)
        number = self.project.snapshot_caught_up("handbook", space="other").version.number
        pushed = self.project.push("handbook", version=number)
        assert pushed.deployment.space == "other"
        self.gates(number)
        assert self.serves() == before
        return number

    def serves(self) -> set[tuple[str, int, str]]:
        """Target, version and space of each name of production."""
        every = self.project.registry().aliases("handbook", "dev")
        return {
            (one.deployment.target, one.deployment.version, one.deployment.space)
            for one in every
            if one.name.startswith("production")
        }

    def answer(self, words: str) -> str:
        with open_index("handbook", project=self.config) as index:
            return str(index.query(words)[0].text)

    def cut_over_and_back(self, old: int, new: int, *places: str) -> None:
        self.configure(("serving: tiny", "serving: other"))
        self.project.push("handbook")
        self.gates()
        self.project.promote("handbook", **WHY)
        assert self.serves() == {(place, new, "other") for place in places}
        assert "page 3" in self.answer("About page 3.")
        self.project.rollback("handbook", **WHY)
        assert self.serves() == {(place, old, "tiny") for place in places}
        assert "page 3" in self.answer("About page 3.")
        self.project.promote("handbook", version=new, **WHY)
        assert self.serves() == {(place, new, "other") for place in places}
        assert "page 3" in self.answer("About page 3.")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path / "project", stack)


def two_spaces(world: World) -> None:
    world.project.close()
    with_space(world.config)
    world.configure()


@pytest.mark.slow
def test_a_target_and_its_mirror(world: World) -> None:
    world.config.write_text(world.config.read_text() + TARGETS)
    world.configure(("    target: local\n", "    target: local\n    mirrors: [other]\n"))
    old = world.release()
    two_spaces(world)
    world.cut_over_and_back(old, world.beside(), "local", "other")


@pytest.mark.slow
def test_in_place(world: World) -> None:
    world.config.write_text(world.config.read_text() + "    release: {strategy: in-place}\n")
    world.configure()
    old = world.release()
    two_spaces(world)
    world.cut_over_and_back(old, world.beside(), "local")


@pytest.fixture
def records(world: World) -> Callable[[dict[str, str]], None]:
    """Write the table that documents are read from."""

    def write(texts: dict[str, str]) -> None:
        lines = [json.dumps({"id": name, "text": text}) for name, text in texts.items()]
        (world.config.parent / "table.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    return write


@pytest.mark.slow
def test_documents_that_are_rows_of_a_table(world: World, records: Callable[[dict[str, str]], None]) -> None:
    rows = {f"row{number}": page(number) for number in range(DOCUMENTS)}
    records(rows)
    source = "source: {kind: jsonl, path: table.jsonl, media_type: text/markdown}"
    world.configure(('source: {root: documents, include: ["**/*.md"]}', source))
    old = world.release()
    two_spaces(world)
    new = world.beside()
    # One row changed, one gone, one new: both spaces follow.
    records({**{name: text for name, text in rows.items() if name != "row4"}, "row1": page(100), "row9": page(9)})
    project = world.project
    behind = project.pending("handbook")
    assert behind
    old = world.release()
    caught = project.catch_up("handbook", "other", project.shards_to_build("handbook", "other", sorted(behind)))
    assert (caught.chunked, caught.embedded) == (2, 2)
    newer = project.snapshot_caught_up("handbook", space="other").version
    assert newer.number > new
    assert newer.documents == DOCUMENTS
    project.push("handbook", version=newer.number)
    world.gates(newer.number)
    world.cut_over_and_back(old, newer.number, "local")
    assert "page 100" in world.answer("About page 100.")
