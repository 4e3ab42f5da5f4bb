"""What the killed processes do: one step of a project, with small commits so that there is much to interrupt."""

from pathlib import Path

from vector_pipeline.build import embed_chunks
from vector_pipeline.project import Project


def build(config: Path) -> None:
    """Source to version."""
    with Project.load(config) as project:
        project.sync("handbook")
        project.chunk("handbook")
        embed_chunks(
            project.lake(), project.tables("handbook"), project.space("handbook"), project.embedder("handbook"),
            commit_rows=16,
        )  # fmt: skip
        project.snapshot("handbook")


def push(config: Path) -> None:
    """Version to index, in small batches."""
    with Project.load(config) as project:
        target = project.target("handbook")
        small = SmallBatches(target)
        project._targets[target.name, False] = small
        project.push("handbook")


class SmallBatches:
    """A target as it is, but with a lower limit on batches: a small corpus then takes many writes."""

    def __init__(self, target: object) -> None:
        self._target = target

    def __getattr__(self, name: str) -> object:
        if name == "capabilities":
            from dataclasses import replace

            return replace(self._target.capabilities, max_batch_records=10)  # type: ignore[attr-defined]
        return getattr(self._target, name)
