"""A wire to PostgreSQL that goes silent: it takes what it is sent and hands on nothing, as a dead load balancer does."""

import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit


class Wire:
    """Listens on a port of its own. ``silent`` may be set and taken back at any time; what was cut meanwhile stays so."""

    def __init__(self, url: str) -> None:
        """``url``: of a server at a Unix socket."""
        found = urlsplit(url)
        self._server = str(Path(parse_qs(found.query)["host"][0]) / ".s.PGSQL.5432")
        self._database = found.path.lstrip("/")
        self.silent = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """The database's URL by way of this wire."""
        port = self._listener.getsockname()[1]
        return f"postgresql://postgres@127.0.0.1:{port}/{self._database}?sslmode=disable&gssencmode=disable"

    def __enter__(self) -> "Wire":
        self._start(threading.Thread(target=self._accept, daemon=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        every = (self._listener, *self._open)
        for one in every:
            _end(one)
        for thread in self._threads:
            thread.join(10)
        for one in every:  # Not before: a descriptor that is closed wakes nobody.
            one.close()

    def _start(self, thread: threading.Thread) -> None:
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open += [client, server]
            self._start(threading.Thread(target=self._carry, args=(client, server), daemon=True))

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        try:
            with selectors.DefaultSelector() as selector:
                for one in other:
                    selector.register(one, selectors.EVENT_READ)
                while True:
                    for key, _ in selector.select():
                        said = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                        if not said:
                            return
                        if not self.silent.is_set():
                            other[key.fileobj].sendall(said)  # type: ignore[index]
        except OSError:
            return
        finally:
            _end(client)
            _end(server)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
