"""The reader: resolve the alias, embed with the space of the version that it points to, search that version alone.

Laws
----
1. One query sees one version in one space: alias, namespace, version and space are read together, once per query, and a
   query that has begun keeps them to its end, whatever moves meanwhile.
2. A cutover is followed without restart, at most ``max_staleness_s`` seconds late while the registry answers. While it does not,
   the last known alias is served for a while: see ``following``. Where the version's place does not answer, another version may:
   see ``asking``.
3. A query is never embedded with another embedder, dimension or metric than those of the version it searches: such a query is
   refused. The chunker may have changed since.
4. Reading writes nothing. What was deployed is read where it was deployed, whatever target the dataset is pushed to today.
5. Closing takes ``CLOSE_S`` seconds at most: what has begun ends until then, or whoever waits for it is told that the index is
   closed. Nothing is asked or opened afterwards.
"""

import time
from concurrent.futures import Future
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import Self, overload

from vector_pipeline.bridge.crossing import Crossings
from vector_pipeline.errors import InputError, UnavailableError
from vector_pipeline.parts import Parts
from vector_pipeline.serving.answers import Answer, Health, Hit
from vector_pipeline.serving.asking import Asker
from vector_pipeline.serving.calls import Call
from vector_pipeline.serving.embedding import Embeddings
from vector_pipeline.serving.examining import Looks, examine
from vector_pipeline.serving.following import Follower
from vector_pipeline.serving.metering import Metrics
from vector_pipeline.serving.questions import count_of, filter_of, key_of, texts_of
from vector_pipeline.serving.resolving import Followed
from vector_pipeline.serving.threads import Threads, closed
from vector_pipeline.targets.base import Filter

THREADS = 64
"""Calls with a time limit that run at once; what comes then waits, within its time. Those that are out of it do not count."""
CLOSE_S = 4.0
"""How long closing waits for what has begun."""


def open_index(
    dataset: str,
    *,
    project: Path | str | None = None,
    environment: str | None = None,
    alias: str = "production",
    target: str | None = None,
    max_staleness_s: float = 1.0,
    timeout_s: float | None = 30.0,
    retries: int = 2,
    route: bool = True,
    fallback: bool = True,
    space: str | None = None,
) -> "Index":
    """A reader of a dataset's live version.

    Args:
        dataset: its name in the configuration.
        project: the configuration file or its folder; default: ``$VECTOR_PIPELINE_CONFIG``, or the nearest one above the
            current folder.
        environment: default: ``$VECTOR_PIPELINE_ENV``, or the configuration's first.
        alias: ``production``, or ``staging`` to look at what was pushed last.
        target: one of several targets that serve the dataset; default: the first one, whichever that is.
        max_staleness_s: a cutover is noticed at most this late, in seconds; 0 asks the registry at every query.
        timeout_s: of a whole query, in seconds; None: as long as its parts take.
        retries: how often an embedder or target that does not answer is asked again within that time.
        route: this reader takes part where a share of production's readers gets another version.
        fallback: the version that production served before answers while the index of the present one does not.
        space: embed queries with this space's model although another space may be live: through a bridge that is on, or not at
            all. Default: with the model of whatever is live.

    Raises:
        ConfigError: the configuration is missing or wrong.
        InputError: a time or a number of retries that is none.
        NotFoundError: no such dataset, or nothing of it was promoted yet, or not on that target.
    """
    path = Path(project) if project is not None else None
    if path is not None and path.is_dir():
        path = path / "vector_pipeline.yaml"
    parts = Parts.load(path, environment=environment)
    index = Index(
        parts, dataset, alias, max_staleness_s, target, timeout_s=timeout_s, retries=retries, route=route,
        fallback=fallback, space=space,
    )  # fmt: skip
    try:
        index.refresh()
        index.listen()
    except BaseException:
        index.close()
        raise
    return index


