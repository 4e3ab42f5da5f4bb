"""A job is killed while it makes a preview, or takes one down: the reaper leaves nothing of it, and production is what it was."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from tests.ci import work
from tests.ci.conftest import DATASET, traces
from tests.ci.test_previews import everything
from tests.process.test_kill import forkserver  # noqa: F401  (a fixture)
from tests.survived import survived
from vector_pipeline.project import Project
from vector_pipeline.project.previewing import Previews

Context = multiprocessing.context.ForkServerContext
KILLED = -9


@pytest.fixture
def context(forkserver: Context) -> Context:  # noqa: F811
    """Processes that start with everything imported."""
    forkserver.set_forkserver_preload(["tests.process.work", "tests.ci.work"])
    return forkserver


def run(context: Context, target: Any, *given: Any, **named: Any) -> None:
    process = context.Process(target=target, args=given, kwargs=named)
    process.start()
    process.join(180)
    assert process.exitcode == KILLED
    survived("kills of a preview's job", 1)


def reaped(project: Project) -> None:
    """Over its time, it is taken down: nothing is left of it, anywhere."""
    previews = Previews(project)
    found = previews.find(DATASET, work.NAME)
    if found.lives:
        # As if its time were over: its end needs nobody's clock.
        project.registry().end_preview(found.id, found.held_as, by="clock", reason="its time was over")
    done = previews.reap(by="reaper")
    assert [one.name for one in done.ended] == [work.NAME]
    assert done.left == ()
    assert traces(project, found.held_as) == {}
    assert previews.standing() == []
    assert previews.reap(by="reaper").ended == ()


def config_of(project: Project) -> Path:
    return project.base / "vector_pipeline.yaml"


def test_killed_between_two_writes_to_the_target(context: Context, released: Project) -> None:
    before = everything(released)
    run(context, work.make_within, config_of(released), 2)
    assert traces(released, Previews(released).find(DATASET, work.NAME).held_as)
    reaped(released)
    assert everything(released) == before


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", work.MAKING)
def test_killed_while_it_is_made(context: Context, released: Project, step: str, after: bool) -> None:
    before = everything(released)
    run(context, work.make, config_of(released), step, after=after)
    reaped(released)
    assert everything(released) == before


@pytest.mark.slow
@pytest.mark.parametrize("step", work.ENDING)
def test_killed_while_it_is_taken_down(context: Context, released: Project, step: str) -> None:
    before = everything(released)
    Previews(released).create(DATASET, work.NAME, by="job")
    run(context, work.end, config_of(released), step)
    reaped(released)
    assert everything(released) == before


@pytest.mark.slow
def test_killed_and_made_again_it_goes_on(context: Context, released: Project) -> None:
    run(context, work.make, config_of(released), "embed", after=True)
    previews = Previews(released)
    held_as = previews.find(DATASET, work.NAME).held_as
    made = previews.create(DATASET, work.NAME, by="job")
    assert made.preview.held_as == held_as
    assert made.texts.embed == 0
    _, results = previews.verify(DATASET, work.NAME)
    assert not [one.name for one in results if one.blocks]
    previews.destroy(DATASET, work.NAME, by="job")
    assert traces(released, held_as) == {}
