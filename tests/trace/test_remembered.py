"""What is remembered of a target's marks holds ids of documents: an erasure leaves none of the document's."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.engine.world import DATASET, Fuse, World
from vector_pipeline.lake.tables import DatasetTables
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


@pytest.mark.slow
def test_nor_is_it_in_a_folder_whose_name_could_be_a_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "kb[1]"
    folder.mkdir()
    world = World("memory", folder=folder)
    try:
        store = world.bare_target().store  # type: ignore[attr-defined]
        with world.open(Fuse(), MemoryTarget("local", store, scans_marks=False, max_batch_records=2)) as project:
            for name in "abc":
                world.write(name, 0, 0)
            project.build(DATASET)
            project.push(DATASET)
            data = Path(project.lake().data)
            left = data / DATASET / "documents" / "killed.parquet"
            left.parent.mkdir(parents=True, exist_ok=True)
            project.lake().run(f"COPY (FROM {DatasetTables(DATASET).documents}) TO '{left}' (FORMAT parquet)")
            report = project.erase(DATASET, document="b.md", by="me", reason="asked for")
            assert report.gone, report.to_markdown()
            before = {one.where: one.before for one in report.places}
            assert all(before[f"lake, {kind}"] for kind in ("remembered marks", "data files")), report.to_markdown()
            assert not left.exists(), "of a writer that was killed: no table names it"
            found = [pq.read_table(one)["document_id"].to_pylist() for one in (data / FOLDER).rglob("*.marks")]
            assert len(found) == 2
            assert all(sorted(ids) == ["a.md", "c.md"] for ids in found)
    finally:
        world.close()
