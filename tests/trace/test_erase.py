"""Erase: one document goes from everywhere, nothing else changes, and a killed erasure is finished by the next one."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.cli.conftest import RunCommand, vp  # noqa: F401  (a fixture)
from tests.conftest import page, write_project
from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError
from vector_pipeline.lake.documents import secret_of
from vector_pipeline.lake.tables import DatasetTables, at
from vector_pipeline.project import Project
from vector_pipeline.release.snapshot import reads_back, tables_of
from vector_pipeline.trace.erased import Erased

SECRET = "the quokka of Rottnest keeps a ledger of unpaid debts"
SHARED = "# Common\n\nThis very paragraph stands in two documents and stays in one.\n"
VICTIM = "people/jane.md"


class Killed(BaseException):
    """Stands for the end of the process: no handler of ours catches it as an error."""


def text(number: int, more: str = "") -> str:
    return page(number, paragraphs=2) + more


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three versions; the victim is in the first two, with other text in each. v2 is in production."""
    folder = tmp_path_factory.mktemp("erase") / "project"
    pages = {f"page{n}.md": text(n) for n in range(4)} | {
        VICTIM: f"# Jane\n\n{SECRET}, she said.\n\n{SHARED}", "common.md": SHARED,
    }  # fmt: skip
    config = write_project(folder, pages, shards=2, gates="canaries: canaries.yaml, max_removed_share: 1")
    (folder / "canaries.yaml").write_text(
        "canaries:\n  - {query: about page 3, expect: [page3.md], k: 5}\n", encoding="utf-8"
    )
    with Project.load(config) as project:
        release(project)
        write(project, VICTIM, f"# Jane Doe\n\nAgain {SECRET}, all of it.\n\n{SHARED}")
        write(project, "page1.md", text(1, "\n\nMore of it.\n"))
        release(project, promote=True)
        write(project, "page2.md", None)
        write(project, VICTIM, f"# Jane Roe\n\nNow {SECRET}, no more.\n")
        release(project)
    return folder


def write(project: Project, name: str, content: str | None) -> None:
    path = project.base / "documents" / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content, encoding="utf-8")


def release(project: Project, *, promote: bool = False) -> None:
    project.build("handbook")
    project.push("handbook", by="test")
    project.verify("handbook")
    if promote:
        project.promote("handbook", by="test")


@contextmanager
def opened(prepared: Path, folder: Path) -> Iterator[Project]:
    copy = folder / "project"
    shutil.copytree(prepared, copy)
    with Project.load(copy / "vector_pipeline.yaml") as project:
        yield project


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Iterator[Project]:
    with opened(prepared, tmp_path) as project:
        yield project


def others(project: Project) -> dict[str, Any]:
    """Everything of every other document: each version's rows and vectors, and what the target answers at each version."""
    lake, found = project.lake(read_only=True), {}
    for version in project.versions("handbook"):
        tables = tables_of(version)
        found[f"documents of v{version.number}"] = lake.table(
            f"SELECT * FROM {at(tables.dataset.documents, version.lake_snapshot)} WHERE document_id <> ? ORDER BY ALL",
            [VICTIM],
        )
        found[f"chunks of v{version.number}"] = lake.table(
            f"""SELECT c.*, e.vector FROM {at(tables.chunks, version.lake_snapshot)} c
                JOIN {tables.embeddings} e USING (shard, content_hash) WHERE document_id <> ? ORDER BY record_id""",
            [VICTIM],
        )
    target = project.target("handbook", read_only=True)
    for namespace in target.namespaces():
        ids = [one for batch in target.scan(namespace) for one in batch["id"].to_pylist()]
        records = target.fetch(namespace, ids).sort_by("id")
        found[namespace] = records.filter(pa.compute.not_equal(records["document_id"], VICTIM))
    return found


def files_with(project: Project, *phrases: str) -> list[str]:
    """Files of the project, but for its source, whose bytes hold a phrase."""
    return [
        str(file.relative_to(project.base))
        for file in sorted(project.base.rglob("*"))
        if file.is_file()
        and "documents" not in file.relative_to(project.base).parts[:1]
        and any(phrase.encode() in file.read_bytes() for phrase in phrases)
    ]


