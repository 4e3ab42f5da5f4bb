"""Compose's services, started as it starts them, but for the engine: a release is launched at the webserver, made by a worker, and
asked for at the reader.
"""

import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.containers import ROOT, Containers
from tests.deploy.database import database
from tests.production.asking import Plant, tags
from tests.production.plant import missing
from tests.production.processes import Processes, listens, until
from tests.shared.conftest import Bucket
from tests.support.configuration import yaml_blocks
from tests.ui.dagster_ui import Ui
from vector_pipeline.report.page import REPORTS

REASON = missing() or (None if shutil.which("redis-cli") else "no redis-cli (Debian's package redis-tools)")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=REASON or "")]
SERVICES = ("postgres", "s3", "redis", "bucket", "code", "webserver", "daemon", "worker1", "reader")
DATASETS = """
datasets:
  handbook:
    source: {kind: s3, bucket: vectors, prefix: documents}
    shards: 2
    spaces:
      words:
        embedder: {kind: static, model: wordllama}
        chunker: {max_tokens: 120, overlap_tokens: 10, min_tokens: 10}
    target: local
    gates: {canaries: canaries.yaml}
    promotion: {policy: automatic}
"""
REPORT = REPORTS / "handbook" / "prod" / "v1.html"
SHARDS = {"dagster/asset_partition_range_start": "00", "dagster/asset_partition_range_end": "01"}
PAGES = {
    "holidays.md": "# Holidays\n\nEvery employee has 28 days of paid holiday a year. Ask for them two weeks before.\n",
    "travel.md": "# Travel costs\n\nTrain tickets and hotels are paid back. Send the receipts within thirty days.\n",
    "door.md": "# Door codes\n\nThe code of the front door changes every month; it is sent by mail on the first.\n",
}
CANARIES = """
canaries:
  - {query: "How many days of paid holiday do I have?", expect: [holidays.md], k: 1}
"""


@pytest.mark.timeout(1800)
def test_what_compose_starts_makes_a_release_and_serves_it(tmp_path: Path) -> None:
    project = _project(tmp_path / "project")
    made = Containers(tmp_path, project, SERVICES)
    (project / "vector_pipeline.yaml").write_text(made.here("code", _environments()) + DATASETS)
    before = {one for one in project.rglob("*") if one.is_file()}
    with _started(made) as (processes, plant):
        plant.launch("handbook__release", tags=SHARDS)
        run = plant.wait_for_run("handbook__release", set())
        assert run["status"] == "SUCCESS", plant.story(run["id"])
        assert tags(run)["vector_pipeline/worker"].startswith("worker1@")
        found: list[dict[str, Any]] = []
        until(partial(_answers, made, found), "the reader answers")
        assert found[-1]["results"][0]["hits"][0]["document"] == "holidays.md"
        assert _status(made, "nobody's") == 401
    assert processes.left() == []
    # The project is mounted read-only. What the gates' page would cost there is a line in its check, never the run.
    assert {one for one in project.rglob("*") if one.is_file()} - {project / REPORT} == before


def _project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "canaries.yaml").write_text(CANARIES)
    (folder / "vector_pipeline.yaml").touch()
    return folder


def _environments() -> str:
    """The page's own."""
    (shown,) = yaml_blocks((ROOT / "docs" / "deployment.md").read_text(encoding="utf-8"))
    return shown.replace("@postgres:", "@127.0.0.1:")


@contextmanager
def _started(made: Containers) -> Iterator[tuple[Processes, Plant]]:
    given, ports = made.services["postgres"]["environment"], made.ports
    with (
        database(ports["postgres"], given["POSTGRES_USER"], made.secret("postgres"), given["POSTGRES_DB"]) as programs,
        Processes(made.folder / "logs", {"VECTOR_PIPELINE_PLANT": made.mark, "PATH": "/usr/bin:/bin"}) as processes,
    ):
        for batch in made.batches():
            for name in batch:
                _start(made, processes, name)
            for name in batch:
                if name == "postgres":
                    until(
                        partial(made.healthy, name, PATH=str(programs), PGHOST="127.0.0.1", PGPORT=str(ports[name])),
                        name,
                    )
                elif name == "s3":  # MinIO's own check asks with MinIO's own client.
                    processes.until(name, partial(listens, ports[name]))
                elif made.services[name]["healthcheck"].get("disable") is None:
                    processes.until(name, partial(made.healthy, name))
        bucket = Bucket("vectors", f"http://127.0.0.1:{ports['s3']}")
        for name, text in PAGES.items():
            bucket.put(f"documents/{name}", text)
        yield processes, Plant(made.folder, processes, bucket, Ui(f"http://127.0.0.1:{ports['webserver']}"), "")


def _start(made: Containers, processes: Processes, name: str) -> None:
    """As the file says, but for the image that is somebody else's: S3 is moto's, and PostgreSQL runs already."""
    if name == "s3":
        words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(made.ports[name])]
        processes.start(name, words, made.environment(name))
    elif name == "redis":
        *shell, line = made.command(name)[2:]
        assert "redis-server " in line
        line = line.replace("redis-server ", f"redis-server --bind 127.0.0.1 --port {made.ports[name]} ")
        processes.start(name, [*shell, line], made.environment(name))
    elif name == "bucket":
        made.finish(name)
    elif name != "postgres":
        made.start(processes, name)


def _ask(made: Containers, token: str) -> Any:
    body = json.dumps({"query": "How many days of holiday do I have?", "top_k": 1}).encode()
    url = f"http://127.0.0.1:{made.ports['reader']}/v1/datasets/handbook/query"
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
        return json.load(answer)


def _answers(made: Containers, found: list[Any]) -> bool:
    try:
        found.append(_ask(made, made.secret("reader")))
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 503:  # It has not been told of the promotion yet.
                return False
            raise
    return True


def _status(made: Containers, token: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as refused:
        _ask(made, token)
    refused.value.close()
    return refused.value.code
