"""A wire between client and PostgreSQL that is cut where a test wants it."""

import select
import socket
import threading
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from types import TracebackType

_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class Cut(StrEnum):
    """When the connection is lost; once, then the wire is whole again."""

    NEVER = "never"
    BEFORE_COMMIT = "the server never hears of COMMIT"
    AFTER_COMMIT = "the server commits, and nobody hears of it"
    IN_COPY = "in the middle of a batch"


class Proxy:
    """Listens on a port of its own and speaks for the server at a Unix socket."""

    def __init__(self, server: Path) -> None:
        self.cut = Cut.NEVER
        self.cuts = 0
        self.said: list[bytes] = []
        """What clients said, as it came."""
        self._server = str(server / ".s.PGSQL.5432")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def url(self, database: str) -> str:
        """The database's URL by way of this wire."""
        name = database.partition("?")[0].rpartition("/")[2]
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}?sslmode=disable&gssencmode=disable"

    def __enter__(self) -> "Proxy":
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._listener, *self._open):
            _end(one)
        for thread in self._threads:
            thread.join(10)

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
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
            self._start(self._carry, client, server)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if server in ready:
                    answer = server.recv(1 << 16)
                    if not answer:
                        return
                    client.sendall(answer)
                if client in ready:
                    request = client.recv(1 << 16)
                    if not request or self._cut_here(request, server):
                        return
                    self.said.append(request)
                    server.sendall(request)
        except (OSError, ValueError):  # A socket that was closed meanwhile has no number any more.
            return
        finally:
            _end(client)
            _end(server)

    def _cut_here(self, request: bytes, server: socket.socket) -> bool:
        here = {
            Cut.BEFORE_COMMIT: _COMMIT in request,
            Cut.AFTER_COMMIT: _COMMIT in request,
            Cut.IN_COPY: len(request) > 10_000,
        }.get(self.cut, False)
        if here:
            if self.cut is Cut.AFTER_COMMIT:
                server.sendall(request)
                server.recv(1 << 16)
            self.cut = Cut.NEVER
            self.cuts += 1
        return here


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
