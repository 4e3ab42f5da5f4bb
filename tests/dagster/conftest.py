"""A real Dagster instance and a real project, in the test's own folder."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from tests.conftest import page, write_project
from vector_pipeline.assets.running import RunOutcome, run_job
from vector_pipeline.resources.project import close_projects

CANARIES = """
canaries:
  - {query: "item2x3 of page 2", expect: [page2.md], k: 2}
  - {query: "item5x1 of page 5", expect: [page5.md], k: 2}
  - {query: "item7x4 of page 7", expect: [page7.md], k: 2}
"""
ROOT = Path(__file__).parents[2]
Run = Callable[..., RunOutcome]


@contextmanager
def opened(folder: Path) -> Iterator[dg.DagsterInstance]:
    """SQLite on disk with our own settings, as ``dagster dev`` has it."""
    folder.mkdir()
    shutil.copyfile(ROOT / "dagster.yaml", folder / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(folder)) as made:
        yield made
    close_projects()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance of the test's own."""
    with opened(tmp_path / "dagster") as made:
        yield made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Twelve documents in four shards, three canaries, promoted by hand."""
    return make_config(tmp_path / "project")


def make_config(folder: Path, *, policy: str = "manual", gates: str = "") -> Path:
    """A project's configuration file."""
    settings = "canaries: canaries.yaml, max_removed_share: 1" + (f", {gates}" if gates else "")
    path = write_project(folder, 12, gates=settings, policy=policy)
    (folder / "canaries.yaml").write_text(CANARIES)
    return path


@pytest.fixture
def run(instance: dg.DagsterInstance, config: Path) -> Run:
    """Run a verb on the project's dataset; keywords are its settings."""

    def call(verb: str, /, **settings: object) -> RunOutcome:
        return run_job(config, "handbook", verb, config=settings, instance=instance)  # type: ignore[arg-type]

    return call


def edit(config: Path, number: int) -> None:
    """Append a paragraph to a document: its size changes, whatever the clock's resolution."""
    (config.parent / "documents" / f"page{number}.md").write_text(
        page(number) + f"\nA paragraph that was added to page {number} later.\n"
    )


def break_documents(config: Path) -> None:
    """The accident: one text over most documents."""
    for number in range(1, 12):
        (config.parent / "documents" / f"page{number}.md").write_text(
            f"# Moved\n\nThis page has moved for the {number}th time. Look for it elsewhere.\n"
        )


def materialised(instance: dg.DagsterInstance, run_id: str) -> dict[str, set[str | None]]:
    """Asset → partitions (None: unpartitioned) that a run materialised."""
    found: dict[str, set[str | None]] = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        made = entry.get_dagster_event().step_materialization_data.materialization
        found.setdefault(made.asset_key.to_user_string(), set()).add(made.partition)
    return found