def require_gone(project: Project, before: dict[str, Any]) -> None:
    now = others(project)
    assert now.keys() == before.keys()
    for name, rows in before.items():
        assert now[name].equals(rows), name
    for version in project.versions("handbook"):
        assert reads_back(project.lake(read_only=True), version)
        assert version.documents == len(project.documents("handbook", version=version.number))
    for one in project.registry().deployments("handbook"):
        assert one.digest == project.version("handbook", one.version).digest
    assert project.registry().open_erasure("handbook") is None
    assert files_with(project, SECRET, VICTIM) == []


def test_one_document_goes_and_nothing_else_changes(project: Project) -> None:
    assert files_with(project, SECRET) != []
    before = others(project)
    dry = project.erase("handbook", document=VICTIM, dry_run=True)
    assert others(project).keys() == before.keys()
    assert project.registry().erased_keys("handbook") == set()
    assert not dry.gone
    report = project.erase("handbook", document=VICTIM, reason="asked for", by="test")
    assert report.gone, report.to_markdown()
    assert Erased.from_json(json.loads(json.dumps(report.to_json()))) == report
    counted = {(one.where, one.what): one.before for one in report.places}
    assert {name: count for name, count in counted.items() if count} == {
        (one.where, one.what): one.before for one in dry.places if one.before
    }
    assert counted["lake, v1", "documents and chunks"] > 1
    assert counted["registry", "rows of vp_pushes.plan that name it"] == 3
    require_gone(project, before)
    # The shared paragraph stays with the other document, in every version and in the index.
    production = project.registry().alias("handbook", project.environment, "production")
    assert production is not None
    assert production.deployment.version == 2
    assert {one.status for one in report.gates if one.version == 2} == {"passed"}
    # A build does not bring it back, though the source has it still.
    assert project.build("handbook").made is False
    assert project.quarantined("handbook") == [
        {"document": VICTIM, "reason": "erased", "detail": project.quarantined("handbook")[0]["detail"]}
    ]
    assert project.pending("handbook") == set()
    assert files_with(project, SECRET) == []
    write(project, VICTIM, f"# Jane\n\nOnce more {SECRET}.\n")
    write(project, "page3.md", text(3, "\n\nNews.\n"))
    release(project, promote=True)
    assert VICTIM not in [one["document"] for one in project.documents("handbook")]
    moved, _ = project.rollback("handbook", by="test")
    assert moved.deployment.version == 2
    assert files_with(project, SECRET) == []
    again = project.erase("handbook", document=VICTIM, by="test", dry_run=True)
    assert all(one.before == 0 for one in again.places if one.where != "lake, present state")


STEPS = (
    "recorded", "leased", "made anew", "state 1", "v1", "v2", "present again", "redigested", "purged", "compacted", "dev: local",
    "verified", "scrubbed",
)  # fmt: skip


@pytest.mark.parametrize(
    "step",
    [
        one if one in ("v1", "purged") else pytest.param(one, marks=pytest.mark.slow)
        for one in STEPS
    ],
)  # fmt: skip
def test_a_killed_erasure_is_finished_by_the_next(project: Project, step: str) -> None:
    before, seen = others(project), []

    def kill(name: str) -> None:
        seen.append(name)
        if name.startswith(step) or (step == "state 1" and name.startswith("state ")):
            raise Killed

    with pytest.raises(Killed):
        project.erase("handbook", document=VICTIM, by="test", on_step=kill)
    project.close()
    with pytest.raises(RefusedError, match="was not finished"):
        project.build("handbook")
    with pytest.raises(RefusedError, match="erasure of another document"):
        project.erase("handbook", document="page0.md")
    assert project.erase("handbook", dry_run=True).document == VICTIM
    report = project.erase("handbook", by="test")
    assert report.gone, report.to_markdown()
    assert next(one.before for one in report.places if one.where == "lake, v1") > 1
    require_gone(project, before)
    assert project.build("handbook").made is False


def test_refusals(project: Project) -> None:
    with pytest.raises(NotFoundError, match=r"handbook holds no document 'nope\.md'"):
        project.erase("handbook", document="nope.md")
    with pytest.raises(NotFoundError, match="no erasure of handbook is to be finished"):
        project.erase("handbook")
    registry = project.registry()
    held = registry.acquire_lease("lake/handbook/documents", "another-machine/1", 60)
    from vector_pipeline.trace.erase import erase

    setting = project._setting("handbook", dry_run=False)
    impatient = type(setting)(**{name: getattr(setting, name) for name in setting.__slots__} | {"wait_s": 0.0})
    with pytest.raises(ConflictError, match="another-machine/1"):
        erase(impatient, VICTIM, by="test", reason="")
    registry.release_lease(held)
    assert registry.erased_keys("handbook") == set()


