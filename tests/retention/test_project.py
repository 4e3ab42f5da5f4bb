"""Expire and collect on a real lake, registry and index: what is kept reads back exactly, and releasing goes on."""

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import RunCommand, vp
from tests.conftest import MakeProject, page
from tests.support.gates import verify_index
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.tables import at
from vector_pipeline.project import Project
from vector_pipeline.release.snapshot import tables_of

__all__ = ["vp"]


def retain(config: Path, keep: int, grace: float = 0) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(f"{text}    retention: {{keep_versions: {keep}, reader_grace_s: {grace}}}\n", encoding="utf-8")


def keeping(made: Project, keep: int, grace: float = 0) -> Project:
    """The same project with other retention."""
    made.close()
    config = made.base / "vector_pipeline.yaml"
    retain(config, keep, grace)
    return Project.load(config)


def release(project: Project, number: int, *, promoted: bool = False) -> None:
    """A version whose page 1 speaks of a number, in staging or also in production."""
    (project.base / "documents" / "page1.md").write_text(page(number), encoding="utf-8")
    project.build("handbook")
    project.push("handbook")
    if promoted:
        verify_index(project)
        project.promote("handbook", by="test")


def reads_back(project: Project, number: int) -> bool:
    """Whether a reader of a version sees its records, metadata and vectors, each once, and nothing else."""
    version = project.version("handbook", number)
    tables, lake = tables_of(version), project.lake(read_only=True)
    rows = lake.rows(
        f"""SELECT c.record_id, c.metadata_hash, e.vector FROM {at(tables.chunks, version.lake_snapshot)} c
            JOIN {tables.embeddings} e USING (shard, content_hash)"""
    )
    wanted = {name: (metadata, np.float32(vector)) for name, metadata, vector in rows}
    deployment = project.deployment_of(version)
    target = project.target("handbook", read_only=True)
    seen = [
        row["id"]
        for batch in target.scan(deployment.namespace)
        for row in batch.to_pylist()
        if row["added_in"] <= number < row["removed_in"]
    ]
    found = target.fetch(deployment.namespace, seen).to_pylist()
    return (
        len(found) == len(seen) == len(wanted) == version.records
        and {row["id"].partition("~")[0] for row in found} == set(wanted)
        and all(
            wanted[row["id"].partition("~")[0]][0] == row["metadata_hash"]
            and np.array_equal(np.float32(row["vector"]), wanted[row["id"].partition("~")[0]][1])
            for row in found
        )
    )


@pytest.mark.slow
def test_what_is_kept_reads_back_and_what_was_collected_may_return(make_project: MakeProject) -> None:
    with keeping(make_project(3), keep=2) as project:
        for number in range(500, 504):
            release(project, number, promoted=number == 503)
        expired = project.expire(dry_run=False, grace_s=0)
        assert expired.datasets[0].expired == (1, 2)
        with pytest.raises(RefusedError, match="has expired and cannot be pinned"):
            project.pin("handbook", 1)
        told = project.collect(dry_run=True)
        assert "reader_grace_s is 0 s" in told.notes[0]
        done = project.collect(dry_run=False, by="test")
        assert done.collections[0].records == told.collections[0].records > 0
        assert all(line.empty for line in project.collect(dry_run=True).collections[0].lines)
        assert reads_back(project, 3)
        assert reads_back(project, 4)
        with pytest.raises(RefusedError, match="expired"):
            project.push("handbook", version=2)
        release(project, 500, promoted=True)
        plan = project.plan("handbook")
        assert plan.empty
        assert reads_back(project, 5)
        assert reads_back(project, 4)
        assert project.rollback("handbook", by="test")[0].deployment.version == 4
        assert project.plan("handbook", version=4).writes == 0


@pytest.mark.slow
def test_a_target_that_is_not_configured_any_more_is_noted(make_project: MakeProject) -> None:
    project = make_project(3)
    project.build("handbook")
    project.push("handbook")
    project.close()
    config = project.base / "vector_pipeline.yaml"
    text = config.read_text(encoding="utf-8").replace("target: local", "target: elsewhere")
    config.write_text(
        f"{text}environments:\n  dev:\n    targets:\n      elsewhere: {{kind: duckdb, path: elsewhere}}\n",
        encoding="utf-8",
    )
    with Project.load(config) as moved:
        found = moved.collect(dry_run=True)
        assert found.collections == ()
        assert "target local is not configured any more" in found.notes[0]


@pytest.mark.slow
def test_the_commands_show_what_goes_and_what_stays_and_do_it_only_when_told(
    vp: RunCommand, make_project: MakeProject
) -> None:
    with keeping(make_project(3), keep=1) as project:
        for number in range(500, 503):
            release(project, number)
    where = ("--project", project.base)
    assert "v1 of handbook is pinned" in vp("pin", "v1", *where).out
    assert vp("versions", "--json", *where).json[0]["pinned"]
    dry = vp("expire", *where)
    assert "v1       stays  pinned" in dry.out
    assert "v2       goes   nothing reaches it" in dry.out
    assert "Would expire 1 version." in dry.out
    assert "vector-pipeline expire --yes" in dry.out
    assert vp("expire", "handbook", "--yes", "--json", *where).json["datasets"][0]["expired"] == [2]
    shown = vp("collect", *where)
    assert "v1, v3" in shown.out
    assert "Would delete" in shown.out
    told = vp("collect", "--json", *where).json
    done = vp("collect", "--yes", "--json", *where).json
    assert done["dry_run"] is False
    assert done["collections"][0]["records"] == told["collections"][0]["records"] > 0
    assert "Deleted 0 records" in vp("collect", "--yes", *where).out
    assert "no longer pinned" in vp("unpin", "handbook", "1", *where).out
    assert vp("pin", "7", *where).err.startswith("Error: handbook has no version v7")
    assert "has expired" in vp("pin", "2", *where).err
