"""Take the pictures in ``docs/images`` from a real Dagster in a real browser: ``make screenshots``.

The example's documents are released, edited, broken; nothing is drawn or pasted. It takes a few minutes.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from examples.python_reference.edit_documents import break_documents  # noqa: E402
from examples.python_reference.write_documents import write_documents  # noqa: E402
from tests.ui import dagster_ui as dagster  # noqa: E402
from vector_pipeline.project import Project  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = ROOT / "docs" / "images"
DATASET = "python_reference"
REPORTS: tuple[tuple[str, int, int, Literal["light", "dark"], str], ...] = (
    ("report_light", 1600, 2000, "light", ""),
    ("report_dark", 1600, 1500, "dark", "#canaries"),
    ("report_phone", 360, 980, "light", ""),
    ("report_phone_charts", 360, 980, "dark", "#charts"),
)
"""Name, size and theme of the report's pictures, and the part at which they begin."""
STAGING = f"{DATASET}/minilm/staging_index"
NEW = "words"
DECLARED = f"      {NEW}:\n        embedder: {{kind: static, model: wordllama}}\n    serving: minilm\n    target: local"
"""The second space of the pictures on changing the model."""


def main() -> None:
    """Make every picture."""
    if reason := dagster.missing():
        sys.exit(f"no pictures can be taken: {reason}")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        example = ROOT / "examples" / DATASET
        project.mkdir()
        for name in ("vector_pipeline.yaml", "canaries.yaml"):
            shutil.copyfile(example / name, project / name)
        write_documents(project / "documents")
        with dagster.served(project / "vector_pipeline.yaml") as ui, dagster.browser() as page:
            take(page, ui, project)
            take_report(page, project)
            take_reembedding(page, ui, project)


def take(page: "Page", ui: dagster.Ui, project: Path) -> None:
    """The pictures, in the order of what happens."""
    dagster.launch_backfill(page, ui, DATASET)
    page.goto(f"{ui.url}/runs/b/{ui.backfills()[0]['id']}", wait_until="domcontentloaded")
    page.get_by_text("raw_documents").first.wait_for()
    shoot(page, "backfill")

    dagster.open_graph(page, ui, DATASET)
    page.get_by_text("Asset checks").first.wait_for()
    shoot(page, "asset_graph")

    dagster.open_asset(page, ui, STAGING, "checks")
    page.get_by_text("canary_retrieval").first.click()
    page.get_by_text("Latest execution").first.wait_for()
    shoot(page, "checks_passed")

    (run,) = dagster.materialize(page, ui, STAGING)
    page.goto(f"{ui.url}/runs/{run['id']}", wait_until="domcontentloaded")
    page.get_by_text("RUN_SUCCESS").first.wait_for()
    shoot(page, "run")
    dagster.open_asset(page, ui, f"{DATASET}/minilm/snapshot")
    page.get_by_text("lake_snapshot").first.wait_for()
    shoot(page, "materialisation")

    break_documents(project / "documents")
    dagster.launch_backfill(page, ui, DATASET)
    dagster.open_asset(page, ui, STAGING, "checks")
    page.get_by_text("Failed").first.wait_for()
    page.get_by_text("canary_retrieval").first.click()
    page.get_by_text("Latest execution").first.wait_for()
    shoot(page, "checks_failed")
    page.get_by_text("[Show Markdown]").first.click()
    shoot(page, "checks_charts")
    dagster.open_asset(page, ui, STAGING, "events")
    page.get_by_text("[Show Markdown]").first.click()
    shoot(page, "checks_report")


def take_reembedding(page: "Page", ui: dagster.Ui, project: Path) -> None:
    """The documents are mended and released; then the model is changed."""
    write_documents(project / "documents")
    dagster.launch_backfill(page, ui, DATASET)
    config = project / "vector_pipeline.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("    target: local", DECLARED, 1), encoding="utf-8")
    dagster.reload_definitions(page, ui, DATASET, NEW, serves=False)
    dagster.open_graph(page, ui, DATASET)
    page.get_by_text("Never materialized").first.wait_for()
    shoot(page, "reembed_graph")

    dagster.open_branch(page, ui, DATASET, NEW)
    known = {run["id"] for run in ui.runs()}
    dagster.choose_all_shards(page)
    page.get_by_text("Launch runs to materialize 4 assets").first.wait_for()
    shoot(page, "reembed_launch")
    dagster.launch_chosen(page, ui, known)
    dagster.open_asset(page, ui, f"{DATASET}/{NEW}/embeddings", "partitions&partition=03")
    page.get_by_text("shard_vectors").first.wait_for()
    shoot(page, "reembed_shards")
    dagster.open_asset(page, ui, f"{DATASET}/{NEW}/staging_index", "checks")
    page.get_by_text("catch_up").first.click()
    page.get_by_text("none missing, none behind").first.wait_for()
    shoot(page, "reembed_gate")

    config.write_text(
        config.read_text(encoding="utf-8").replace("serving: minilm", f"serving: {NEW}"), encoding="utf-8"
    )
    dagster.reload_definitions(page, ui, DATASET, NEW, serves=True)
    dagster.materialize(page, ui, f"{DATASET}/{NEW}/staging_index")
    dagster.materialize(page, ui, f"{DATASET}/production_index")
    dagster.open_asset(page, ui, f"{DATASET}/production_index")
    page.get_by_text(f"{DATASET}--{NEW}--").first.wait_for()
    shoot(page, "reembed_production")


def take_report(page: "Page", project: Path) -> None:
    """The report of the broken release: the version that a gate stopped."""
    with Project.load(project / "vector_pipeline.yaml") as opened:
        _, file = opened.write_report(DATASET)
    for name, width, height, theme, part in REPORTS:
        context = page.context.browser.new_context(  # type: ignore[union-attr]
            viewport={"width": width, "height": height}, color_scheme=theme, device_scale_factor=2 if width < 600 else 1
        )
        own = context.new_page()
        own.goto(file.as_uri() + part)
        own.screenshot(path=IMAGES / f"{name}.png")
        sys.stdout.write(f"docs/images/{name}.png\n")
        context.close()


def shoot(page: "Page", name: str) -> None:
    """Save what the page shows, after its own animations."""
    page.mouse.move(800, 990)
    page.wait_for_timeout(2500)
    page.screenshot(path=IMAGES / f"{name}.png")
    sys.stdout.write(f"docs/images/{name}.png\n")


if __name__ == "__main__":
    main()
