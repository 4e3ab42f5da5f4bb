"""What stops a fill before its first text is told too, shard by shard: ``reembed status`` shows failed, with the reason."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.attest.conftest import Become, become, changing
from tests.conftest import write_project
from tests.reembed.test_filling import with_space
from tests.reembed.work import FILLED, Counted
from vector_pipeline.corpus import Chunker
from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.errors import RefusedError, UnavailableError
from vector_pipeline.project import Project

__all__ = ["become", "changing"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = write_project(tmp_path)
    with Project.load(config) as opened:
        opened.build("handbook")
    return with_space(config)


def told(project: Project) -> list[tuple[str, str | None]]:
    return [(one.status, one.error) for one in project.fill_status("handbook", FILLED).shards]


@pytest.mark.slow
def test_a_model_that_moved_before_the_first_text(config: Path, become: Become) -> None:
    with Project.load(config) as project:
        project.fill("handbook", FILLED, shards=[1])
        become("weights")
        with pytest.raises(RefusedError, match="is not the model that made the vectors") as moved:
            project.fill("handbook", FILLED)
        why = ("failed", str(moved.value))
        assert told(project) == [why, ("done", None), why, why]
        become("")
        project.fill("handbook", FILLED)
        assert told(project) == [("done", None)] * 4


class Broken(Counted):
    """A model whose library fails."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        raise RuntimeError("no kernel image is available\nfor this device")


class BrokenProject(Project):
    """A project whose new space's model fails, or its chunker."""

    cuts = True

    def embedder(self, dataset: str, space: str | None = None) -> Embedder:
        found = super().embedder(dataset, space)
        return Broken(found, self.base / "asked.txt") if space == FILLED else found

    def chunker(self, dataset: str, space: str | None = None) -> Chunker:
        if space == FILLED and not self.cuts:
            raise UnavailableError("the tokenizer does not answer", fix="try again later")
        return super().chunker(dataset, space)


@pytest.mark.slow
def test_what_a_library_raises(config: Path) -> None:
    with BrokenProject.load(config) as project:
        with pytest.raises(RuntimeError, match="no kernel image"):
            project.fill("handbook", FILLED)
        assert told(project) == [("failed", "RuntimeError: no kernel image is available for this device")] * 4
    with Project.load(config) as mended:
        mended.fill("handbook", FILLED)
        assert told(mended) == [("done", None)] * 4


def test_what_fails_while_documents_are_cut(config: Path) -> None:
    with BrokenProject.load(config) as project:
        project.cuts = False
        with pytest.raises(UnavailableError, match="the tokenizer does not answer"):
            project.fill("handbook", FILLED, shards=[0, 2])
        why = ("failed", "the tokenizer does not answer. Try again later")
        assert told(project) == [why, ("pending", None), why, ("pending", None)]
