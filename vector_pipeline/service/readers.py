"""The readers behind a service, and how each dataset is.

Laws
----
1. Only names of the configuration open a reader, and no more than ``pool`` allows: nobody can make a service open many.
2. What cannot be opened is tried again at the next request: a dataset that is promoted later needs no restart.
3. Who asks for a name that is not served here is wrong (``NotFoundError``). That nothing is promoted of what is served, or that
   its index is lost, is no mistake of who asks: ``UnavailableError``.
4. How a dataset is, is asked at most once in ``FRESH_S`` seconds, however many ask, and known in ``PATIENCE_S`` seconds at most. It
   is ready where the next query would be answered.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from vector_pipeline.config.secrets import SecretTemplate, scrub
from vector_pipeline.errors import NotFoundError, UnavailableError, VectorPipelineError
from vector_pipeline.parts import Parts
from vector_pipeline.service.limits import Limits
from vector_pipeline.service.pool import Key, Pool, Shared
from vector_pipeline.service.secrets import secrets_of
from vector_pipeline.serving import AsyncIndex, Health, Metrics, open_async_index

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


class Readers:
    """Readers of one event loop."""

    def __init__(
        self,
        parts: Parts,
        path: Path,
        datasets: Sequence[str],
        limits: Limits,
        opened: Callable[..., Awaitable[AsyncIndex]] = open_async_index,
    ) -> None:
        self._parts = parts
        self._path = path
        self._timeout = limits.timeout_s
        self._opened = opened
        self.datasets = tuple(datasets)
        self._pool = Pool(self._make, limits.max_readers)
        self._standings: dict[str, Standing] = {}
        self._examining = Shared[Standing]()
        self._secrets: tuple[SecretTemplate, ...] = secrets_of(parts.config)
        self.ending = False
        """The service answers what comes, and nothing more shall be sent to it."""
        self.hidden: tuple[str, ...] = ()
        """What no message says beside the configuration's secrets: the token of this service."""
        self.stuck = False
        """Something of a reader did not end when the service did."""

    @asynccontextmanager
    async def reader(
        self, dataset: str, target: str | None = None, space: str | None = None
    ) -> AsyncIterator[AsyncIndex]:
        """The reader of a dataset, for as long as somebody is answered by it; ``target`` and ``space`` as for ``open_index``.

        ``NotFoundError`` by law 3; ``UnavailableError`` where it cannot be opened or does not answer, or (``timeout``) takes too
        long; other errors are those of the reader.
        """
        self._check(dataset, target, space)
        try:
            async with self._lent((dataset, target, space)) as found:
                yield found
        except NotFoundError as error:
            raise UnavailableError(error.what, fix=error.fix) from error

    async def standings(self) -> list[Standing]:
        """How every dataset is now."""
        return list(await asyncio.gather(*map(self._standing, self.datasets)))

    def known(self) -> list[Standing]:
        """How every dataset was when it was last asked. Asks nobody."""
        return list(self._standings.values())

    def metrics(self) -> list[tuple[str, Metrics]]:
        """What readers counted, with their dataset."""
        return self._pool.metrics()

    def clean(self, text: str) -> str:
        """A message without secrets."""
        for one in self.hidden:
            # A short one occurs inside other words: only where it stands alone is it the secret.
            text = re.sub(rf"(?<!\w){re.escape(one)}(?!\w)", "…", text)
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
        self.ending = True
        self.stuck = not await self._pool.close(CLOSE_S)

    def _check(self, dataset: str, target: str | None, space: str | None) -> None:
        """Law 1."""
        known: list[tuple[str, str | None, Sequence[str]]] = [("dataset", dataset, self.datasets)]
        if dataset in self.datasets:
            known.append(("target", target, tuple(self._parts.settings.targets)))
            known.append(("space", space, tuple(self._parts.dataset(dataset).spaces)))
        for what, name, names in known:
            if name is not None and name not in names:
                raise NotFoundError(f"no {what} {name!r} is served here", fix=f"There is: {', '.join(names)}")

    @asynccontextmanager
    async def _lent(self, key: Key) -> AsyncIterator[AsyncIndex]:
        lent = self._pool.lent(key, self._timeout)
        try:
            found = await lent.__aenter__()
        except TimeoutError:
            raise UnavailableError(
                f"{key[0]} was not opened within {self._timeout:g} s: the registry does not answer", fix="Try again",
                kind="timeout",
            ) from None  # fmt: skip
        try:
            yield found
        finally:
            await lent.__aexit__(None, None, None)

    async def _make(self, key: Key) -> AsyncIndex:
        dataset, target, space = key
        return await self._opened(
            dataset, project=self._path, environment=self._parts.environment, target=target, space=space,
            timeout_s=self._timeout,
        )  # fmt: skip

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
            async with self._lent((dataset, None, None)) as reader:
                health = await reader.health()
        except NotFoundError as error:
            found = Standing(dataset, State.EMPTY, self.clean(str(error)))
        except VectorPipelineError as error:
            found = Standing(dataset, State.UNREADY, self.clean(str(error)))
        else:
            found = self._found(dataset, health)
        self._standings[dataset] = found
        return found

    def _found(self, dataset: str, health: Health) -> Standing:
        said = "; ".join(part.said for part in (health.registry, health.target, health.embedder) if not part.ok)
        return Standing(dataset, State.READY if health.ok else State.UNREADY, self.clean(said), health)

    async def _warm(self, dataset: str, space: str | None) -> None:
        try:
            await asyncio.to_thread(lambda: self._parts.embedder(dataset, space).embed_queries(["warm"]))
        except VectorPipelineError as error:
            _log.warning("%s: its model cannot be loaded: %s", dataset, self.clean(str(error)))
