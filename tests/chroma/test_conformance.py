"""The Chroma target keeps the laws of a target: in a folder, and over a real server."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from vector_pipeline.config import ChromaTargetConfig
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.targets.base import Target
from vector_pipeline.targets.chroma import ChromaTarget
from vector_pipeline.targets.chroma.names import collection_name
from vector_pipeline.targets.factory import open_target
from vector_pipeline.testing.target_suite import TargetConformance


class Laws(TargetConformance):
    """What both forms share."""

    def reopen(self, target: Target) -> Target:
        assert isinstance(target, ChromaTarget)
        return ChromaTarget("again", target.config, Path())

    def read_only(self, target: Target) -> Target:
        assert isinstance(target, ChromaTarget)
        return ChromaTarget("reader", target.config, Path(), read_only=True)

    def client(self, target: Target) -> AbstractContextManager[Any]:
        """Chroma's own client."""
        raise NotImplementedError

    def raw(self, target: Target, namespace: str) -> list[str]:
        with self.client(target) as client:
            collection = client.get_collection(collection_name(namespace), embedding_function=None)
            return list(collection.get(include=[])["ids"])

    def meddle(self, target: Target, namespace: str) -> str:
        with self.client(target) as client:
            collection = client.get_collection(collection_name(namespace), embedding_function=None)
            name = collection.get(limit=1, include=[])["ids"][0]
            collection.update(ids=[name], metadatas=[{"another": "hand"}])
            return str(name)


class TestEmbedded(Laws):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[Target]:
        target = open_target("local", ChromaTargetConfig(kind="chroma", path=tmp_path / "chroma"), tmp_path)
        yield target
        target.close()

    @contextmanager
    def client(self, target: Target) -> Iterator[Any]:
        import chromadb

        assert isinstance(target, ChromaTarget)
        assert target.config.path is not None
        client = chromadb.PersistentClient(target.config.path, chromadb.Settings(anonymized_telemetry=False))
        try:
            yield client
        finally:
            client.close()


@pytest.mark.slow  # the same code behind HTTP; `make test-conformance` runs it always
class TestServed(Laws):
    @pytest.fixture
    def target(self, url: str, tmp_path: Path) -> Iterator[Target]:
        config = ChromaTargetConfig(kind="chroma", url=SecretTemplate(url))
        target = open_target("served", config, tmp_path)
        yield target
        target.close()

    @contextmanager
    def client(self, target: Target) -> Iterator[Any]:
        import chromadb

        assert isinstance(target, ChromaTarget)
        host, _, port = str(target.config.url).removeprefix("http://").partition(":")
        client = chromadb.HttpClient(host, int(port), settings=chromadb.Settings(anonymized_telemetry=False))
        try:
            yield client
        finally:
            for one in (client, client._admin_client):  # type: ignore[attr-defined]
                one._server._session.close()  # its own close leaves it open
            client.close()
