"""Receivers of alerts as real servers: HTTP, and SMTP with as much of RFC 5321 as a client needs."""

import asyncio
import base64
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.cli.conftest import vp  # noqa: F401 (fixture)
from tests.dagster.conftest import config, instance, run  # noqa: F401 (fixtures)


@dataclass
class Received:
    """What an HTTP server was sent."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers; 200 when they are used up."""
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """Path, headers and JSON."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def receiver() -> Iterator[Received]:
    """A web server that takes JSON."""
    got = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.requests.append((self.path, dict(self.headers), json.loads(body)))
            status = got.answers.pop(0) if got.answers else 200
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", got.url)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    got.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield got
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Mailbox:
    """What an SMTP server was sent."""

    port: int = 0
    mails: list[tuple[list[str], str]] = field(default_factory=list)
    """Receivers and message."""
    login: tuple[str, str] | None = None
    """The account that it demands; None: nobody logs in."""
    refuses: dict[str, int] = field(default_factory=dict)
    """Receiver → status that it is refused with."""


async def _talk(box: Mailbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    def say(line: str) -> None:
        writer.write(f"{line}\r\n".encode())

    say("220 mail.test")
    to: list[str] = []
    known = box.login is None
    while line := (await reader.readline()).decode().rstrip("\r\n"):
        verb, _, rest = line.partition(" ")
        match verb.upper():
            case "EHLO":
                writer.write(b"250-mail.test\r\n250 AUTH PLAIN\r\n" if box.login else b"250 mail.test\r\n")
            case "AUTH":
                _, user, password = base64.b64decode(rest.removeprefix("PLAIN ")).decode().split("\0")
                known = (user, password) == box.login
                say("235 welcome" if known else f"535 no: {user} {password}")
            case "MAIL":
                say("250 ok" if known else "530 log in first")
            case "RCPT":
                address = rest[rest.index("<") + 1 : rest.index(">")]
                status = box.refuses.get(address, 250)
                to += [address] if status == 250 else []
                say(f"{status} {address}")
            case "DATA":
                say("354 go on")
                await writer.drain()
                lines = []
                while (one := await reader.readline()) != b".\r\n":
                    lines.append(one.decode())
                box.mails.append((to, "".join(lines)))
                to = []
                say("250 taken")
            case "RSET":
                to = []
                say("250 ok")
            case "QUIT":
                say("221 bye")
                break
            case _:
                say("500 what?")
        await writer.drain()
    writer.close()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server."""
    box = Mailbox()
    loop = asyncio.new_event_loop()

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(lambda reader, writer: _talk(box, reader, writer), "127.0.0.1", 0)

    server = loop.run_until_complete(serve())
    box.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield box

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def dripping() -> Iterator[int]:
    """The port of a server that begins a line and never ends it, a byte at a time."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"2")
            while not over.wait(0.02):
                connection.sendall(b"2")

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            if over.is_set():
                connection.close()
                return
            talks.append(threading.Thread(target=drip, args=(connection,)))
            talks[-1].start()

    talks = [threading.Thread(target=serve)]
    talks[0].start()
    port = listener.getsockname()[1]
    yield port
    over.set()
    socket.create_connection(("127.0.0.1", port)).close()
    for one in talks:
        one.join()
    listener.close()
