"""The Pinecone-protocol server as a process of its own, as a person starts it: it can be killed, and started again on its data."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

KEY = "a-key-of-tests"


class ServerProcess:
    """Start with ``with``; ``url`` is the control plane. ``options`` are those of ``vector-pipeline dev pinecone``."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data, self.options = data, options
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return once it answers."""
        command = [
            sys.executable, "-m", "vector_pipeline.cli", "dev", "pinecone", "--port", str(self.port), "--data", str(self.data),
            "--key", KEY, *self.options,
        ]  # fmt: skip
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        for attempt in Retrying(
            retry=retry_if_exception_type(httpx.HTTPError),
            stop=stop_after_delay(60),
            wait=wait_fixed(0.1),
            reraise=True,
        ):
            with attempt:
                self._require_alive()
                self.counts()

    def kill(self) -> None:
        """As a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def knobs(self, **values: Any) -> None:
        """Set knobs while it runs."""
        httpx.patch(f"{self.url}/_dev/knobs", json=values, timeout=10).raise_for_status()

    def counts(self) -> dict[str, Any]:
        """What it answered, and what it did wrong on purpose."""
        found: dict[str, Any] = httpx.get(f"{self.url}/_dev/counts", timeout=10).raise_for_status().json()
        return found

    def _require_alive(self) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the server ended: {(self.data / 'server.log').read_text()[-2000:]}")

    def __enter__(self) -> "ServerProcess":
        os.environ["PINECONE_API_KEY"] = KEY
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def target_yaml(server: ServerProcess, index: str = "docs", **more: Any) -> str:
    """Configuration of a target on that server, as YAML on one line."""
    options = {"kind": "pinecone", "index": index, "host": server.url, "deletion_protection": "false", **more}
    return "{" + ", ".join(f"{key}: {value}" for key, value in options.items()) + "}"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
