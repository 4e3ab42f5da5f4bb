"""What the killed process does, with a step before every commit of the registry, around every commit of the lake and around every
write of the target.
"""

from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.process.steps import WRITES, Steps
from vector_pipeline.lake.connection import Lake
from vector_pipeline.project import Project
from vector_pipeline.targets.duckdb import DuckDBTarget


def run(config: Path, kill_at: int, out: Path) -> None:
    """Retire; it dies at step ``kill_at``, else it writes the names of its steps to ``out``."""
    steps = Steps(kill_at)
    event.listen(Engine, "commit", lambda _: steps.step("before commit"))
    for method in WRITES:
        steps.around(DuckDBTarget, method)
    steps.around(Lake, "transaction")
    with Project.load(config) as project:
        project.retire("handbook", space="old", dry_run=False, on_step=steps.step)
    out.write_text("\n".join(steps.names), encoding="utf-8")