class Index:
    """A reader. Threads may share it. Use it as a context manager, or ``close`` it."""

    def __init__(
        self,
        parts: Parts,
        dataset: str,
        alias: str,
        max_staleness_s: float,
        target: str | None = None,
        *,
        timeout_s: float | None = None,
        retries: int = 0,
        route: bool = False,
        fallback: bool = False,
        space: str | None = None,
    ) -> None:
        parts.dataset(dataset)
        if timeout_s is not None and not 0 < timeout_s <= TIMEOUT_MAX:
            raise InputError(
                f"timeout_s is {timeout_s:g}", fix=f"Give seconds above 0, {TIMEOUT_MAX:.0f} at most, or None"
            )
        if not 0 <= max_staleness_s < float("inf"):
            raise InputError(
                f"max_staleness_s is {max_staleness_s:g}", fix="Give seconds: 0 or more, and a finite number"
            )
        if retries < 0:
            raise InputError(f"retries is {retries}", fix="Give 0 or more")
        self._parts = parts
        self._timeout = timeout_s
        self._follower = Follower(Followed(parts, dataset, alias, target, route, fallback), max_staleness_s)
        crossings = Crossings(parts, dataset, space, max_staleness_s) if space is not None else None
        self._embeddings = Embeddings(parts, crossings)
        self._asker = Asker(parts, self._follower, alias, self._embeddings, retries)
        self._threads = Threads(THREADS, "reader")
        self._looks = Looks()
        self._calls: set[Call] = set()
        """Those that were begun and have not ended."""
        self._closed = False

    @overload
    def query(
        self, text: str, *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> list[Hit]: ...

    @overload
    def query(
        self, text: list[str], *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> list[list[Hit]]: ...

    def query(
        self, text: str | list[str], *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> list[Hit] | list[list[Hit]]:
        """The nearest chunks of the live version, best first; for a list of texts, one list each.

        ``filter`` is applied before the nearest are taken: ``{"folder": "guides", "year": {"$gte": 2024}}``. ``key``: of a user or
        a session, who shall get one version throughout while a route is in force.

        Raises:
            InputError: an empty query, a ``top_k`` out of bounds, a filter that is none or too wide, text that is no Unicode.
            NotFoundError: nothing is promoted.
            RefusedError: this machine's embedder is not the live one, or the configuration has lost the live target.
            UnavailableError: registry or target do not answer; time is over (``timeout``); the index is closed (``closed``).
        """
        answers = self._answers(text, top_k, filter, key)
        return answers[0].hits if isinstance(text, str) else [one.hits for one in answers]

    def search(self, text: str, *, top_k: int = 5, filter: Filter | None = None, key: str | None = None) -> Answer:
        """The nearest chunks to one text, and where they come from. Arguments and errors are those of ``query``."""
        if not isinstance(text, str):
            raise InputError(f"search takes one text, not {type(text).__name__}", fix="Ask several with query")
        return self._answers(text, top_k, filter, key)[0]

    def begin(
        self, texts: str | list[str], *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> "tuple[Call, Future[list[Answer]]]":
        """Begin a call on a thread, for who waits in his own way; who stops waiting says so: ``give_up``, or ``cancel``."""
        call = self._call(texts, top_k, filter, key)
        self._calls.add(call)
        try:
            future = self._threads.submit(lambda: self._asker.answers(call))
        except UnavailableError as error:
            self._calls.discard(call)
            if error.code != "closed":
                self._asker.give_up(call)  # It counts.
            raise
        future.add_done_callback(lambda _: self._calls.discard(call))
        return call, future

    def give_up(self, call: Call, future: "Future[list[Answer]]") -> UnavailableError:
        """Nobody waits for a call any more: its time is over. The error to raise."""
        # Counted before its turn is given on: who gets it need not ask again what hangs.
        self._asker.give_up(call)
        begun = self._threads.leave(future)
        where = call.served.deployment.target if call.served is not None else "the alias"
        what = f"it is where {where} is asked" if begun else "no thread was free for it"
        return UnavailableError(
            f"the query was not answered within {self._timeout:g} s: {what}",
            fix="Try again, or allow more with timeout_s",
            kind="timeout",
        )

    @property
    def timeout_s(self) -> float | None:
        """Of a whole query, in seconds."""
        return self._timeout

    def cancel(self, call: Call, future: "Future[list[Answer]]") -> None:
        """Nobody waits for a call any more: whoever asked went away. It counts for nothing."""
        self._asker.cancel(call)
        self._threads.leave(future)

    def _answers(self, texts: str | list[str], top_k: int, filter: Filter | None, key: str | None) -> list[Answer]:
        if self._timeout is None:
            call = self._call(texts, top_k, filter, key)
            self._calls.add(call)
            try:
                return self._threads.here(lambda: self._asker.answers(call))
            finally:
                self._calls.discard(call)
        call, future = self.begin(texts, top_k=top_k, filter=filter, key=key)
        try:
            return future.result(self._timeout)
        except TimeoutError:
            raise self.give_up(call, future) from None
        except BaseException:
            if not future.done():  # Whoever waited was interrupted.
                self.cancel(call, future)
            raise

    def _call(self, texts: str | list[str], top_k: int, filter: Filter | None, key: str | None) -> Call:
        self._require_open()
        until = None if self._timeout is None else time.perf_counter() + self._timeout
        return Call(texts_of(texts), count_of(top_k), filter_of(filter), key_of(key), until)

    def _require_open(self) -> None:
        """Law 5."""
        if self._closed:
            raise closed()

    def health(self) -> Health:
        """Ask every part that a query needs, for a few seconds at most; loads no model. Raises nothing for what does not answer."""
        self._require_open()
        return examine(self._parts, self._follower, self._asker, self._embeddings, self._looks)

    def metrics(self) -> Metrics:
        """What was counted since the index was opened; asks nobody, and may be read of a closed one."""
        return self._asker.meter.read()

    @property
    def version(self) -> int:
        """Version that the next query searches."""
        return self._asker.served(self._follower.current()).version.number

    def refresh(self) -> int:
        """Ask the registry now where the alias points; returns the version."""
        return self._follower.refresh().version.number

    def reach(self) -> None:
        """Ask whether the target of the next query answers, and load no model for it. ``UnavailableError`` where it does not."""
        deployment = self._asker.served(self._follower.current()).served.deployment
        self._parts.target_named(deployment.target, read_only=True).describe(deployment.namespace)

    def listen(self) -> None:
        """Hear of moves at once, where the registry tells of them: PostgreSQL. ``open_index`` does it."""
        self._require_open()
        self._follower.listen()

    def close(self) -> None:
        """Release connections, once what has begun has ended, or ``CLOSE_S`` seconds later. Every call afterwards, and whoever
        waits still, gets ``UnavailableError`` (``closed``). Closing twice is no error.
        """
        if self._closed:
            return
        self._closed = True
        until, calls = time.monotonic() + CLOSE_S, list(self._calls)
        self._threads.close(CLOSE_S)
        for call in calls:
            call.leave()  # Those that have ended it does not touch any more.
        self._asker.close(until - time.monotonic())
        self._looks.close(until - time.monotonic())
        self._follower.close(until - time.monotonic())
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
