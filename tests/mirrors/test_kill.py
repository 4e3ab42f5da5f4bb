"""SIGKILL between two targets, and between the pushes and the move: nobody ever serves another version than the others, and doing
it again ends as if nothing had happened.
"""

import shutil
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.mirrors import killed
from tests.mirrors.conftest import World
from tests.process.test_kill import forkserver
from tests.survived import survived
from vector_pipeline.project import Project

__all__ = ["forkserver"]
STRIDE = {"push": 3}
"""A push has many steps, and most of them are those of one target: every third of them is tried."""


def prepare(world: World, operation: str) -> Path:
    """A project just before the operation: version 1 is live, version 2 is built and, where it must be, pushed and verified."""
    world.release()
    world.build()
    if operation != "push":
        world.project.push("handbook")
        world.verify()
    if operation == "roll back":
        world.project.promote("handbook", by="test")
    world.project.close()
    return world.config


def state(config: Path) -> dict[str, object]:
    """Aliases, what every place holds of what they name, and who is out of service."""
    with Project.load(config) as project:
        aliases = project.registry().aliases("handbook")
        held = {}
        for alias in aliases:
            one = alias.deployment
            target = project.target_named(one.target, read_only=True)
            marks = [row for batch in target.scan(one.namespace) for row in batch.to_pylist()]
            held[alias.name] = (
                one.target,
                sorted(row["id"] for row in marks if row["added_in"] <= one.version < row["removed_in"]),
            )
        return {
            "versions": {alias.name: alias.deployment.version for alias in aliases},
            "held": held,
            "out": sorted(project.withdrawn("handbook")),
        }


def together(found: dict[str, object]) -> bool:
    """Every rank has one version, on whatever places it is."""
    versions: dict[str, set[int]] = {}
    for name, version in found["versions"].items():  # type: ignore[attr-defined]
        versions.setdefault(name.partition("@")[0], set()).add(version)
    return all(len(ones) == 1 for ones in versions.values())


def run(context: ForkServerContext, config: Path, operation: str, kill_at: int, out: Path) -> int | None:
    process = context.Process(target=killed.run, args=(config, operation, kill_at, out))
    process.start()
    process.join(120)
    return process.exitcode


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("operation", killed.OPERATIONS)
def test_a_kill_at_any_step_leaves_the_places_together(
    tmp_path: Path,
    forkserver: ForkServerContext,
    make_world: Callable[..., World],
    operation: str,
) -> None:
    origin = prepare(make_world("local", "other"), operation)
    before, out = state(origin), tmp_path / "steps.txt"

    def copy(name: str) -> Path:
        shutil.copytree(origin.parent, tmp_path / name)
        return tmp_path / name / origin.name

    calm = copy("calm")
    assert run(forkserver, calm, operation, 0, out) == 0
    after, names = state(calm), out.read_text(encoding="utf-8").splitlines()
    assert together(after)
    assert after != before
    died = 0
    for kill_at in range(1, len(names) + 1, STRIDE.get(operation, 1)):
        hit = copy("hit")
        where = f"{operation}: step {kill_at} of {len(names)} ({names[kill_at - 1]})"
        assert run(forkserver, hit, operation, kill_at, out) == -signal.SIGKILL, where
        died += 1
        # All names and who is out of service change in one transaction.
        now = state(hit)
        assert (now["versions"], now["out"]) in ((one["versions"], one["out"]) for one in (before, after)), where
        if operation == "roll back" and now["versions"] == after["versions"]:
            shutil.rmtree(hit.parent)
            continue  # It is done, and a second rollback goes further.
        assert run(forkserver, hit, operation, 0, out) == 0, where
        assert state(hit) == after, where
        shutil.rmtree(hit.parent)
    survived(f"SIGKILLs with mirrors: {operation}", died)
