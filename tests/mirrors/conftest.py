"""Projects that are served from several DuckDB folders."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from tests.support.gates import say_passed
from vector_pipeline.project import Project
from vector_pipeline.project.gating import MIRROR_DRIFT, OF_INDEX
from vector_pipeline.verify.agreement import NAME as MIRRORS_AGREE

TARGETS = "\nenvironments: {dev: {targets: {local: {}, other: {path: other_index}, third: {path: third_index}}}}\n"
CANARIES = """
canaries:
  - {query: "Paragraph 2 of page 3 speaks of item3x2", expect: [page3.md], k: 3}
  - {query: "About page 1", expect: [page1.md], k: 3}
"""


class World:
    """One project on disk, opened anew whenever its configuration changes."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.config = write_project(folder, 5, shards=2)
        self.config.write_text(self.config.read_text() + TARGETS, encoding="utf-8")
        self._stack, self._number = stack, 500
        self.project = stack.enter_context(Project.load(self.config))

    def configure(self, *places: str) -> Project:
        """Serve the dataset from these targets, the first one first."""
        text = re.sub(r"    target: \w+\n(    mirrors: .*\n)?", "", self.config.read_text(encoding="utf-8"))
        lines = f"    target: {places[0]}\n" + (f"    mirrors: [{', '.join(places[1:])}]\n" if places[1:] else "")
        self.config.write_text(text.replace("    gates: ", f"{lines}    gates: "), encoding="utf-8")
        self.project.close()
        self.project = self._stack.enter_context(Project.load(self.config))
        return self.project

    def edit(self) -> None:
        """Another version to come."""
        self._number += 1
        (self.config.parent / f"documents/page{self._number}.md").write_text(page(self._number), encoding="utf-8")

    def build(self) -> int:
        self.edit()
        return self.project.build("handbook").version.number

    def stage(self, **options: object) -> int:
        """Build, push, verify; returns the version."""
        number = self.build()
        self.project.push("handbook", **options)  # type: ignore[arg-type]
        self.verify()
        return number

    def verify(self, version: int | None = None) -> None:
        """What makes several places one is judged for real; all else is said to have passed."""
        project = self.project
        gates = (*OF_INDEX, MIRROR_DRIFT, MIRRORS_AGREE)
        for deployment, results in project.verify_places("handbook", version=version, only=gates):
            assert not any(result.blocks for result in results), results
            say_passed(project, deployment, index=True, but=gates)

    def release(self) -> int:
        number = self.stage()
        self.project.promote("handbook", by="test")
        return number

    def names(self) -> dict[str, tuple[str, int]]:
        """Aliases with target and version."""
        every = self.project.registry().aliases("handbook", "dev")
        return {one.name: (one.deployment.target, one.deployment.version) for one in every}

    def serves(self) -> dict[str, int]:
        """Version of production by target."""
        return {target: version for name, (target, version) in self.names().items() if name.startswith("production")}

    def away(self, target: str) -> Callable[[], None]:
        """Let a target not answer; returns what brings it back."""
        folder = self.config.parent / {"local": ".vector_pipeline/index", "other": "other_index"}[target]
        self.project.close()
        pointers = list(folder.glob("*/CURRENT"))
        for pointer in pointers:
            pointer.rename(pointer.with_name("away"))
            pointer.mkdir()

        def back() -> None:
            self.project.close()
            for pointer in pointers:
                pointer.rmdir()
                pointer.with_name("away").rename(pointer)

        return back


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    with ExitStack() as stack:
        made = iter(range(100))

        def make(*places: str) -> World:
            world = World(tmp_path / f"world{next(made)}", stack)
            if places:
                world.configure(*places)
            return world

        yield make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Served from ``local`` and its mirror ``other``."""
    return make_world("local", "other")
