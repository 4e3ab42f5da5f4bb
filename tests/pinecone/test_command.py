"""What goes wrong with Pinecone, on the command line: one clear line with the remedy, nothing changed, the key nowhere."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import RunCommand, vp
from tests.conftest import write_project
from tests.support.pinecone import KEY, KEY_VARIABLE, pinecone_server
from vector_pipeline.testing.pinecone_server import PineconeServer

assert vp  # a fixture
WRITES = ("POST /vectors/upsert", "POST /vectors/update", "POST /vectors/delete", "POST /indexes")
WRONG_KEY = "pc-another-key-that-nobody-may-see"
TARGET = "{{kind: pinecone, index: docs, host: {host}, api_key: '${{env:{variable}}}', retry_s: 2{more}}}"


@pytest.fixture(scope="module")
def server() -> Iterator[PineconeServer]:
    with pinecone_server() as running:
        yield running


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Configuration of a project with one version, which nothing holds yet."""
    from vector_pipeline.project import Project

    config = write_project(tmp_path_factory.mktemp("built"), 4)
    with Project.load(config) as project:
        project.build("handbook")
    return config


@pytest.fixture
def configure(built: Path) -> Callable[..., Path]:
    def write(host: str, variable: str = KEY_VARIABLE, more: str = "") -> Path:
        text = built.read_text(encoding="utf-8").partition("environments:")[0]
        target = TARGET.format(host=host, variable=variable, more=more)
        built.write_text(f"{text}environments:\n  dev:\n    targets:\n      local: {target}\n", encoding="utf-8")
        return built

    return write


def dead_host() -> str:
    """Where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def written(server: PineconeServer) -> int:
    """Requests that changed something."""
    counts: dict[str, dict[str, int]] = server.counts["requests"]
    good = ("200", "201", "202")
    return sum(counts.get(route, {}).get(code, 0) for route in WRITES for code in good)


def make_index(server: PineconeServer, dimension: int) -> Callable[[str], None]:
    """Somebody else's index under the very name that a space will want."""

    def make(name: str) -> None:
        from pinecone import Pinecone, ServerlessSpec

        with Pinecone(api_key=KEY, host=server.url) as client:
            client.create_index(
                name=name, dimension=dimension, metric="cosine", spec=ServerlessSpec(cloud="aws", region="us-east-1"),
                deletion_protection="enabled",
            )  # fmt: skip

    return make


def pushed_and_deleted(server: PineconeServer, folder: Path) -> Path:
    """A project whose version stood in an index that somebody has deleted since."""
    from pinecone import Pinecone

    from vector_pipeline.project import Project

    config = write_project(folder / "pushed", 6)
    target = TARGET.format(host=server.url, variable=KEY_VARIABLE, more=", deletion_protection: false")
    text = config.read_text(encoding="utf-8").partition("environments:")[0]
    target = target.replace("index: docs", "index: deleted")
    config.write_text(f"{text}environments:\n  dev:\n    targets:\n      local: {target}\n", encoding="utf-8")
    with Project.load(config) as project:
        project.build("handbook")
        project.push("handbook")
    with Pinecone(api_key=KEY, host=server.url) as client:
        for index in client.indexes.list():
            if index.name.startswith("deleted"):
                client.indexes.delete(index.name)
    return config


CASES: list[Any] = [
    pytest.param({"variable": "PINECONE_WRONG_KEY"}, ["PINECONE_WRONG_KEY"], id="wrong key"),
    pytest.param({"variable": "PINECONE_NO_SUCH_KEY"}, ["PINECONE_NO_SUCH_KEY", "export"], id="no key"),
    pytest.param({"host": "dead"}, ["answers", "host"], id="unreachable host"),
    pytest.param(
        {"knobs": {"quota": "402", "control_plane": True}}, ["Pinecone"], id="payment required", marks=pytest.mark.slow
    ),
    pytest.param({"knobs": {"quota": "403", "control_plane": True}}, ["Pinecone"], id="quota"),
    pytest.param({"deleted": True}, ["does not exist", "18 missing", "repair handbook"], id="deleted index"),
    pytest.param({"dimension": 7}, ["dimension is 7, not 128"], id="index of another dimension"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("wrong", "said"), CASES)
def test_a_mistake_is_one_line_and_changes_nothing(
    wrong: dict[str, Any], said: list[str], server: PineconeServer, configure: Callable[..., Path], vp: RunCommand,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("PINECONE_WRONG_KEY", WRONG_KEY)
    monkeypatch.delenv("PINECONE_NO_SUCH_KEY", raising=False)
    host = dead_host() if "host" in wrong else server.url
    if "deleted" in wrong:
        config = pushed_and_deleted(server, tmp_path)
    else:
        config = configure(host, **({"variable": wrong["variable"]} if "variable" in wrong else {}))
    if "dimension" in wrong:
        from vector_pipeline.project import Project
        from vector_pipeline.targets.base import NamespaceSpec
        from vector_pipeline.targets.pinecone.indexes import index_name

        with Project.load(config) as project:
            space = project.space("handbook")
            spec = NamespaceSpec("any", space.dimension, space.metric, space.fingerprint)
            make_index(server, wrong["dimension"])(index_name("docs", spec))
    before = written(server)
    for name, value in wrong.get("knobs", {}).items():
        monkeypatch.setattr(server.knobs, name, value)
    # Commands that only look say it in the same words: two of them, for the commonest mistake.
    for verb in ("plan", "push", "check") if "host" in wrong else ("push",):
        ran = vp("--project", config, verb, *([] if verb == "check" else ["handbook"]))
        said_so = ran.err + ran.out
        assert KEY not in said_so
        assert WRONG_KEY not in said_so
        assert ran.code == 1, (verb, said_so)
        if verb != "check":
            assert len(ran.err.strip().splitlines()) == 1, ran.err
            assert all(word in ran.err for word in said), ran.err
    assert written(server) == before
    for path in config.parent.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert KEY.encode() not in content, path
            assert WRONG_KEY.encode() not in content, path
