"""The readers behind a service: one for each dataset, and one for each target or space of it that somebody asked for.

Laws
----
1. A reader is opened when it is first asked for, once, and stays open until the service ends. Only names of the configuration open
   one, so that nobody can open many.
2. What cannot be opened is tried again at the next request: a dataset that is promoted later needs no restart.
3. How a dataset is, is asked at most once in ``FRESH_S`` seconds, however many ask, and known in ``PATIENCE_S`` seconds at most.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

from vector_pipeline.config.secrets import SecretTemplate, scrub
from vector_pipeline.errors import NotFoundError, UnavailableError, VectorPipelineError
from vector_pipeline.parts import Parts
from vector_pipeline.service.secrets import secrets_of
from vector_pipeline.serving import AsyncIndex, Health, Metrics, open_async_index

T = TypeVar("T")
Key = tuple[str, str | None, str | None]
"""Dataset, target, space."""
FRESH_S = 1.0
PATIENCE_S = 5.0
CLOSE_S = 5.0
"""How long readers have to end when the service does."""
_log = logging.getLogger(__name__)


class State(StrEnum):
    """How a dataset is."""

    READY = "ready"
    EMPTY = "nothing-promoted"
    UNREADY = "unready"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a dataset was when it was asked."""

    dataset: str
    state: State
    said: str = ""
    """Why it is not ready, in one line."""
    health: Health | None = None
    at: float = field(default_factory=time.monotonic)


class Shared(Generic[T]):
    """Work that several ask for at once is done once. Whoever stops waiting stops it for nobody else."""

    def __init__(self) -> None:
        self._under_way: dict[object, asyncio.Task[T]] = {}

    async def get(self, key: object, work: Callable[[], Coroutine[Any, Any, T]], within_s: float) -> T:
        """``TimeoutError`` when it takes longer; it goes on, and whoever asks next may find it done."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.wait_for(asyncio.shield(task), within_s)

    def _ended(self, key: object, task: "asyncio.Task[T]") -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # Taken, lest the loop complain where nobody waited to the end.


class Readers:
    """Readers of one event loop."""

    def __init__(
        self,
        parts: Parts,
        path: Path,
        datasets: Sequence[str],
        timeout_s: float,
        opened: Callable[..., Awaitable[AsyncIndex]] = open_async_index,
    ) -> None:
        self._parts = parts
        self._path = path
        self._timeout = timeout_s
        self._opened = opened
        self.datasets = tuple(datasets)
        self._open: dict[Key, AsyncIndex] = {}
        self._opening = Shared[AsyncIndex]()
        self._standings: dict[str, Standing] = {}
        self._examining = Shared[Standing]()
        self._secrets: tuple[SecretTemplate, ...] = secrets_of(parts.config)
        self._closed = False
        self.stuck = False
        """Something of a reader did not end when the service did."""

    async def reader(self, dataset: str, target: str | None = None, space: str | None = None) -> AsyncIndex:
        """The reader of a dataset; ``target`` and ``space`` as for ``open_index``. Errors are those of ``open_index``, and
        ``UnavailableError`` (``timeout``) when it takes too long.
        """
        self._check(dataset, target, space)
        key = dataset, target, space
        found = self._open.get(key)
        if found is not None:
            return found
        try:
            return await self._opening.get(key, lambda: self._make(key), self._timeout)
        except TimeoutError:
            raise UnavailableError(
                f"{dataset} was not opened within {self._timeout:g} s: the registry does not answer",
                fix="Try again",
                kind="timeout",
            ) from None

    async def standings(self) -> list[Standing]:
        """How every dataset is now."""
        return list(await asyncio.gather(*map(self._standing, self.datasets)))

    def known(self) -> list[Standing]:
        """How every dataset was when it was last asked. Asks nobody."""
        return list(self._standings.values())

    def metrics(self) -> list[tuple[str, Metrics]]:
        """What every open reader counted, with its dataset."""
        return [(key[0], reader.metrics()) for key, reader in self._open.items()]

    def clean(self, text: str) -> str:
        """A message without the configuration's secrets."""
        return scrub(text, *self._secrets)

    async def begin(self, *, warm: bool = False) -> None:
        """Open what can be opened, and load the models of what is live if that is wanted. What cannot is told, and no error."""
        for one in await self.standings():
            served = one.health
            if served is None or served.version is None:
                _log.warning("%s: %s", one.dataset, one.said)
                continue
            _log.info("%s: v%d in space %s, %s", one.dataset, served.version, served.space, one.said or one.state)
            if warm:
                await self._warm(one.dataset, served.space)

    async def close(self) -> None:
        """End every reader, within ``CLOSE_S`` seconds; what has not ended then is ``stuck``."""
        self._closed = True
        ending = [asyncio.create_task(reader.close()) for reader in self._open.values()]
        if ending:
            _, left = await asyncio.wait(ending, timeout=CLOSE_S)
            self.stuck = bool(left)

    def _check(self, dataset: str, target: str | None, space: str | None) -> None:
        """Law 1."""
        known: list[tuple[str, str | None, Sequence[str]]] = [("dataset", dataset, self.datasets)]
        if dataset in self.datasets:
            known.append(("target", target, tuple(self._parts.settings.targets)))
            known.append(("space", space, tuple(self._parts.dataset(dataset).spaces)))
        for what, name, names in known:
            if name is not None and name not in names:
                raise NotFoundError(f"no {what} {name!r} is served here", fix=f"There is: {', '.join(names)}")

    async def _make(self, key: Key) -> AsyncIndex:
        dataset, target, space = key
        reader = await self._opened(
            dataset, project=self._path, environment=self._parts.environment, target=target, space=space,
            timeout_s=self._timeout,
        )  # fmt: skip
        if self._closed:
            await reader.close()
            raise UnavailableError("the service is ending", fix="Ask another one")
        self._open[key] = reader
        return reader

    async def _standing(self, dataset: str) -> Standing:
        """Law 3."""
        last = self._standings.get(dataset)
        if last is not None and time.monotonic() - last.at < FRESH_S:
            return last
        try:
            return await self._examining.get(dataset, lambda: self._examine(dataset), PATIENCE_S)
        except TimeoutError:
            found = Standing(dataset, State.UNREADY, f"no answer within {PATIENCE_S:g} s")
            self._standings[dataset] = found
            return found

    async def _examine(self, dataset: str) -> Standing:
        try:
            health = await (await self.reader(dataset)).health()
        except NotFoundError as error:
            found = Standing(dataset, State.EMPTY, self.clean(str(error)))
        except VectorPipelineError as error:
            found = Standing(dataset, State.UNREADY, self.clean(str(error)))
        else:
            parts = (health.registry, health.target, health.embedder)
            said = self.clean("; ".join(part.said for part in parts if not part.ok))
            found = Standing(dataset, State.READY if health.ok else State.UNREADY, said, health)
        self._standings[dataset] = found
        return found

    async def _warm(self, dataset: str, space: str | None) -> None:
        try:
            await asyncio.to_thread(lambda: self._parts.embedder(dataset, space).embed_queries(["warm"]))
        except VectorPipelineError as error:
            _log.warning("%s: its model cannot be loaded: %s", dataset, self.clean(str(error)))
