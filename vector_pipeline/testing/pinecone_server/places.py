"""Which port serves which index: one port each, kept over restarts so that hosts in clients stay valid.

A port that is taken when the server starts again is given up for another one: describing the index says which.
"""

import socket
from pathlib import Path

import orjson

from vector_pipeline.errors import UnavailableError
from vector_pipeline.testing.pinecone_server.folders import broken, using

CONTROL = "/control"
"""Key of the control plane's own port: no index can have that name."""
HOST = "127.0.0.1"


class Places:
    """Ports by index, in memory and (where ``root`` is given) in ``ports.json``. Used by one thread at a time."""

    def __init__(self, root: Path | None) -> None:
        self._path = root / "ports.json" if root is not None else None
        self._ports: dict[str, int] = {}
        if self._path is not None and self._path.exists():
            self._ports = _read(self._path)

    def port(self, index: str) -> int | None:
        return self._ports.get(index)

    def keep(self, index: str, port: int) -> None:
        if self._ports.get(index) != port:
            self._ports[index] = port
            self._write()

    def forget(self, index: str) -> None:
        if self._ports.pop(index, None) is not None:
            self._write()

    def control(self, wanted: int) -> socket.socket:
        """The control plane's socket: ``wanted``, or (for 0) the port that it had before, or any."""
        remembered = self._ports.get(CONTROL, 0)
        if not wanted and remembered:
            try:
                return bind(remembered)
            except UnavailableError:
                pass
        made = bind(wanted)
        self.keep(CONTROL, made.getsockname()[1])
        return made

    def index(self, name: str) -> socket.socket:
        """An index's socket: the port that it had before, or any free one."""
        remembered = self._ports.get(name, 0)
        try:
            made = bind(remembered)
        except UnavailableError:
            made = bind(0)
        self.keep(name, made.getsockname()[1])
        return made

    def _write(self) -> None:
        if self._path is None:
            return
        beside = self._path.with_suffix(".new")
        with using(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(orjson.dumps(self._ports))
            beside.replace(self._path)


def _read(path: Path) -> dict[str, int]:
    """Ports by index; ``CorruptError`` where the file holds something else."""
    with using(path):
        content = path.read_bytes()
    try:
        ports = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise broken(path, str(error)) from error
    if not isinstance(ports, dict) or not all(type(port) is int and 0 < port < 65536 for port in ports.values()):
        raise broken(path, "it must say a port by index")
    return ports


def bind(port: int) -> socket.socket:
    """A bound socket on loopback; ``UnavailableError`` where the port is taken."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
        made.listen(512)
    except OSError as error:
        made.close()
        raise UnavailableError(
            f"port {port} on {HOST} cannot be used: {error.strerror or error}", fix="choose another with --port"
        ) from error
    made.setblocking(False)
    return made
