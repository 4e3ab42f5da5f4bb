"""What runs in a process of its own, and is killed there: a preview made, or taken down, up to a step."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vector_pipeline.project import Project
from vector_pipeline.project.preview_inside import Inside
from vector_pipeline.project.previewing import Previews
from vector_pipeline.release.preview_ending import Ending

DATASET, NAME = "handbook", "pr-9-dead000"
MAKING = ("sync", "chunk", "take_over", "embed", "snapshot", "push")
"""Steps of a preview's making: killed before and after each."""
ENDING = ("ending", "dropped namespace", "dropped tables")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def make(config: Path, step: str, *, after: bool) -> None:
    """Make a preview, and be killed before or after one of its steps."""
    whole: Callable[..., Any] = getattr(Inside, step)

    def killed(*given: Any, **named: Any) -> Any:
        if not after:
            _die()
        whole(*given, **named)
        _die()

    setattr(Inside, step, killed)
    with Project.load(config) as project:
        Previews(project).create(DATASET, NAME, by="job")


def make_within(config: Path, writes: int) -> None:
    """Make a preview, and be killed at the target's ``writes``-th write."""
    from vector_pipeline.release.journalling import Journalled

    whole, count = Journalled.write, 0

    def killed(self: Journalled, *given: Any, **named: Any) -> Any:
        nonlocal count
        found = whole(self, *given, **named)
        count += 1
        if count == writes:
            _die()
        return found

    Journalled.write = killed  # type: ignore[method-assign]
    with Project.load(config) as project:
        Previews(project).create(DATASET, NAME, by="job")


def end(config: Path, step: str) -> None:
    """Take a preview down, and be killed after a step."""
    whole = Previews._ending

    def heard(self: Previews, *given: Any) -> Ending:
        return replace(whole(self, *given), on_step=lambda name: _die() if name == step else None)

    Previews._ending = heard  # type: ignore[method-assign, assignment]
    with Project.load(config) as project:
        Previews(project).destroy(DATASET, NAME, by="job")
