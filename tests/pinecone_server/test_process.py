"""``vector-pipeline dev pinecone``: a process that can be killed, and that says in one line what keeps it from starting."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pinecone import Pinecone

from tests.pinecone_server.conftest import SERVERLESS
from tests.support.pinecone_process import KEY, ServerProcess
from vector_pipeline.testing.pinecone_server import PineconeServer

COMMAND = [sys.executable, "-m", "vector_pipeline.cli", "dev", "pinecone"]


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


def test_it_introduces_itself_and_ends_at_an_interrupt(tmp_path: Path) -> None:
    options = ["--port", "0", "--data", str(tmp_path / "state"), "--key", "secret-of-mine", "--unavailable", "0.25"]
    process = subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
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
        f"    host: {url}\n    api_key: ${{env:PINECONE_API_KEY}}",
        "export PINECONE_API_KEY=secret-of-mine",
        f'pc = Pinecone(api_key="secret-of-mine", host="{url}")',
        "Knobs: unavailable 0.25",
    ):
        assert expected in said
    assert httpx.get(f"{url}/indexes", headers={"Api-Key": "secret-of-mine"}).json() == {"indexes": []}
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "Interrupted. What was committed is kept: run the same command again to go on.\n"


def refused(*options: str, **environment: str) -> str:
    """The one line of a start that fails."""
    env = {**os.environ, **environment}
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_keeps_it_from_starting_is_one_line(tmp_path: Path) -> None:
    with PineconeServer(tmp_path / "used") as server:
        port = server.url.rpartition(":")[2]
        assert refused("--port", port, "--data", str(tmp_path / "free")) == (
            f"Error: port {port} on 127.0.0.1 cannot be used: Address already in use. Choose another with --port\n"
        )
        assert "another Pinecone-protocol server uses" in refused("--port", "0", "--data", str(tmp_path / "used"))


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