@pytest.mark.slow
def test_what_a_hand_wrote_under_its_id_goes_too(project: Project) -> None:
    target = project.target("handbook")
    namespace = target.namespaces()[0]
    ids = [one for batch in target.scan(namespace) for one in batch["id"].to_pylist()]
    stray = target.fetch(namespace, ids[:1])
    for name, value in (("id", "by-hand"), ("document_id", "stray.md"), ("text", "A stray secret of some length.")):
        stray = stray.set_column(stray.schema.get_field_index(name), name, pa.array([value]))
    resource = f"{target.name}/{namespace}"
    lease = project.registry().acquire_lease(resource, "a hand", 60)
    target.upsert(namespace, stray, fence=lease.fence)
    project.registry().release_lease(lease)
    report = project.erase("handbook", document="stray.md", by="test")
    assert report.gone
    assert not report.searched
    assert "its text was not looked for in database files" in report.to_markdown().splitlines()[0]
    assert Erased.from_json(report.to_json()) == report
    assert [(one.what, one.before) for one in report.places if one.before] == [("records", 1)]
    assert files_with(project, "A stray secret of some length.") == []


@pytest.mark.slow
def test_on_the_command_line(prepared: Path, tmp_path: Path, vp: RunCommand) -> None:  # noqa: F811
    copy = tmp_path / "project"
    shutil.copytree(prepared, copy)
    words = ("erase", "handbook", "--document", VICTIM, "--project", copy)
    ran = vp(*words)
    assert ran.code == 0
    assert f"Would erase {VICTIM} from handbook" in ran.out
    assert f"Next: vector-pipeline erase --document {VICTIM} --yes" in ran.out
    assert "Beyond reach: Dagster's own storage" in ran.out
    said = vp(*words, "--reason", "asked for", "--report", tmp_path / "dry.md")
    assert f"--document {VICTIM} --reason 'asked for' --report {tmp_path / 'dry.md'} --yes" in said.out
    ran = vp(*words, "--yes", "--reason", "asked for", "--report", tmp_path / "report.md")
    assert ran.code == 0, ran.err
    assert "is gone from handbook" in ran.out
    page_ = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert page_.startswith(f"# Erasure of `{VICTIM}` from handbook: gone")
    assert "| lake, v1 | documents and chunks |" in page_
    ran = vp(*words[:2], "--document", "nope.md", *words[4:], "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert vp(*words, "--json").json["places"]


@pytest.mark.slow
def test_a_record_source_does_not_bring_it_back(tmp_path: Path) -> None:
    config = write_project(tmp_path, 1)
    rows = [{"id": f"r{n}", "text": f"Row {n} says something of its own. {SECRET if n == 3 else ''}"} for n in range(6)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = config.read_text(encoding="utf-8").replace(
        '{root: documents, include: ["**/*.md"]}', "{kind: jsonl, path: rows.jsonl}"
    )
    config.write_text(source, encoding="utf-8")
    with Project.load(config) as project:
        project.build("handbook")
        assert project.erase("handbook", document="r3", by="test").gone
        rows[0]["text"] = "Row 0 says something else."
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        made = project.build("handbook")
        assert made.version.number == 2
        assert [one["document"] for one in project.documents("handbook")] == ["r0", "r1", "r2", "r4", "r5"]
        assert [(one["document"], one["reason"]) for one in project.quarantined("handbook")] == [("r3", "erased")]
        os.utime(path, ns=(1, 1))
        counts = project.sync("handbook")
        assert (counts.read, counts.touched) == (0, 0)
        assert project.build("handbook").made is False
        secret = secret_of(project.lake(), DatasetTables("handbook"))
        lines = {md5(f"{secret}{json.dumps(row)}\n".encode()).hexdigest(): row["id"] for row in rows}
        seen = project.lake().rows(f"SELECT revision FROM {DatasetTables('handbook').items}")
        assert sorted(lines[revision] for (revision,) in seen if revision in lines) == ["r0", "r1", "r2", "r4", "r5"]
        project.registry().record_erasure(
            dataset="handbook", document_key="0" * 24, by="test", reason="", report={"state": "open"}
        )
        with pytest.raises(RefusedError, match="was not finished"):
            project.expire("handbook", dry_run=False)
        project.close()
    for file in (tmp_path / ".vector_pipeline").rglob("*"):
        assert not (file.is_file() and SECRET.encode() in file.read_bytes()), file
