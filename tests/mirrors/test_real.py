"""One dataset on Pinecone, PostgreSQL, Chroma and DuckDB at once: the same versions, together, whatever each of them is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mirrors.conftest import TARGETS, World
from tests.pgvector.conftest import database, postgres_folder
from tests.support.pinecone import KEY_VARIABLE, pinecone_server
from vector_pipeline.errors import UnavailableError
from vector_pipeline.serving import open_index
from vector_pipeline.testing.pinecone_server import PineconeServer

__all__ = ["database", "postgres_folder"]
REAL = """
environments:
  dev:
    targets:
      pinecone:
        kind: pinecone
        index: tests
        host: {host}
        api_key: ${{env:{key}}}
        deletion_protection: false
        retry_s: 1
        limits: {{requests: 10000, upsert_mb: 5000, updates: 10000, deletes: 500000, by_metadata: 1000}}
      postgres: {{kind: pgvector, url: "{url}", hnsw: true}}
      chroma: {{kind: chroma, path: chroma_index}}
      local: {{}}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PineconeServer]:
    with pinecone_server(tmp_path / "service") as found:
        yield found


@pytest.fixture
def real(make_world, server: PineconeServer, database: str) -> World:  # type: ignore[no-untyped-def]
    world: World = make_world()
    text = world.config.read_text(encoding="utf-8").replace(
        TARGETS, REAL.format(host=server.url, key=KEY_VARIABLE, url=database)
    )
    world.config.write_text(text, encoding="utf-8")
    world.configure("pinecone", "postgres", "chroma", "local")
    return world


@pytest.mark.slow
def test_four_kinds_of_targets_serve_one_dataset(real: World, server: PineconeServer) -> None:
    first = real.build()
    plans = real.project.plans("handbook", goal="production")
    assert [one.target for one in plans] == ["pinecone", "postgres", "chroma", "local"]
    assert [one.cost.money is not None for one in plans] == [True, False, False, False]
    real.project.push("handbook", saved=plans)
    real.verify()
    real.project.promote("handbook", by="test")
    assert real.serves() == dict.fromkeys(("pinecone", "postgres", "chroma", "local"), first)
    second = real.release()
    for target in real.project.places("handbook"):
        with open_index("handbook", project=real.config, target=target) as index:
            assert index.version == second
            assert index.query("About page 1", top_k=1)[0].document == "page1.md"
    assert not any(report.drifted for report in real.project.drift("handbook", "production"))
    real.project.rollback("handbook", by="test")
    assert set(real.serves().values()) == {first}
    named = real.project.target_named("pinecone").native_aliases()
    held = real.project.registry().alias("handbook", "dev", "production")
    assert held is not None
    assert named["handbook--dev--production"] == held.deployment.namespace
    # Another place is the first: Pinecone's own alias is called as it was.
    real.configure("postgres", "pinecone", "chroma", "local")
    real.project.promote("handbook", by="test", version=first)
    assert real.names()["production@pinecone"] == ("pinecone", first)
    assert real.project.target_named("pinecone").native_aliases() == named
    assert real.project.take_warnings() == []


@pytest.mark.slow
def test_when_the_service_is_down_the_database_takes_over(real: World, server: PineconeServer) -> None:
    real.configure("pinecone", "postgres")
    number = real.release()
    with open_index("handbook", project=real.config, max_staleness_s=0) as index:
        server.knobs.unavailable = 1.0
        second = real.build()
        with pytest.raises(UnavailableError):
            real.project.push("handbook")
        real.project.promote("handbook", by="test", version=number, without=["pinecone"], reason="the service is down")
        assert index.query("About page 1", top_k=1)[0].document == "page1.md"
        real.project.push("handbook")
        real.verify()
        real.project.promote("handbook", by="test")
        assert (index.refresh(), real.names()["production"]) == (second, ("postgres", second))
        server.knobs.unavailable = 0.0
        real.project.push("handbook", target="pinecone")
        real.verify()
        real.project.promote("handbook", by="test")
        assert real.names()["production"] == ("pinecone", second)
        assert real.serves() == {"pinecone": second, "postgres": second}
