"""A process that kills itself at its n-th step: before every commit of the registry, around every write of the target, and around
the moment in which the target's new state takes the place of the old one.
"""

import os
import signal
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from vector_pipeline.project import Project
from vector_pipeline.release.owned import OwnedTarget
from vector_pipeline.targets.duckdb import DuckDBTarget
from vector_pipeline.targets.duckdb.folder import Folder

WRITES = ("ensure_namespace", "upsert", "derive", "set_metadata", "set_removed", "delete", "drop_namespace")

OPERATIONS: dict[str, Callable[[Project], object]] = {
    "push": lambda project: project.push("handbook", strategy="versioned"),
    "push into a line of its own": lambda project: project.push("handbook", strategy="blue-green"),
    "promote": lambda project: project.promote("handbook", by="test"),
    "roll back": lambda project: project.rollback("handbook", by="test"),
    "repair": lambda project: project.repair("handbook"),
    "collect": lambda project: project.collect("handbook", dry_run=False),
}


class Steps:
    """Counts steps; at step ``kill_at`` the process is gone."""

    def __init__(self, kill_at: int) -> None:
        self.count, self.kill_at = 0, kill_at
        self.names: list[str] = []

    def step(self, name: str) -> None:
        self.count += 1
        self.names.append(name)
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: type, method: str) -> None:
        """A step before and one after every call of a method."""
        work = getattr(owner, method)

        @wraps(work)
        def stepped(*args: Any, **keywords: Any) -> Any:
            self.step(f"before {method}")
            result = work(*args, **keywords)
            self.step(f"after {method}")
            return result

        setattr(owner, method, stepped)


def run(config: Path, operation: str, kill_at: int, batch: int, out: Path) -> None:
    """Do an operation with batches of so many records; writes the names of its steps to ``out`` if it lives to its end."""
    steps = Steps(kill_at)
    event.listen(Engine, "commit", lambda _: steps.step("before commit"))
    for method in WRITES:
        steps.around(DuckDBTarget, method)
    steps.around(Folder, "publish")
    with Project.load(config) as project:
        small_batches(project, batch)
        OPERATIONS[operation](project)
    out.write_text("\n".join(steps.names), encoding="utf-8")


def small_batches(project: Project, batch: int) -> None:
    """A lower limit on the target's batches: a small corpus then takes several writes."""
    from dataclasses import replace

    owned = project.target("handbook")
    assert isinstance(owned, OwnedTarget)
    target = owned.inner
    assert isinstance(target, DuckDBTarget)
    target._capabilities = replace(target._capabilities, max_batch_records=batch)
