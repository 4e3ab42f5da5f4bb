"""How previews end: taken down by who made them, by whoever has their name, by the reaper, or by an erasure.

Laws
----
1. Whoever made a preview takes it down, and so may anybody who has its name; the reaper takes down what is over its time, or was
   left half taken down, in every environment that the configuration leads to. Neither needs the process that made it, nor waits for
   a dead one.
2. A preview ends in the registry that its row came from. Another environment gives its lake and its targets, and only where its
   registry is the same: else the configuration leads to somebody else's, and the preview is left, and told.
3. What the configuration does not lead to (only the change had that target) is reached by nothing that a change wrote: a row that
   names an address would have the reaper's secrets sent to it. A person puts it back, or gives it up.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from shutil import rmtree
from typing import Any

from vector_pipeline.errors import InputError, NotFoundError, RefusedError, VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.project.gating import Gating
from vector_pipeline.release.preview_ending import UNREACHED, Ending, sweep, take_down
from vector_pipeline.release.registry import PreviewRecord
from vector_pipeline.report.page import REPORTS
from vector_pipeline.targets.base import Target

WAIT_S = 90.0
"""For who writes a preview that is taken down: longer than a lease that nobody renews."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """What a reaper did."""

    ended: tuple[PreviewRecord, ...]
    left: tuple[tuple[PreviewRecord, str], ...]
    """Those that could not be taken down now, and why."""
    swept: tuple[str, ...]
    """Namespaces that a writer had left behind after the end."""


class Ends:
    """The ends of previews of a project's datasets."""

    def __init__(self, project: Gating) -> None:
        self._project = project

    def standing(self, dataset: str | None = None) -> list[PreviewRecord]:
        """Previews that have not ended; none where there is no registry."""
        try:
            registry = self._project.registry(read_only=True)
        except NotFoundError:
            return []
        return registry.previews(dataset, self._project.environment)

    def destroy(self, dataset: str, name: str, *, by: str, reason: str = "") -> PreviewRecord | None:
        """Take a preview down. None where there is none: done already. ``ConflictError`` while somebody writes it still."""
        found = next((one for one in self.standing(dataset) if one.name == name), None)
        if found is None:
            self._project.dataset(
                dataset
            )  # Only of one that nobody knows of is its name a mistake: a change may have had it alone.
            return None
        return self._end(found, by=by, reason=reason or "destroyed", wait_s=WAIT_S)

    def give_up(
        self, dataset: str, name: str, *, by: str, reason: str, environment: str | None = None
    ) -> PreviewRecord | None:
        """Take down what can be reached of a preview, and give up the rest, which its row keeps (``release.preview_ending``).

        ``environment``: of the preview, also one that the configuration has no more (default: this one). None where there is none.
        """
        if not reason.strip():
            raise InputError("a preview is given up for a reason, which its row keeps", fix='Say it: --reason "why"')
        there = self._project.registry().previews(dataset, environment or self._project.environment)
        found = next((one for one in there if one.name == name), None)
        return None if found is None else self._end(found, by=by, reason=reason, wait_s=WAIT_S, give_up=True)

    def matching(self, dataset: str, pattern: str) -> list[PreviewRecord]:
        """Previews whose name matches, as file names do: ``pr-123-*``."""
        there = self.standing(dataset)
        if not there:
            self._project.dataset(dataset)
        return [one for one in there if fnmatchcase(one.name, pattern)]

    def reap(self, *, by: str) -> Reaped:
        """Law 1. What cannot be taken down now is left for the next time, and told. What was begun anew meanwhile lives on."""
        registry = self._project.registry()
        ended, left = [], []
        for one in registry.overdue_previews():
            try:
                reason = one.reason or "its time was over"
                done = self._end(one, by=by, reason=reason, wait_s=0, overdue=True)
            except VectorPipelineError as error:
                left.append((one, str(error)))
                continue
            if not done.lives:
                ended.append(done)
        swept = sweep(self._ending(by, 0), registry.previews(environment=self._project.environment, ended=True))
        return Reaped(tuple(ended), tuple(left), tuple(swept))

    def end_all(self, dataset: str, *, by: str, reason: str) -> list[PreviewRecord]:
        """Take down every preview of a dataset, whatever its environment."""
        found = self._project.registry().previews(dataset)
        return [self._end(one, by=by, reason=reason, wait_s=WAIT_S) for one in found]

    def _end(
        self, preview: PreviewRecord, *, by: str, reason: str, wait_s: float, give_up: bool = False, overdue: bool = False,
    ) -> PreviewRecord:  # fmt: skip
        try:
            with self._reaching(preview) as project:
                ending = self._ending(by, wait_s, project, preview)
                ended = take_down(ending, preview, reason, give_up=give_up, overdue=overdue)
        except RefusedError as error:
            if not give_up or error.code != UNREACHED:
                raise
            nowhere = _nowhere(error)
            ended = take_down(
                Ending(self._project.registry(), nowhere, nowhere, by, wait_s), preview, reason, give_up=True
            )
        if not ended.lives:
            rmtree(self._project.base / REPORTS / preview.held_as, ignore_errors=True)
        return ended

    @contextmanager
    def _reaching(self, preview: PreviewRecord) -> Iterator[Gating]:
        """The project of the environment that a preview is in, for its lake and its targets (law 2).

        ``RefusedError`` (``UNREACHED``) where the configuration does not lead there: the environment is gone, or has a registry of
        its own by now.
        """
        project = self._project
        if preview.environment == project.environment:
            yield project
            return
        if preview.environment not in project.config.environments:
            raise _unreached(preview, f"environment {preview.environment}", "the configuration has it no more")
        with Gating(project.config, project.base, preview.environment) as other:
            try:
                theirs = other.registry(read_only=True).id
            except NotFoundError:
                theirs = ""
            if theirs != project.registry().id:
                raise _unreached(preview, f"environment {preview.environment}", "its registry is another one now")
            yield other

    def _ending(
        self, by: str, wait_s: float, where: Gating | None = None, preview: PreviewRecord | None = None
    ) -> Ending:
        """``where``: the project whose lake and targets hold it (default: this one); rows are this registry's (law 2)."""
        project = where or self._project

        def reach(name: str) -> Target:
            if preview is not None and name not in project.settings.targets:
                raise _unreached(preview, f"target {name}", f"environment {project.environment} has it no more")
            return project.target_named(name)

        def lake() -> Lake | None:
            try:
                project.lake(read_only=True)
            except NotFoundError:
                return None
            return project.lake()

        return Ending(self._project.registry(), lake, reach, by, wait_s)


def _unreached(preview: PreviewRecord, where: str, why: str) -> RefusedError:
    words = f"{preview.origin} --name {preview.name} --in {preview.environment}"
    return RefusedError(
        f"preview {preview.name} of {preview.origin} is in {where}, and {why}",
        fix="Put it back into vector_pipeline.yaml as it was, or give up what stands there: vector-pipeline ci destroy "
        f'{words} --abandon --reason "why"',
        kind=UNREACHED,
    )


def _nowhere(error: RefusedError) -> Callable[..., Any]:
    def reach(*_: object) -> Any:
        raise error

    return reach
