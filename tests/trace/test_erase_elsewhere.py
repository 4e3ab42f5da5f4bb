"""What an erasure leaves alone: lost versions, other datasets' files, other hands' marks; and what stops for it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from tests.support.gates import verify_index
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.tables import DatasetTables, at
from vector_pipeline.project import Project, retaining
from vector_pipeline.report.history import what_changed
from vector_pipeline.targets.duckdb import DuckDBTarget

H = "handbook"


class Killed(BaseException):
    """Stands for the end of the process."""


def write(project: Project, name: str, content: str) -> None:
    path = project.base / "documents" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def release(project: Project, *, promote: bool = False) -> None:
    project.build(H)
    project.push(H, by="test")
    verify_index(project, H)
    if promote:
        project.promote(H, by="test")


def reopened(project: Project) -> Project:
    project.close()
    return Project.load(project.base / "vector_pipeline.yaml")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four documents in production, and a synced fifth that no version holds."""
    config = write_project(tmp_path_factory.mktemp("elsewhere") / "project", 4, shards=2)
    with Project.load(config) as project:
        release(project, promote=True)
        write(project, "page9.md", page(9))
        project.sync(H)
        project.chunk(H)
        project.embed(H)
    return config.parent


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Iterator[Project]:
    shutil.copytree(prepared, tmp_path / "project")
    with Project.load(tmp_path / "project/vector_pipeline.yaml") as project:
        yield project


def documents(project: Project) -> list[str]:
    return sorted(one["document"] for one in project.documents(H))


def killed_at(step: str, project: Project) -> None:
    def kill(name: str) -> None:
        if name == step:
            raise Killed

    with pytest.raises(Killed):
        project.erase(H, document="page1.md", by="test", on_step=kill)


@pytest.mark.slow
def test_versions_of_a_lost_lake_stay_as_they_are_recorded(project: Project) -> None:
    lost = project.version(H, 1)
    project.close()
    shutil.rmtree(project.base / ".vector_pipeline/lake")
    shutil.rmtree(project.base / "documents")
    with Project.load(project.base / "vector_pipeline.yaml") as anew:
        for n in range(10, 14):
            write(anew, f"new{n}.md", page(n))
        made = anew.build(H).version.number
        # The lake made anew has a state of the lost version's number, with other content.
        tables = DatasetTables(H)
        assert anew.lake().rows(f"SELECT 1 FROM {at(tables.documents, lost.lake_snapshot)}")
        report = anew.erase(H, document="new11.md", by="test")
        assert report.gone, report.to_markdown()
        assert report.versions == (made,)
        assert [note for note in report.notes if note.startswith("v1 is not in the lake")]
        assert anew.version(H, 1) == lost
        assert {one.digest for one in anew.registry().deployments(H)} == {lost.digest}
        assert documents(anew) == ["new10.md", "new12.md", "new13.md"]


