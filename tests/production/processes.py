"""Processes of a test: started with a log each, waited for until they answer, and ended with all that they have started."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 600.0
"""What nothing here takes, but on a machine that is busy with other things."""
_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(holds: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> float:
    """Seconds until something holds."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < patience_s, f"in {patience_s:.0f} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - begun


def listens(port: int) -> bool:
    """Whether somebody takes connections at a port of this machine."""
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


def _end_with_parent() -> None:
    """In a new process: it gets SIGTERM when the test's own process is gone, killed perhaps."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Processes:
    """Everything that a test has started. All of it is ended at the end of ``with``, last first."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.environment = folder, dict(environment)
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a process, in a session of its own: with it goes what it starts. ``environment``: if not everybody's."""
        with self.log(name).open("ab") as log:
            self._started[name] = subprocess.Popen(
                [str(word) for word in command], cwd=self.folder, stdin=subprocess.DEVNULL,
                env=self.environment if environment is None else dict(environment), stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip
        return self._started[name]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def said(self, name: str) -> str:
        return self.log(name).read_text(encoding="utf-8", errors="replace")

    def until(self, name: str, holds: Callable[[], bool]) -> None:
        """Wait for a process to be ready; its log is told when it ends before."""

        def ready() -> bool:
            ended = self._started[name].poll()
            assert ended is None, f"{name} ended ({ended}):\n{self.said(name)[-4000:]}"
            return holds()

        try:
            until(ready, f"{name} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said(name)[-4000:]}") from None

    def kill(self, name: str) -> None:
        """As a power cut would: the process and all that it has started, without a word."""
        process = self._started.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def left(self) -> list[str]:
        """Commands that still run in this environment: what was started and was not ended."""
        mark = f"VECTOR_PIPELINE_PLANT={self.environment['VECTOR_PIPELINE_PLANT']}".encode()
        found = []
        for one in Path("/proc").iterdir():
            with suppress(OSError):
                if one.name.isdigit() and mark in (one / "environ").read_bytes().split(b"\0"):
                    found.append((one / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started.values()):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        for process in reversed(self._started.values()):
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._started.clear()
