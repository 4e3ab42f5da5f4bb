"""One index of a server in this process, by Pinecone's SDK and by plain HTTP."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from pinecone import Index, Pinecone

from vector_pipeline.testing.pinecone_server import Knobs, PineconeServer

SPEC = {"serverless": {"cloud": "aws", "region": "us-east-1"}}


@dataclass
class Plane:
    """An index. ``call`` answers the response, whatever its status."""

    server: PineconeServer
    sdk: Pinecone
    index: Index
    http: httpx.Client
    dimension: int
    _names: list[str] = field(default_factory=list)

    def call(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """POST."""
        return self.http.post(path, json=body)

    def refused(self, path: str, body: Mapping[str, Any], status: int = 400, code: int = 3) -> str:
        """The message of a refusal, whose form is checked."""
        answer = self.call(path, body)
        assert answer.status_code == status, answer.text[:500]
        found = answer.json()
        assert found["code"] == code
        assert isinstance(found["details"], list)
        return str(found["message"])

    def namespace(self) -> str:
        """A name that no other test uses."""
        self._names.append(f"n{len(self._names)}")
        return self._names[-1]

    def put(
        self, namespace: str, ids: Sequence[str], metadata: Sequence[Mapping[str, Any]] | None = None, seed: int = 0
    ) -> int:
        """Upsert random vectors; answers the LSN."""
        vectors = random_vectors(len(ids), self.dimension, seed)
        records = [{"id": name, "values": vector.tolist()} for name, vector in zip(ids, vectors, strict=True)]
        for record, kept in zip(records, metadata or [], strict=bool(metadata)):
            record["metadata"] = dict(kept)
        answer = self.call("/vectors/upsert", {"vectors": records, "namespace": namespace}).raise_for_status()
        return int(answer.headers["x-pinecone-request-lsn"])

    def ids(self, namespace: str, prefix: str = "") -> list[str]:
        """All ids, through every page."""
        found: list[str] = []
        query = {"namespace": namespace, "prefix": prefix}
        while True:
            page = self.http.get("/vectors/list", params=query).raise_for_status().json()
            found += [each["id"] for each in page["vectors"]]
            if "pagination" not in page:
                return found
            query["paginationToken"] = page["pagination"]["next"]

    def matching(self, namespace: str, filter: Mapping[str, Any]) -> list[str]:
        """Ids that pass a filter, ascending, by a query."""
        body = {"namespace": namespace, "vector": [1.0] * self.dimension, "topK": 1000, "filter": filter}
        answer = self.call("/query", body)
        assert answer.status_code == 200, answer.text[:500]
        return sorted(match["id"] for match in answer.json()["matches"])

    def lsn(self, namespace: str) -> int:
        """The LSN up to which queries see."""
        answer = self.call("/query", {"namespace": namespace, "id": "nothing", "topK": 1}).raise_for_status()
        return int(answer.headers["x-pinecone-max-indexed-lsn"])


def random_vectors(count: int, dimension: int, seed: int = 0) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """float32[count, dimension]"""
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


@contextmanager
def data_plane(
    root: Path | None = None, *, dimension: int = 4, metric: str = "cosine", name: str = "things", **knobs: Any
) -> Iterator[Plane]:
    """A server and one index, made where it is not there yet."""
    with PineconeServer(root, knobs=Knobs(**knobs)) as server, joined(server, dimension, metric, name) as plane:
        yield plane


@contextmanager
def joined(server: PineconeServer, dimension: int = 4, metric: str = "cosine", name: str = "things") -> Iterator[Plane]:
    """An index of a server that runs."""
    with Pinecone(api_key=server.api_key, host=server.url) as sdk:
        if not sdk.has_index(name):
            sdk.create_index(name=name, dimension=dimension, metric=metric, spec=SPEC)
        host = str(sdk.describe_index(name).host)
        headers = {"Api-Key": server.api_key, "X-Pinecone-Api-Version": "2026-07"}
        with sdk.index(name=name) as index, httpx.Client(base_url=host, headers=headers, timeout=30) as http:
            yield Plane(server, sdk, index, http, dimension)