@pytest.mark.slow
def test_an_expiry_that_meets_an_erasure_keeps_the_present_state(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire_versions = retaining.expire_versions
    with Project.load(project.base / "vector_pipeline.yaml") as other:

        def meanwhile(*arguments: object, **options: object) -> object:
            found = expire_versions(*arguments, **options)  # type: ignore[arg-type]
            killed_at("made anew", other)
            return found

        monkeypatch.setattr(retaining, "expire_versions", meanwhile)
        project.expire(H, dry_run=False, grace_s=0)
    with reopened(project) as again:
        assert again.erase(H, by="test").gone
        assert documents(again) == ["page0.md", "page2.md", "page3.md", "page9.md"]


@pytest.mark.parametrize(
    "step",
    ["made anew", *(pytest.param(one, marks=pytest.mark.slow) for one in ("leased", "state {} again"))],
)
def test_an_erasure_whose_present_state_is_gone_loses_nothing_of_a_version(project: Project, step: str) -> None:
    killed_at(step.format(project.version(H, 1).lake_snapshot), project)
    erasure = project.registry().open_erasure(H)
    assert erasure is not None
    project.lake().transaction(
        lambda: project.lake().run("CREATE OR REPLACE TABLE lake.main.later (a INTEGER)"), "later"
    )
    project.lake().run(f"CALL ducklake_expire_snapshots('lake', versions => [{erasure.report['present']}])")
    with reopened(project) as again:
        report = again.erase(H, by="test")
        assert report.gone, report.to_markdown()
        early = step == "leased"
        assert any("present state was expired" in note for note in report.notes) is not early
        assert documents(again) == ["page0.md", "page2.md", "page3.md"] + ["page9.md"] * early
        again.build(H)
        assert documents(again) == ["page0.md", "page2.md", "page3.md", "page9.md"]


@pytest.mark.slow
def test_files_of_other_datasets_wait_for_their_grace(project: Project) -> None:
    project.close()
    config = project.base / "vector_pipeline.yaml"
    text = config.read_text(encoding="utf-8")
    second = text.partition("datasets:\n")[2].replace("handbook:", "other:").replace("root: documents", "root: others")
    config.write_text(text + second, encoding="utf-8")
    folder = project.base / "others"
    folder.mkdir()
    with Project.load(config) as both:
        for turn in range(3):
            for n in range(30):
                (folder / f"o{turn}x{n}.md").write_text(page(100 + 50 * turn + n, 30), encoding="utf-8")
            both.build("other")
        assert both.collect(dry_run=False).merged

        def files() -> set[str]:
            return {str(file) for file in (project.base / ".vector_pipeline/lake/data/other").rglob("*.parquet")}

        before = files()
        assert both.erase(H, document="page1.md", by="test").gone
        assert files() == before
        assert both.collect(dry_run=False, grace_s=0).files == () or files() <= before


@pytest.mark.parametrize("meddled", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_mark_that_our_killed_erasure_left_is_ours(
    project: Project, monkeypatch: pytest.MonkeyPatch, meddled: bool
) -> None:
    release(project, promote=True)
    purge = DuckDBTarget.purge

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(DuckDBTarget, "purge", killed)
    with pytest.raises(Killed):
        project.erase(H, document="page1.md", by="test")
    monkeypatch.setattr(DuckDBTarget, "purge", purge)
    with reopened(project) as again:
        if meddled:
            target = again.target(H)
            namespace = again.registry().aliases(H)[0].deployment.namespace
            stray = next(iter(target.scan(namespace)))["id"][:1]
            lease = again.registry().acquire_lease(f"{target.name}/{namespace}", "a hand", 60)
            target.delete(namespace, stray, fence=lease.fence)
            again.registry().release_lease(lease)
        assert again.erase(H, by="test").gone
        assert any(one.drifted for one in again.drift(H, level="count", record=False)) is meddled


@pytest.mark.slow
def test_every_environment_learns_of_our_mark(project: Project) -> None:
    project.close()
    config = project.base / "vector_pipeline.yaml"
    same = "{targets: {local: {kind: duckdb, path: .vector_pipeline/index}}}"
    config.write_text(
        config.read_text(encoding="utf-8") + f"\nenvironments:\n  dev: {same}\n  prod: {same}\n", encoding="utf-8"
    )
    with Project.load(config, environment="prod") as prod, Project.load(config, environment="dev") as dev:
        prod.push(H, version=1, by="test")
        assert dev.erase(H, document="page1.md", by="test").gone
        for one in (dev, prod):
            assert [report.summary for report in one.drift(H, level="count", record=False) if report.drifted] == []


def test_nothing_is_pushed_or_repaired_while_an_erasure_is_open(project: Project) -> None:
    killed_at("made anew", project)
    with reopened(project) as again:
        for act in (again.push, again.repair):
            with pytest.raises(RefusedError, match="was not finished"):
                act(H)


def test_an_environment_whose_registry_is_not_known_is_named(project: Project) -> None:
    project.close()
    config = project.base / "vector_pipeline.yaml"
    config.write_text(
        config.read_text(encoding="utf-8")
        + """
environments:
  dev: {targets: {local: {kind: duckdb, path: .vector_pipeline/index}}}
  far:
    registry: "postgresql://u:${env:NOT_SET_HERE}@nowhere/db"
    lake: {catalog: "sqlite:///far.sqlite", data: far}
    targets: {local: {kind: duckdb, path: elsewhere}}
""",
        encoding="utf-8",
    )
    with Project.load(config) as here:
        report = here.erase(H, document="page1.md", dry_run=True)
        assert len(report.not_reached) == 1
        assert "NOT_SET_HERE" in report.not_reached[0]


@pytest.mark.slow
def test_history_does_not_say_gone_of_what_is_not(project: Project) -> None:
    project.close()
    config = project.base / "vector_pipeline.yaml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("target: local", "target: fresh")
        + "\nenvironments:\n  dev: {targets: {fresh: {kind: duckdb, path: elsewhere}}}\n",
        encoding="utf-8",
    )
    with Project.load(config) as moved:
        killed_at("made anew", moved)
        assert "is not gone yet" in what_changed(moved.timeline(H)[0])
        assert not moved.erase(H, by="test").gone
        assert "NOT GONE everywhere" in what_changed(moved.timeline(H)[0])
