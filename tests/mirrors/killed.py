"""What the killed processes do, with a step before every commit of the registry and around every write of the targets."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.process.steps import WRITES, Steps
from vector_pipeline.project import Project
from vector_pipeline.targets.duckdb import DuckDBTarget

OPERATIONS: dict[str, Callable[[Project], object]] = {
    "push": lambda project: project.push("handbook"),
    "promote": lambda project: project.promote("handbook", by="test"),
    "roll back": lambda project: project.rollback("handbook", by="test"),
    "take out": lambda project: project.promote(
        "handbook", by="test", version=1, without=["local"], reason="local is down"
    ),
}


def run(config: Path, operation: str, kill_at: int, out: Path) -> None:
    """Do an operation; it dies at step ``kill_at``, else it writes the names of its steps to ``out``."""
    steps = Steps(kill_at)
    event.listen(Engine, "commit", lambda _: steps.step("before commit"))
    for method in WRITES:
        steps.around(DuckDBTarget, method)
    with Project.load(config) as project:
        OPERATIONS[operation](project)
    out.write_text("\n".join(steps.names), encoding="utf-8")
