"""A load on a project: readers that keep every answer, and somebody who edits documents and releases them."""

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vector_pipeline.project import Project
from vector_pipeline.serving import Index, open_index
from vector_pipeline.serving.answers import Answer


@dataclass(frozen=True, slots=True)
class Read:
    """One answer that a reader was given."""

    query: str
    answer: Answer


@dataclass
class Readers:
    """Threads that ask one index the same questions in turn. As a context: they read in the block."""

    config: Path
    queries: Sequence[str]
    threads: int = 2
    top_k: int = 5
    pause_s: float = 0.2
    """Between two questions of a thread: on two cores the model that fills wants them too."""
    reads: list[Read] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _running: list[threading.Thread] = field(default_factory=list)
    _seen: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> "Readers":
        self._index = open_index("handbook", project=self.config, max_staleness_s=0.2)
        for number in range(self.threads):
            thread = threading.Thread(target=self._read, args=(self._index, number), name=f"reader {number}")
            self._running.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._running:
            thread.join(60)
        self._index.close()

    def _read(self, index: Index, offset: int) -> None:
        for number in itertools.count(offset):
            if self._stop.is_set():
                return
            query = self.queries[number % len(self.queries)]
            try:
                answer = index.search(query, top_k=self.top_k)
            except BaseException as error:  # noqa: BLE001  a read that failed is what the test looks for
                with self._seen:
                    self.errors.append(error)
                    self._seen.notify_all()
                return
            with self._seen:
                self.reads.append(Read(query, answer))
                self._seen.notify_all()
            self._stop.wait(self.pause_s)

    def wait_for(self, holds: Callable[[Answer], bool], timeout_s: float = 180.0) -> None:
        """Until an answer that is given from now on is such a one."""
        with self._seen:
            begun = len(self.reads)
            found = self._seen.wait_for(
                lambda: bool(self.errors) or any(holds(one.answer) for one in self.reads[begun:]), timeout_s
            )
        assert not self.errors, self.errors
        assert found, "no reader was given such an answer in time"


@dataclass
class Editor:
    """A thread that edits, adds and deletes documents and releases each time, as the chain does. As a context: in the block."""

    config: Path
    change: Callable[[Path, int], None]
    """Makes the n-th change to the folder of documents."""
    releases: list[int] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Editor":
        self._thread = threading.Thread(target=self._edit, name="editor")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(300)
        assert not self.errors, self.errors

    def _edit(self) -> None:
        try:
            for number in itertools.count():
                if self._stop.is_set():
                    return
                self.change(self.config.parent / "documents", number)
                with Project.load(self.config) as project:
                    self.releases.append(release(project))
        except BaseException as error:  # noqa: BLE001  told by whoever waits for this thread
            self.errors.append(error)


def release(project: Project) -> int:
    """What the chain of a dataset does, without Dagster: both spaces, staging, gates, production. Returns the version."""
    project.sync("handbook")
    for space in project.dataset("handbook").spaces:
        covered = project.shards_to_build("handbook", space, None)
        if project.serves("handbook", space):
            project.chunk("handbook", space=space)
            project.embed("handbook", space=space)
        elif covered:
            project.catch_up("handbook", space, covered)
    version = project.snapshot("handbook").version
    project.push("handbook", version=version.number)
    project.verify("handbook", version=version.number)
    project.promote("handbook", version=version.number, by="editor", reason="a change")
    return version.number
