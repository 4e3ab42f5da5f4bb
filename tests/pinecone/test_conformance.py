"""Pinecone's adapter keeps the laws of targets, through the official SDK over real HTTP."""

from collections.abc import Iterator

import pytest

from tests.support.pinecone import pinecone_server, pinecone_target
from vector_pipeline.targets.base import Target
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.testing.pinecone_server import PineconeServer
from vector_pipeline.testing.target_suite import TargetConformance


@pytest.fixture(scope="module")
def server() -> Iterator[PineconeServer]:
    with pinecone_server() as running:
        yield running


class TestPineconeConformance(TargetConformance):
    @pytest.fixture
    def target(self, server: PineconeServer) -> Iterator[PineconeTarget]:
        self.server = server
        target = pinecone_target(server)
        yield target
        target.close()

    def reopen(self, target: Target) -> Target:
        return pinecone_target(self.server)

    def read_only(self, target: Target) -> Target:
        return pinecone_target(self.server, read_only=True)

    def raw(self, target: Target, namespace: str) -> list[str]:
        assert isinstance(target, PineconeTarget)
        place = target.indexes.place(namespace)
        index = target.service.client.data(place.host)
        return [
            one.id
            for page in index.list(namespace=namespace)
            for one in page.vectors
            if one.id and one.id != "vp-sentinel"
        ]

    def meddle(self, target: Target, namespace: str) -> str:
        assert isinstance(target, PineconeTarget)
        index = target.service.client.data(target.indexes.place(namespace).host)
        name = self.raw(target, namespace)[0]
        index.update(id=name, set_metadata={"vp_text": "another hand's"}, namespace=namespace)
        return name
