"""The server itself: uvicorn in a thread of this process, one socket for the control plane and one an index.

``PineconeServer`` keeps everything in memory, or durably below ``root``: what was acknowledged is there again after a SIGKILL,
behind the same ports as far as they are free.
"""

import asyncio
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.routing import Route

from vector_pipeline.errors import UnavailableError, VectorPipelineError
from vector_pipeline.testing.pinecone_server.aliases import alias_routes
from vector_pipeline.testing.pinecone_server.app import Service, build_app
from vector_pipeline.testing.pinecone_server.control import control_routes
from vector_pipeline.testing.pinecone_server.data import data_routes
from vector_pipeline.testing.pinecone_server.importing import Importing
from vector_pipeline.testing.pinecone_server.imports import import_routes
from vector_pipeline.testing.pinecone_server.knobs import Knobs
from vector_pipeline.testing.pinecone_server.listening import Listener
from vector_pipeline.testing.pinecone_server.namespaces import namespace_routes
from vector_pipeline.testing.pinecone_server.places import HOST, Places
from vector_pipeline.testing.pinecone_server.store import Store

STOP_S = 5
"""Seconds for requests that are under way when the server stops."""


class PineconeServer:
    """A Pinecone-protocol server on loopback; use it as a context manager, or ``start`` and ``stop`` it.

    ``root``: folder of its state; None: in memory. ``port`` 0: the one that it had before in ``root``, or any. ``knobs`` may be
    changed while it runs.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        port: int = 0,
        api_keys: Sequence[str] = ("pclocal",),
        knobs: Knobs | None = None,
    ) -> None:
        self.knobs = knobs if knobs is not None else Knobs()
        self.api_key = api_keys[0]
        self._root, self._wanted, self._keys = root, port, frozenset(api_keys)
        self._running: _Running | None = None

    @property
    def url(self) -> str:
        """The control plane: ``host:`` of a target, ``host=`` of the SDK."""
        return f"http://{HOST}:{self._run.port}"

    @property
    def running(self) -> bool:
        """It accepts requests."""
        return self._running is not None and self._running.alive

    @property
    def counts(self) -> dict[str, object]:
        """As ``GET /_dev/counts``."""
        return self._run.service.counts.as_dict()

    @property
    def _run(self) -> "_Running":
        if self._running is None:
            raise UnavailableError("the Pinecone-protocol server is not running", fix="call start() first")
        return self._running

    def start(self) -> Self:
        """Return once it accepts requests; ``UnavailableError`` or ``CorruptError`` where port or folder cannot be used."""
        if self._running is None:
            self._running = _Running(self._root, self._wanted, self._keys, self.knobs)
            self._wanted = self._running.port
        return self

    def stop(self) -> None:
        """Answer what is under way, end silent requests, close."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Running:
    """A started server: its thread, its event loop, its sockets."""

    def __init__(self, root: Path | None, port: int, keys: frozenset[str], knobs: Knobs) -> None:
        self._store = Store(root, lag=lambda: knobs.freshness_lag_s)
        self._by_port: dict[int, str] = {}
        try:
            self._places = Places(root)
            control = self._places.control(port)
            sockets = [control, *(self._bound(name) for name in self._store.names())]
        except VectorPipelineError:
            self._store.close()
            raise
        self.port: int = control.getsockname()[1]
        self._importing = Importing(knobs)
        self._served: dict[str, asyncio.Server] = {}
        self.service = Service(
            knobs,
            keys,
            control_routes(self._store, self),
            self._index_routes,
            self._by_port.get,
            lambda scope: self._listener.cut(scope),
            self.port,
        )
        config = uvicorn.Config(
            build_app(self.service),
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=STOP_S,
        )
        self._listener = Listener(config)
        self._ready = threading.Event()
        self._failed: VectorPipelineError | None = None
        self._thread = threading.Thread(target=self._main, args=(sockets, config), name="pinecone-server", daemon=True)
        self._thread.start()
        while not self._ready.wait(0.05):
            if not self._thread.is_alive():
                self._store.close()
                for made in sockets:
                    made.close()
                raise self._failed or UnavailableError("the Pinecone-protocol server ended while it started")

    def _main(self, sockets: list[socket.socket], config: uvicorn.Config) -> None:
        try:
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                runner.run(self._serve(sockets))
        except VectorPipelineError as error:
            self._failed = error  # whoever starts it says it

    async def _serve(self, sockets: list[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        names = self._store.names()
        await asyncio.to_thread(self._resume)
        serving = asyncio.ensure_future(self._listener.serve(sockets=sockets))
        while not self._listener.started and not serving.done():
            await asyncio.sleep(0.001)
        self._served.update(zip(names, self._listener.servers[1:], strict=True))
        self._ready.set()
        await serving

    def _index_routes(self, name: str) -> list[Route]:
        knobs = self.service.knobs
        return [
            *data_routes(self._store, name, knobs),
            *namespace_routes(self._store, name),
            *alias_routes(self._store, name, knobs),
            *import_routes(self._store, name, self._importing),
        ]

    def _resume(self) -> None:
        for name in self._store.names():
            index = self._store.index(name)
            if index is not None:
                self._importing.resume(index)

    def _bound(self, name: str) -> socket.socket:
        made = self._places.index(name)
        self._by_port[made.getsockname()[1]] = name
        return made

    async def open(self, name: str) -> None:
        """Let an index be served."""
        self._served[name] = await self._listener.listen(self._bound(name))

    async def close(self, name: str) -> None:
        """The index is gone: so is its host."""
        listener = self._served.pop(name, None)
        if listener is not None:
            listener.close()
        port = self._places.port(name)
        if port is not None:
            self._by_port.pop(port, None)
        self._places.forget(name)
        await asyncio.to_thread(self._importing.stop, name)
        self.service.forget(name)

    def host(self, name: str) -> str:
        """Where an index is served, with its scheme: the SDK takes one without for https."""
        return f"http://{HOST}:{self._places.port(name)}"

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread, then what writes, then the files."""
        self._loop.call_soon_threadsafe(self.service.stopping.set)
        self._loop.call_soon_threadsafe(self._listener.end)
        self._thread.join()
        self._importing.stop()
        self._store.close()
