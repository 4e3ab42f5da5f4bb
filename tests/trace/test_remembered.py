"""What is remembered of a target's marks holds ids of documents: an erasure leaves none of the document's."""

from pathlib import Path

import pytest

from tests.engine.world import DATASET, Fuse, World
from vector_pipeline.release.remembering import FOLDER, remembered
from vector_pipeline.testing.memory_target import MemoryTarget


@pytest.mark.slow
def test_an_erased_document_is_not_remembered() -> None:
    world = World("memory")
    try:
        store = world.bare_target().store  # type: ignore[attr-defined]
        target = MemoryTarget("local", store, scans_marks=False, max_batch_records=2)
        with world.open(Fuse(), target) as project:
            for name in "abc":
                world.write(name, 0, 0)
            project.build(DATASET)
            namespace = project.push(DATASET).deployment.namespace
            folder = Path(project.lake().data) / FOLDER
            names = f"SELECT DISTINCT document_id FROM read_parquet('{folder}/**/*.marks') ORDER BY 1"
            assert project.lake().rows(names) == [("a.md",), ("b.md",), ("c.md",)]
            project.erase(DATASET, document="b.md", by="me", reason="asked for")
            assert project.lake().rows(names) == [("a.md",), ("c.md",)]
            state = target.describe(namespace)
            assert state is not None
            assert remembered(project.lake(), target, namespace, state), "the next plan fetches nothing"
    finally:
        world.close()
