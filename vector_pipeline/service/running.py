"""Running the service in this process until it is told to end.

Laws
----
1. SIGTERM makes it unready at once, and goes on answering for ``drain_s`` seconds, until nobody sends anything more here. Then, and
   at Ctrl-C or a second SIGTERM at once, it accepts nothing more; what is in flight is answered, within the time that it has; then
   the readers are closed, and the process ends. A second Ctrl-C ends it without waiting.
2. It ends although a target never answers: what hangs then is left hanging.
3. What it logs holds no secret and no text of a query: every line is scrubbed, and of an unexpected exception, whose message may
   hold anything, only its kind and place are told.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from vector_pipeline.errors import UnavailableError
from vector_pipeline.service.limits import Limits
from vector_pipeline.service.readers import Readers

GRACE_S = 20
"""Seconds that requests in flight have at most when the service ends: what watches processes commonly kills after thirty."""
DRAIN_S = 2.0
"""Seconds between being unready and accepting nothing more, unless it is said otherwise."""
_BLOCKING = 32
"""Threads that readers are opened and examined on: enough that what hangs stops nobody else."""
_PAUSE_S = 0.5
"""That threads of closed readers have to end."""
_FRAMES = 12
"""Of a traceback, that are logged: the innermost."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 is any that is free. ``UnavailableError`` where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        said = error.strerror or str(error)
        raise UnavailableError(f"cannot listen on {host} port {port}: {said}", fix="Try another --port") from None


def address(bound: socket.socket) -> str:
    """Of a service on a socket, for clients on this machine."""
    host, port = bound.getsockname()[:2]
    named = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{named}]:{port}" if ":" in named else f"http://{named}:{port}"


def serve(
    app: FastAPI,
    readers: Readers,
    bound: socket.socket,
    *,
    limits: Limits,
    ready: Callable[[], None],
    drain_s: float = DRAIN_S,
) -> signal.Signals | None:
    """Serve until a signal ends it; returns which. ``ready`` is called once requests are accepted; ``drain_s``: see law 1."""
    _log_to_stderr(readers.clean)
    config = uvicorn.Config(
        app, lifespan="on", ws="none", access_log=False, log_config=None, server_header=False, proxy_headers=False,
        timeout_keep_alive=75, timeout_graceful_shutdown=min(GRACE_S, int(limits.timeout_s) + 1),
    )  # fmt: skip
    server = Server(config, ready, readers, drain_s)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.get_loop().set_default_executor(ThreadPoolExecutor(_BLOCKING, thread_name_prefix="vector-pipeline"))
        runner.run(server.serve(sockets=[bound]))
        if readers.stuck or server.force_exit or _hanging():
            logging.getLogger(__name__).warning("ended although a query may still be waiting for its target")
            _leave(server.ended_by)
    return server.ended_by


class Server(uvicorn.Server):
    """uvicorn that says when it accepts, and leaves to its caller what a signal means for the process."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], readers: Readers, drain_s: float) -> None:
        super().__init__(config)
        self._ready = ready
        self._readers = readers
        self._drain = drain_s
        self._until: float | None = None
        """When it accepts nothing more (monotonic seconds)."""
        self.ended_by: signal.Signals | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Law 1."""
        self._readers.ending = True
        if sig == signal.SIGTERM and self._drain > 0 and not self.should_exit and self._until is None:
            self._captured_signals.append(sig)
            self._until = time.monotonic() + self._drain
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._until is not None and time.monotonic() >= self._until:
            self.should_exit = True
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, which raises the signals again at the end: the process would not end by itself."""
        before = {one: signal.signal(one, self.handle_exit) for one in _SIGNALS}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
            if self._captured_signals:
                self.ended_by = signal.Signals(self._captured_signals[0])


class _Scrubbed(logging.Formatter):
    """Law 3."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "asyncio":  # It shows exceptions that nobody took, with what they say.
            record.msg, record.args = record.getMessage().partition("\n")[0], None
        return self._clean(super().format(record))

    def formatException(self, ei: Any) -> str:
        kind, _, trace = ei
        return "".join([*traceback.format_tb(trace)[-_FRAMES:], getattr(kind, "__name__", "?")])


def _log_to_stderr(clean: Callable[[str], str]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Scrubbed(clean))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("vector_pipeline.service").setLevel(logging.INFO)


def _hanging() -> bool:
    """Whether a query still runs on a thread of a reader: one that is closed waits for none of them for ever."""
    until = time.monotonic() + _PAUSE_S
    for one in threading.enumerate():
        if one.name.startswith("vector-pipeline-") and not one.daemon:
            one.join(max(0.0, until - time.monotonic()))
            if one.is_alive():
                return True
    return False


def _leave(ended_by: signal.Signals | None) -> None:
    """Law 2: an interpreter that ends by itself waits for all its threads."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(128 + ended_by if ended_by == signal.SIGINT else 0)
