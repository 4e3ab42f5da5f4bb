"""``vector-pipeline dev pinecone``: a process that can be killed, and that says in one line what keeps it from starting."""

import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from pinecone import Pinecone

from tests.pinecone_server.conftest import SERVERLESS
from tests.pinecone_server.data_world import data_plane
from tests.support.configuration import with_piece
from tests.support.pinecone_process import KEY, ServerProcess
from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.errors import CorruptError, UnavailableError
from vector_pipeline.testing.pinecone_server import PineconeServer

COMMAND = [sys.executable, "-m", "vector_pipeline.cli", "dev", "pinecone"]


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "state", "--lag", "0.1") as server:
        with Pinecone(KEY, host=server.url) as pc:
            pc.create_index(name="kept", dimension=3, spec=SERVERLESS, deletion_protection="enabled", tags={"a": "1"})
            with pc.Index("kept") as index:
                host = index.host
                lsns = [
                    index.upsert(
                        vectors=[(f"r{n}", [1.0, n, 2.0], {"n": n})], namespace="ns"
                    ).response_info.lsn_committed
                    for n in range(50)
                ]
                index.delete(ids=["r0"], namespace="ns")
                index.create_namespace(name="empty")
        headers = {"Api-Key": KEY}
        alias = {"name": "live", "target_namespace": "ns"}
        made = httpx.post(f"{host}/namespace-aliases", json=alias, headers=headers).json()
        server.kill()
        server.start()
        assert httpx.get(f"{host}/namespace-aliases/live", headers=headers).json() == made
        with Pinecone(KEY, host=server.url) as pc:
            described = pc.describe_index("kept")
            assert (described.host, described.deletion_protection) == (host, "enabled")
            with pc.Index(host=host) as index:
                listed = [item.id for page in index.list(namespace="live") for item in page.vectors]
                assert listed == sorted(f"r{n}" for n in range(1, 50))
                assert index.fetch(ids=["r7"], namespace="ns").vectors["r7"].metadata == {"n": 7}
                assert [one.name for one in index.list_namespaces_paginated()] == ["empty", "ns"]
                later = index.upsert(vectors=[("new", [1.0, 1.0, 1.0])], namespace="ns").response_info.lsn_committed
                assert later > max(lsns)


@pytest.mark.slow
def test_it_introduces_itself_and_ends_at_an_interrupt(tmp_path: Path) -> None:
    options = ["--port", "0", "--data", str(tmp_path / "state"), "--key", "secret-of-mine", "--unavailable", "0.25"]
    process = subprocess.Popen(
        [*COMMAND, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
        # A shell lets what it runs in the background ignore interrupts, and all that those start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Ctrl-C"):
            break
    url = said.split()[2]
    assert said.startswith(f"Pinecone-protocol server: {url}")
    for expected in (
        "export PINECONE_API_KEY=secret-of-mine",
        f'pc = Pinecone(api_key="secret-of-mine", host="{url}")',
        "Knobs: unavailable 0.25",
    ):
        assert expected in said
    config = with_piece(said[said.index("\ndatasets:") : said.index("\nIn the shell")], tmp_path)
    served = config.environments["dev"].targets[config.datasets["handbook"].target]
    assert isinstance(served, PineconeTargetConfig)
    assert (str(served.host), served.api_key.names()) == (url, ["PINECONE_API_KEY"])
    assert httpx.get(f"{url}/indexes", headers={"Api-Key": "secret-of-mine"}).json() == {"indexes": []}
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "Interrupted. What was committed is kept: run the same command again to go on.\n"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """The one line of a start that fails."""
    from vector_pipeline.cli import run

    def refusal(*options: str) -> str:
        assert run(["dev", "pinecone", *options]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        return err

    before = signal.getsignal(signal.SIGTERM)
    yield refusal
    signal.signal(signal.SIGTERM, before)


def test_what_keeps_it_from_starting_is_one_line(tmp_path: Path, refused: Callable[..., str]) -> None:
    with PineconeServer(tmp_path / "used") as server:
        port = server.url.rpartition(":")[2]
        assert refused("--port", port, "--data", str(tmp_path / "free")) == (
            f"Error: port {port} on 127.0.0.1 cannot be used: Address already in use. Choose another with --port\n"
        )
        assert "another Pinecone-protocol server uses" in refused("--port", "0", "--data", str(tmp_path / "used"))
    (tmp_path / "mine").write_text("mine")
    assert refused("--port", "0", "--data", str(tmp_path / "mine")) == (
        f"Error: {tmp_path}/mine cannot be used: Not a directory. Give another folder or delete it\n"
    )


UNUSABLE = {
    "a file": ("{data} cannot be used: (File exists|Not a directory)", UnavailableError),
    "below a file": ("{data}/below cannot be used: Not a directory", UnavailableError),
    "a broken catalog": (r"{data}/catalog.sqlite is no file of a .*: file is not a database", CorruptError),
    "another's catalog": ("{data}/catalog.sqlite is no file of a .*: no such column", CorruptError),
    "a folder as catalog": ("{data}/catalog.sqlite cannot be used: unable to open", UnavailableError),
    "a broken index": ("{data}/indexes/1.sqlite is no file of a .*: file is not a database", CorruptError),
    "broken ports": ("{data}/ports.json is no file of a ", CorruptError),
    "ports of words": ("{data}/ports.json is no file of a .*: it must say a port by index", CorruptError),
    "a folder as ports": ("{data}/ports.json cannot be used: Is a directory", UnavailableError),
}


def spoil(data: Path, how: str) -> Path:
    """A folder that no server can use; answers what to give as its root."""
    if how in ("a file", "below a file"):
        data.write_text("mine")
        return data / "below" if how == "below a file" else data
    with data_plane(data):
        pass
    catalog, ports = data / "catalog.sqlite", data / "ports.json"
    match how:
        case "a broken catalog":
            catalog.write_bytes(b"no database" * 1_000)
        case "another's catalog" | "a folder as catalog":
            catalog.unlink()
            if how == "a folder as catalog":
                catalog.mkdir()
            else:
                with closing(sqlite3.connect(catalog)) as other:
                    other.execute("CREATE TABLE documents (title TEXT)")
        case "a broken index":
            (data / "indexes" / "1.sqlite").write_bytes(b"no database" * 1_000)
        case "broken ports":
            ports.write_text("{")
        case "ports of words":
            ports.write_text('{"things": "many"}')
        case "a folder as ports":
            ports.unlink()
            ports.mkdir()
    return data


@pytest.mark.parametrize("how", UNUSABLE)
def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path, how: str) -> None:
    root = spoil(tmp_path / "state", how)
    said, kind = UNUSABLE[how]
    expected = said.format(data=re.escape(str(tmp_path / "state"))) + r".*\. Give another folder or delete it$"
    for _ in range(2):  # nothing is held by a start that failed
        with pytest.raises(kind, match=expected):
            PineconeServer(root).start()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from vector_pipeline.cli import dev
    from vector_pipeline.errors import ConfigError

    monkeypatch.setattr(dev, "find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(ConfigError, match=r"needs uvicorn. pip install 'vector-pipeline\[server\]'"):
        dev.pinecone()


@pytest.mark.parametrize("options", [("--unavailable", "2"), ("--lag", "-1"), ("--quota", "500"), ("--port", "99999")])
def test_wrong_usage(options: tuple[str, str]) -> None:
    from vector_pipeline.cli import run

    assert run(["dev", "pinecone", *options]) == 2
