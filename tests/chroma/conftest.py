"""One real Chroma server for all tests of this folder: it starts in about a second."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.chroma.proxy import Proxy, proxied
from tests.chroma.server import chroma_server
from vector_pipeline.config import ChromaTargetConfig
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.targets.chroma import ChromaTarget

pytest.importorskip("chromadb", reason="the Chroma target needs the package chromadb")


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chroma_server(tmp_path_factory.mktemp("chroma")) as url:
        yield url


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with proxied(url) as proxy:
        yield proxy


@pytest.fixture
def database(url: str) -> str:
    """A database of the server, for one test."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    assert httpx.post(f"{url}/api/v2/tenants/default_tenant/databases", json={"name": name}).is_success
    return name


@pytest.fixture(params=["embedded", "served"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChromaTarget]:
    if request.param == "embedded":
        config = ChromaTargetConfig(kind="chroma", path=Path("chroma"))
    else:
        url, database = request.getfixturevalue("url"), request.getfixturevalue("database")
        config = ChromaTargetConfig(kind="chroma", url=SecretTemplate(url), database=database)
    target = ChromaTarget("chroma", config, tmp_path)
    yield target
    target.close()
