"""A real Dagster (webserver, daemon, code server) over a project, and a real browser to use it with.

Shared by the UI test and by ``docs/take_screenshots.py``.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vector_pipeline.resources.home import ensure_home

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZE = (1600, 1000)
PATIENCE_S = 1200.0
"""Nothing here takes so long, but on a machine that is busy with other things."""


def missing() -> str | None:
    """Why the UI cannot be driven here; None when it can."""
    if not CHROMIUM.exists():
        return f"no browser: {CHROMIUM} is absent (Debian's package chromium)"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "no playwright: pip install playwright"
    return None


class Ui:
    """A served project: its address, and what its GraphQL says."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Data of a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=180) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def runs(self) -> list[dict[str, Any]]:
        """Runs, newest first."""
        query = "{ runsOrError(limit: 50) { ... on Runs { results { id status jobName tags { key value } } } } }"
        runs: list[dict[str, Any]] = self.ask(query)["runsOrError"]["results"]
        return runs

    def wait_for_runs(self, known: set[str], wanted: int = 1, timeout_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """Runs besides ``known``, when so many of them have ended and none is going."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            new = [run for run in self.runs() if run["id"] not in known]
            if len(new) >= wanted and all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in new):
                return new
            time.sleep(0.5)
        raise TimeoutError(f"runs did not end: {self.runs()}")

    def backfills(self) -> list[dict[str, Any]]:
        """Backfills, newest first."""
        query = "{ partitionBackfillsOrError(limit: 20) { ... on PartitionBackfills { results { id status } } } }"
        found: list[dict[str, Any]] = self.ask(query)["partitionBackfillsOrError"]["results"]
        return found

    def wait_for_backfills(self, timeout_s: float = PATIENCE_S) -> None:
        """Return when none is going."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not any(one["status"] in ("REQUESTED", "FAILING", "CANCELING") for one in self.backfills()):
                return
            time.sleep(0.5)
        raise TimeoutError(f"a backfill did not end: {self.backfills()}")


@contextmanager
def served(config: Path) -> Iterator[Ui]:
    """``dagster dev`` over a project, with a home of its own beside the configuration; stopped afterwards."""
    before = os.environ.pop("DAGSTER_HOME", None)
    home = ensure_home(config.parent)
    if before is None:
        del os.environ["DAGSTER_HOME"]
    else:
        os.environ["DAGSTER_HOME"] = before
    port = _free_port()
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "VECTOR_PIPELINE_CONFIG": str(config),
        "DAGSTER_TELEMETRY_DISABLED": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-w", str(ROOT / "workspace.yaml")]
    with (home / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            cwd=config.parent, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            ui = Ui(f"http://127.0.0.1:{port}")
            _wait_until_loaded(ui, process, home / "dev.log")
            yield ui
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_until_loaded(ui: Ui, process: subprocess.Popen[bytes], log: Path, timeout_s: float = PATIENCE_S) -> None:
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if ui.ask(query)["repositoriesOrError"].get("nodes"):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.3)
    raise RuntimeError(f"Dagster did not come up:\n{log.read_text(errors='replace')[-3000:]}")


@contextmanager
def browser() -> Iterator["Page"]:
    """A page of a headless Chromium, with the navigation folded away."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        try:
            page = chromium.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
            page.set_default_timeout(300_000)
            page.add_init_script("localStorage.setItem('dagster-nav-collapsed', 'true')")
            yield page
        finally:
            chromium.close()


def open_graph(page: "Page", ui: Ui, dataset: str) -> None:
    """The asset graph of a dataset."""
    page.goto(f"{ui.url}/locations/vector_pipeline/asset-groups/{dataset}", wait_until="domcontentloaded")
    page.get_by_text("production_index").first.wait_for()


def open_branch(page: "Page", ui: Ui, dataset: str, space: str) -> None:
    """The asset graph of a dataset with one space's assets alone, as a person selects them."""
    open_graph(page, ui, dataset)
    page.locator(".CodeMirror").first.click()
    page.keyboard.type(f'key:"{dataset}/{space}/*"')
    page.keyboard.press("Enter")
    page.get_by_text("production_index").first.wait_for(state="detached")


def open_asset(page: "Page", ui: Ui, key: str, view: str = "overview") -> None:
    """An asset's page: ``overview``, ``events``, ``checks``, ``partitions`` or ``lineage``."""
    page.goto(f"{ui.url}/assets/{key}?view={view}", wait_until="domcontentloaded")
    _materialize_button(page).wait_for()


def _materialize_button(page: "Page") -> "Locator":
    # Its accessible name begins with the name of its icon.
    return page.locator("button", has_text="Materialize").first


def launch_backfill(page: "Page", ui: Ui, dataset: str) -> list[dict[str, Any]]:
    """Materialise every partition of every asset of a dataset, as a person does; returns the runs when all have ended."""
    open_graph(page, ui, dataset)
    known = {run["id"] for run in ui.runs()}
    choose_all_shards(page)
    return launch_chosen(page, ui, known)


def choose_all_shards(page: "Page") -> None:
    """Open the dialog that materialises what the graph shows, and choose every partition."""
    page.get_by_role("button", name="Materialize all…").click()
    page.get_by_role("button", name="All", exact=True).click()


def launch_chosen(page: "Page", ui: Ui, known: set[str]) -> list[dict[str, Any]]:
    """Launch what the dialog has; returns the runs besides ``known`` when all have ended."""
    page.get_by_role("button", name="Launch backfill").click()
    # One run over the range of shards, then one of what has no shards.
    runs = ui.wait_for_runs(known, wanted=2)
    ui.wait_for_backfills()
    return runs


def reload_definitions(page: "Page", ui: Ui, dataset: str, space: str, *, serves: bool) -> None:
    """Click "Reload definitions" after an edit of the configuration; returns when the space has its branch, and production is below
    it or not.
    """
    open_graph(page, ui, dataset)
    page.get_by_role("button", name="Reload definitions").click()
    query = "query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { dependedByKeys { path } } } }"
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = ui.ask(query, key={"path": [dataset, space, "staging_index"]})["assetNodeOrError"].get("dependedByKeys")
        if found is not None and ([dataset, "production_index"] in [one["path"] for one in found]) is serves:
            return
        time.sleep(0.5)
    raise TimeoutError(f"{dataset} has no branch {space}, or it {'does not serve' if serves else 'serves'}")


def materialize(page: "Page", ui: Ui, key: str) -> list[dict[str, Any]]:
    """Click "Materialize" on an asset without partitions; returns its run when it has ended."""
    open_asset(page, ui, key)
    known = {run["id"] for run in ui.runs()}
    _materialize_button(page).click()
    return ui.wait_for_runs(known)
