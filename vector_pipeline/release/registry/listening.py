"""Hearing of changes at once: PostgreSQL's LISTEN and NOTIFY, on a thread of its own.

Laws
----
1. What is told is told in the transaction that changes something: nobody hears of a change that was not committed.
2. A listener that was cut off comes back by itself, and says "" then: what was told meanwhile nobody knows, so ask. It is a help,
   never a proof: whoever hears nothing asks all the same, as often as he would without it. One that nobody answers within
   ``_ANSWER_S`` is cut off.
3. No exception of the driver leaves this file. Closing waits for a call of ``hear`` that is under way, and not for a server.
"""

import random
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

CHANNEL = "vp_alias"
_BEAT_S = 20.0
"""So often a quiet connection is tried, to notice one that is dead."""
_ANSWER_S = 10.0
_PAUSE_S = (0.2, 5.0)
"""Between attempts to connect: the first and the longest."""
_ENDING_S = 1.0
"""How long closing waits for the thread itself: one that is still connecting ends by itself."""
_LONGEST = 2_000
"""Characters of what is told: PostgreSQL takes 8,000 bytes."""


def told(dataset: str, environment: str) -> str:
    """What is told when aliases or routes of a dataset change in an environment."""
    return f"{environment} {dataset}"[:_LONGEST]


class Listener:
    """Calls ``hear`` with what is told, and with "" whenever something may have been missed: one call at a time, on a thread."""

    def __init__(self, url: str, hear: Callable[[str], None], options: Mapping[str, Any] | None = None) -> None:
        """``options``: of libpq, beside what the URL says."""
        self._url = url
        self._options = dict(options or {"connect_timeout": 10})
        self._hear = hear
        self._stopped = False
        self._hearing = False
        self._calling = threading.Lock()
        self._wake, self._sleep = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="vector-pipeline-listener", daemon=True)

    @property
    def hearing(self) -> bool:
        """Whether it is connected now, as far as it knows."""
        return self._hearing

    def start(self) -> None:
        """Begin. Returns at once: the first call of ``hear`` says that it is connected."""
        self._thread.start()

    def close(self) -> None:
        """Stop hearing. Nothing is called afterwards, unless it is called from ``hear`` itself."""
        self._stopped = True
        self._wake.close()
        if not self._thread.ident:
            self._sleep.close()
        elif threading.current_thread() is not self._thread:
            with self._calling:
                pass
            self._thread.join(_ENDING_S)

    def _run(self) -> None:
        try:
            self._connected()
        finally:
            self._sleep.close()

    def _connected(self) -> None:
        import psycopg

        pause = _PAUSE_S[0]
        while not self._stopped:
            try:
                connection = psycopg.connect(self._url, autocommit=True, **self._options)
                try:
                    self._answered(connection, f"LISTEN {CHANNEL}")
                    self._hearing, pause = True, _PAUSE_S[0]
                    self._listen(connection)
                finally:
                    self._hearing = False
                    connection.close()
            except (psycopg.Error, OSError, ValueError):
                pass  # The server is away, or restarts: law 2.
            self._rest(None, pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _PAUSE_S[1])

    def _listen(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        heard = [""]
        while not self._stopped:
            # What has come is handed over with an answer: a question also shows whether anybody is there.
            self._answered(connection, "SELECT 1")
            while (note := connection.pgconn.notifies()) is not None:
                heard.append(note.extra.decode())
            # What comes several times is one question.
            for payload in dict.fromkeys(heard):
                with self._calling:
                    if self._stopped:
                        return
                    self._hear(payload)
            heard.clear()
            self._rest(connection.fileno(), _BEAT_S)

    def _answered(self, connection: "psycopg.Connection[tuple[object, ...]]", statement: str) -> None:
        """Ask, and wait for the end of the answer: ``_ANSWER_S`` at most, and not when somebody closes. The driver itself waits for
        ever for a server that is silent.
        """
        wire, until = connection.pgconn, time.monotonic() + _ANSWER_S
        wire.send_query(statement.encode())
        while True:
            unsent = wire.flush()
            if not unsent and not wire.is_busy():
                result = wire.get_result()
                if result is None:
                    return
                if result.error_message:
                    raise OSError("the server refused")
                continue
            if self._stopped or time.monotonic() > until:
                raise TimeoutError
            self._rest(connection.fileno(), until - time.monotonic(), writing=bool(unsent))
            wire.consume_input()

    def _rest(self, descriptor: int | None, seconds: float, *, writing: bool = False) -> None:
        """Until something comes, time is over, or somebody closes."""
        if self._stopped:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self._sleep, selectors.EVENT_READ)
            if descriptor is not None:
                selector.register(descriptor, selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0))
            selector.select(max(0.0, seconds))
