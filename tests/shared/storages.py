"""The same project on three kinds of storage, and one small release on it: what comes out must not depend on where it is kept."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import page, write_project
from tests.drift.conftest import Hand
from tests.shared.conftest import Bucket
from vector_pipeline.lake.tables import at
from vector_pipeline.project import Project
from vector_pipeline.release.snapshot import reads_back, tables_of
from vector_pipeline.report.samples import chunk_shards, document_samples, document_shards

KINDS = ("sqlite and a folder", "postgresql and a folder", "postgresql and s3")
SECRET = "the quokka of Rottnest keeps a ledger of unpaid debts"
VICTIM = "people/jane.md"
CANARIES = "canaries:\n  - {query: about page 3, expect: [page3.md], k: 5}\n"


def make_storage(request: pytest.FixtureRequest, folder: Path, kind: str) -> Path:
    """A project with seven documents; returns its configuration file."""
    pages = {f"page{number}.md": page(number, 2) for number in range(6)} | {VICTIM: f"# Jane\n\n{SECRET}, she said.\n"}
    config = write_project(folder, pages, shards=2, gates="canaries: canaries.yaml, max_removed_share: 1")
    (folder / "canaries.yaml").write_text(CANARIES, encoding="utf-8")
    text = config.read_text(encoding="utf-8") + "    retention: {keep_versions: 1, reader_grace_s: 0}\n"
    if kind != KINDS[0]:
        url = request.getfixturevalue("new_database")()
        data = "lake"
        if kind == KINDS[2]:
            bucket: Bucket = request.getfixturevalue("bucket")
            data = f"s3://{bucket.name}/lake"
        lake = f"{{catalog: '{url}', data: '{data}'}}"
        text = f"environments: {{dev: {{lake: {lake}, registry: '{url}'}}}}\n{text}"
    config.write_text(text, encoding="utf-8")
    return config


def write(project: Project, name: str, text: str) -> None:
    (project.base / "documents" / name).write_text(text, encoding="utf-8")


def release(project: Project, *, promote: bool = True) -> int:
    """Source to production; returns the version."""
    made = project.build("handbook")
    project.push("handbook", by="test")
    gates = project.verify("handbook")
    assert gates
    if promote:
        project.promote("handbook", by="test")
    return made.version.number


def served(project: Project) -> int:
    alias = project.registry().alias("handbook", project.environment, "production")
    assert alias is not None
    return alias.deployment.version


def life(project: Project) -> dict[str, Any]:
    """Everything that is done to a dataset, and what came of it."""
    facts: dict[str, Any] = {}
    assert release(project) == 1
    write(project, "page1.md", page(1, 3))
    write(project, "page8.md", page(8, 2))
    (project.base / "documents" / "page0.md").unlink()
    project.sync("handbook")
    facts["pending"], facts["told"] = project.pending("handbook"), _told(project)
    assert release(project) == 2
    facts["digests"] = [one.digest for one in project.versions("handbook")]
    facts["diff"] = _diff(project)
    facts["rolled back to"] = project.rollback("handbook", by="test")[0].deployment.version
    project.promote("handbook", version=2, by="test")
    facts["repaired"] = _drifted_and_repaired(project)
    report = project.erase("handbook", document=VICTIM, reason="asked for", by="test")
    assert report.gone, report.to_markdown()
    facts["served after the erasure"] = served(project)
    write(project, "page2.md", page(2, 4))
    assert release(project) == 3
    facts["expired"] = project.expire(dry_run=False, grace_s=0).datasets[0].expired
    facts["collected"] = bool(project.collect(dry_run=False, by="test").collections[0].records)
    last = project.version("handbook", 3)
    assert reads_back(project.lake(), last)
    facts["documents"] = [one["document"] for one in project.documents("handbook", version=3)]
    facts["digest"] = last.digest
    return facts


def _told(project: Project) -> list[object]:
    """What a run tells of shards, of documents that have changed since a version."""
    lake, tables = project.lake(), project.tables("handbook")
    documents = [one["document"] for one in document_samples(lake, tables.dataset)]
    return [document_shards(lake, tables.dataset, None), chunk_shards(lake, tables, None), documents[:2]]


OTHER = "      other:\n        embedder: {kind: deterministic, model: another, dimension: 96}\n        chunker: {kind: whole}\n"
_TARGET = "    target: local\n"


def migration(config: Path) -> dict[str, Any]:
    """Another model, from a release of the first to its retirement, with edits meanwhile; and what came of it."""
    facts: dict[str, Any] = {}
    first = config.read_text(encoding="utf-8")
    with Project.load(config) as project:
        assert release(project) == 1
    config.write_text(first.replace(_TARGET, f"{OTHER}    serving: tiny\n{_TARGET}"), encoding="utf-8")
    with Project.load(config) as project:
        facts["first shard"] = project.fill("handbook", "other", shards=[0]).embedded
        write(project, "page1.md", page(1, 3))
        (project.base / "documents" / "page0.md").unlink()
        assert release(project) == 2
        rest = project.fill("handbook", "other")
        facts["rest"] = (rest.embedded, rest.left, project.fill_status("handbook", "other").whole)
        facts["again"] = project.fill("handbook", "other").embedded
    config.write_text(config.read_text(encoding="utf-8").replace("serving: tiny", "serving: other"), encoding="utf-8")
    with Project.load(config) as project:
        assert release(project) == 3
        facts["back"] = project.rollback("handbook", by="test")[0].deployment.version
        project.promote("handbook", version=3, by="test")
        facts["drifted"] = [one.drifted for one in project.drift("handbook", level="full", by="test")]
    config.write_text(_alone(first), encoding="utf-8")
    with Project.load(config) as project:
        write(project, "page2.md", page(2, 4))
        assert release(project) == 4
        project.expire(dry_run=False, grace_s=0)
        gone = project.retire("handbook", space="tiny", dry_run=False)
        facts["retired"] = (gone.versions, gone.records, len(gone.namespaces), len(gone.tables))
        facts["left"] = sorted(one.space.name for one in project.spaces_of("handbook") if one.retire != "retired")
        facts["digests"] = [one.digest for one in project.versions("handbook")]
        facts["kept"] = [one.number for one in project.versions("handbook") if reads_back(project.lake(), one)]
    return facts


def _alone(text: str) -> str:
    """The configuration with the new space only."""
    before, rest = text.split("      tiny:\n")
    return before + OTHER + _TARGET + rest.split(_TARGET)[1]


def _diff(project: Project) -> tuple[int, int, int]:
    first, second = project.versions("handbook")
    old, new = ((tables_of(one).chunks, one.lake_snapshot) for one in (first, second))
    added, removed, same = project.lake().row(
        f"""SELECT count(*) FILTER (a.record_id IS NULL), count(*) FILTER (b.record_id IS NULL),
                   count(*) FILTER (a.record_id = b.record_id)
            FROM {at(*old)} a FULL JOIN {at(*new)} b USING (record_id)"""
    )
    return added, removed, same


def _drifted_and_repaired(project: Project) -> tuple[bool, bool]:
    """Somebody deletes a record past us: seen, put back, and gone from the next audit."""
    target = project.target("handbook")
    alias = project.registry().alias("handbook", project.environment, "production")
    assert alias is not None
    namespace = alias.deployment.namespace
    hand = Hand(project, target, namespace)
    hand.delete(hand.rows()[0]["id"])
    before = any(one.drifted for one in project.drift("handbook", level="ids", by="test"))
    project.repair("handbook", by="test")
    return before, any(one.drifted for one in project.drift("handbook", level="ids", by="test"))
