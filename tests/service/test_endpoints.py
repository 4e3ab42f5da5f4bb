"""What the endpoints answer."""

from pathlib import Path

import httpx
import pytest

from tests.conftest import write_project
from tests.service.conftest import QUERY, asked
from tests.serving.conftest import namespace_of
from vector_pipeline.project import Project
from vector_pipeline.serving import open_index


def test_an_answer_is_the_readers(released: Project) -> None:
    with open_index("handbook", project=released.base) as index:
        wanted = index.search("about page 1", top_k=2)

    async def ask(client: httpx.AsyncClient) -> None:
        found = await client.post(QUERY, json={"query": "about page 1", "top_k": 2})
        assert found.status_code == 200
        said = found.json()
        about = ("dataset", "version", "space", "arm", "bridged", "bridge", "bridge_recall")
        assert [said[name] for name in about] == ["handbook", 1, "tiny", "production", False, None, None]
        assert said["took_ms"] > 0
        (one,) = said["results"]
        assert one["hits"] == [
            {"document": hit.document, "score": hit.score, "text": hit.text, "metadata": dict(hit.metadata), "id": hit.id}
            for hit in wanted.hits
        ]
        assert found.headers["cache-control"] == "no-store"

    asked(released.base / "vector_pipeline.yaml", ask)
