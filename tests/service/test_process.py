"""The command itself: what it says, and how it ends."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.service.conftest import QUERY, Serve
from tests.service.test_endpoints import config_of
from vector_pipeline.cli import run
from vector_pipeline.cli import serving as command
from vector_pipeline.project import Project

SECRET = "a-token-that-nobody-may-see"


def until(true: Callable[[], object], said: Callable[[], object] = str) -> None:
    """Wait for it, two minutes at most; ``said`` tells how things stand then."""
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end, f"it did not come to pass: {said()}"
        time.sleep(0.01)


def refuses(url: str) -> bool:
    """Nobody listens."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0


@pytest.mark.slow
def test_it_says_where_it_is_and_what_to_do_next(released: Project, serve: Serve) -> None:
    service = serve(config_of(released), "--token-env", "SERVICE_TOKEN", environment={"SERVICE_TOKEN": SECRET})
    assert re.fullmatch(r"Serving handbook on http://127\.0\.0\.1:\d+ until Ctrl-C\n", service.said)
    assert service.next.startswith("Next: curl ")
    if shutil.which("curl"):
        line = service.next.removeprefix("Next: ")
        done = subprocess.run(
            f"set -o pipefail; {line} -fsS", shell=True, executable="/bin/bash", capture_output=True, text=True,
            env={**os.environ, "SERVICE_TOKEN": SECRET}, check=False,
        )  # fmt: skip
        assert '"version":1' in done.stdout, done.stderr
    assert httpx.get(f"{service.url}/metrics", timeout=60).status_code == 401
    assert service.end(signal.SIGINT) == 130
    log = service.log.read_text(encoding="utf-8")
    assert "INFO handbook: v1 in space tiny, ready" in log
    assert f"INFO POST {QUERY} 200" in log
    assert SECRET not in log
    assert "How do I begin" not in log


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "no dataset 'nothing'"),
        (("--require", "nothing"), "no dataset 'nothing'"),
        (("--token-env", "NOT_SET_ANYWHERE"), "environment variable NOT_SET_ANYWHERE is not set"),
    ],
)
def test_mistakes_are_one_line(
    released: Project, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", *words, "--port", "0", "--project", str(released.base)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken(released: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(["serve", "--port", port, "--project", str(released.base)]) == 1
    assert capsys.readouterr().err.startswith(f"Error: cannot listen on 127.0.0.1 port {port}: ")


def test_without_the_extra(
    released: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "fastapi" else object())
    assert run(["serve", "--project", str(released.base)]) == 1
    assert capsys.readouterr().err == "Error: serve needs fastapi. pip install 'vector-pipeline[serve]'\n"


@pytest.mark.slow
def test_it_is_unready_first_and_answers_what_is_in_flight(released: Project, serve: Serve, tmp_path: Path) -> None:
    service = serve(config_of(released), "--drain-s", "600", program=("tests.service.held", str(tmp_path)))
    with ThreadPoolExecutor(1) as threads, httpx.Client(timeout=120) as client:
        asking = threads.submit(lambda: client.post(service.url + QUERY, json={"query": "about page 1"}))
        until((tmp_path / "asked").exists)
        assert httpx.get(service.url + "/readyz", timeout=60).status_code == 200
        service.process.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(service.url + "/readyz", timeout=60).status_code == 503)
        assert httpx.get(service.url + "/readyz", timeout=60).json()["reason"] == "the service is ending"
        assert httpx.get(service.url + "/healthz", timeout=60).status_code == 200
        service.process.send_signal(signal.SIGTERM)  # Who has no time to wait says it twice.
        until(lambda: refuses(service.url))
        assert not asking.done()
        (tmp_path / "go").touch()
        answer = asking.result(120)
    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    assert service.process.wait(120) == 0


@pytest.mark.slow
def test_it_ends_although_its_target_never_answers(released: Project, serve: Serve, tmp_path: Path) -> None:
    service = serve(
        config_of(released), "--timeout-s", "3", "--drain-s", "0", program=("tests.service.held", str(tmp_path))
    )
    with ThreadPoolExecutor(1) as threads, httpx.Client(timeout=120) as client:
        asking = threads.submit(lambda: client.post(service.url + QUERY, json={"query": "about page 1"}))
        until((tmp_path / "asked").exists)
        service.process.send_signal(signal.SIGTERM)
        assert asking.result(120).status_code == 504
    assert service.process.wait(120) == 0
    assert "ended although a query may still be waiting for its target" in service.log.read_text(encoding="utf-8")


HEAVY = ("dagster", "torch", "great_expectations", "pandas", "sentence_transformers", "alembic", "chromadb", "pinecone")
PROGRAM = """
import sys, threading, httpx
from vector_pipeline.service import running
from vector_pipeline.cli import run

def asked(url):
    try:
        ask(url)
    finally:
        running.signal.raise_signal(running.signal.SIGTERM)

def ask(url):
    for path in ("/readyz", "/v1/datasets", "/metrics"):
        assert httpx.get(url + path, timeout=60).status_code == 200
    assert "pandas" not in sys.modules  # DuckDB looks for it by itself when it is given a vector to search for.
    assert httpx.post(url + {query!r}, json={{"query": "about page 1"}}, timeout=60).status_code == 200
    print("LOADED", [name for name in {heavy!r} if name in sys.modules and name != "pandas"], flush=True)

class Server(running.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        threading.Thread(target=asked, args=(running.address(sockets[0]),)).start()

running.Server = Server
sys.exit(run(["serve", "--port", "0", "--project", {project!r}]))
"""


@pytest.mark.slow
def test_nothing_heavy_is_imported(released: Project) -> None:
    program = PROGRAM.format(query=QUERY, heavy=HEAVY, project=str(released.base))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stdout, shlex.join(done.stdout.splitlines())
