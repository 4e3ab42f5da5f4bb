"""The reader: one version at a time, followed without restart, never a mixed space."""

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import MakeProject, page
from tests.support.gates import verify_index
from vector_pipeline import open_index
from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import engine
from vector_pipeline.serving import following


def release(project: Project) -> None:
    project.build("handbook")
    project.push("handbook")
    verify_index(project)
    project.promote("handbook", by="test")


@pytest.mark.slow
def test_a_query_returns_text_document_score_and_version(make_project: MakeProject) -> None:
    pages = {f"guides/page{n}.md": page(n) for n in range(6)} | {"other/page9.md": page(9)}
    project = make_project(pages)
    release(project)
    with open_index("handbook", project=project.base) as index:
        hits = index.query("paragraph 2 of page 3 speaks of item3x2", top_k=3)
        assert hits[0].document == "guides/page3.md"
        assert "item3x2" in hits[0].text
        assert (hits[0].version, hits[0].metadata["title"]) == (1, "Page 3")
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        within = index.query("item3x2", top_k=3, filter={"folder": "other"})
        assert {hit.document for hit in within} == {"other/page9.md"}
        both = index.query(["about page 3", "page 4 item4x1 item4x2"], top_k=1)
        assert [hits[0].document for hits in both] == ["guides/page3.md", "guides/page4.md"]


def test_a_cutover_and_a_rollback_are_followed_without_restart(project: Project) -> None:
    release(project)
    with open_index("handbook", project=project.base, max_staleness_s=0) as index:
        assert index.query("about page 1", top_k=1)[0].document == "page1.md"
        (project.base / "documents" / "page1.md").write_text(page(900), encoding="utf-8")
        project.build("handbook")
        project.push("handbook")
        assert index.query("item900x1", top_k=1)[0].version == 1
        assert "item900x1" not in index.query("item900x1", top_k=1)[0].text
        verify_index(project)
        project.promote("handbook", by="test")
        hit = index.query("about page 900", top_k=1)[0]
        assert (hit.version, hit.document) == (2, "page1.md")
        project.rollback("handbook", by="test")
        assert "page 1." in index.query("about page 1", top_k=1)[0].text


@pytest.mark.slow
def test_nothing_promoted_and_bad_queries_are_named(project: Project) -> None:
    with pytest.raises(NotFoundError):
        open_index("handbook", project=project.base)
    project.build("handbook")
    project.push("handbook")
    with pytest.raises(NotFoundError, match="nothing of handbook is in production yet"):
        open_index("handbook", project=project.base)
    with open_index("handbook", project=project.base, alias="staging") as index:
        for empty in ("", "  ", [], ["a", ""]):
            with pytest.raises(InputError, match="the query is empty"):
                index.query(empty)
        with pytest.raises(InputError, match="top_k"):
            index.query("x", top_k=0)
        with pytest.raises(InputError, match="bad"):
            index.query("x", filter={"year": {"$bad": 1}})


@pytest.mark.slow
def test_a_query_is_never_embedded_with_another_space(project: Project) -> None:
    release(project)
    config = project.base / "vector_pipeline.yaml"
    config.write_text(config.read_text().replace("model: seed", "model: swapped"), encoding="utf-8")
    with (
        open_index("handbook", project=config) as index,
        pytest.raises(RefusedError, match="served in another space than tiny is here"),
    ):
        index.query("item1x1")


@pytest.mark.slow
def test_reading_imports_neither_dagster_nor_torch(project: Project) -> None:
    release(project)
    script = (
        "import sys\nfrom vector_pipeline import open_index\n"
        f"with open_index('handbook', project={str(project.base)!r}) as index:\n"
        "    assert index.query('item1x1')\n"
        "print([name for name in ('dagster', 'torch', 'great_expectations') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


@pytest.mark.slow
def test_the_index_is_untouched_by_reading(project: Project) -> None:
    release(project)
    root = project.base / ".vector_pipeline" / "index"

    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}

    before = files()
    with open_index("handbook", project=project.base) as index:
        index.query("item1x1")
    assert files() == before


def rewrite(config: Path, old: str, new: str) -> None:
    """Change a word of the configuration."""
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.slow
def test_another_chunker_does_not_stop_production(project: Project) -> None:
    release(project)
    config = project.base / "vector_pipeline.yaml"
    rewrite(config, "overlap_tokens: 5", "overlap_tokens: 6")
    with open_index("handbook", project=config) as index:
        assert index.query("about page 1", top_k=1)[0].document == "page1.md"
    with Project.load(config) as changed:
        _, results = changed.verify("handbook", version=1)
        assert {result.status.value for result in results} <= {"passed", "warned"}
        release(changed)  # In a namespace of its own.
        assert len(changed.target("handbook").namespaces()) == 2
        assert changed.rollback("handbook", by="test")[0].deployment.version == 1


@pytest.mark.slow
def test_what_is_live_is_read_where_it_was_deployed(project: Project) -> None:
    release(project)
    config = project.base / "vector_pipeline.yaml"
    text = config.read_text(encoding="utf-8")
    two = "environments: {dev: {targets: {local: {}, other: {path: other_index}}}}\n"
    config.write_text(text.replace("target: local", "target: other") + two, encoding="utf-8")
    with open_index("handbook", project=config) as index:
        assert index.query("about page 1", top_k=1)[0].document == "page1.md"
    with Project.load(config) as changed, pytest.raises(NotFoundError, match="never pushed to other"):
        changed.verify("handbook")
    rewrite(config, "local: {}, ", "")
    with (
        open_index("handbook", project=config) as index,
        pytest.raises(RefusedError, match="environment dev has no target 'local' any more"),
    ):
        index.query("about page 1")


@pytest.mark.slow
def test_an_outage_of_the_registry_is_lived_through_for_a_while(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(project)
    monkeypatch.setattr(engine, "BUSY_MS", 1_500)
    monkeypatch.setattr(engine, "RETRY_S", 0.1)
    monkeypatch.setattr(following, "WAIT_S", 0.05)
    with open_index("handbook", project=project.base, max_staleness_s=0) as index:
        index.query("about page 1")
        # SQLite locks a database out only when nobody else has it open.
        project.close()
        index._parts.registry(read_only=True).close()
        lock = sqlite3.connect(project.base / ".vector_pipeline" / "registry.sqlite", isolation_level=None)
        lock.execute("PRAGMA locking_mode = EXCLUSIVE")
        lock.execute("BEGIN EXCLUSIVE")

        def seconds(_: int) -> float:
            started = time.monotonic()
            assert index.query("about page 1", top_k=1)[0].document == "page1.md"
            return time.monotonic() - started

        with ThreadPoolExecutor(6) as threads:
            took = sorted(threads.map(seconds, range(6)))
        assert took[-2] < 1.4, "one thread asks, and the others are not queued behind it"
        monkeypatch.setattr(following, "OUTAGE_S", 0.0)
        with pytest.raises(ConflictError):
            index.query("about page 1")
        lock.execute("ROLLBACK")
        lock.close()
        monkeypatch.setattr(following, "_PAUSE_S", 0.0)
        assert index.query("about page 1", top_k=1)[0].version == 1
