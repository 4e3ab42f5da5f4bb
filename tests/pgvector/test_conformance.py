"""The pgvector target keeps the laws of a target, exact and with HNSW."""

from collections.abc import Iterator

import psycopg
import pytest

from vector_pipeline.config import PgvectorTargetConfig
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.targets.base import Target
from vector_pipeline.targets.pgvector import PgvectorTarget, upkeep
from vector_pipeline.targets.pgvector.tables import table_name
from vector_pipeline.testing.target_suite import TargetConformance


def config_of(url: str, *, hnsw: bool = False) -> PgvectorTargetConfig:
    return PgvectorTargetConfig(kind="pgvector", url=SecretTemplate(url), hnsw=hnsw)


class TestPgvector(TargetConformance):
    @pytest.fixture
    def target(self, shared_database: str) -> Iterator[Target]:
        target = PgvectorTarget("pg", config_of(shared_database))
        yield target
        target.close()

    def reopen(self, target: Target) -> Target:
        return self.read_only(target)

    def read_only(self, target: Target) -> Target:
        assert isinstance(target, PgvectorTarget)
        return PgvectorTarget("again", target.config, read_only=True)

    def raw(self, target: Target, namespace: str) -> list[str]:
        assert isinstance(target, PgvectorTarget)
        with psycopg.connect(target.config.url) as connection:
            rows = connection.execute(f"SELECT id FROM vector_pipeline.{table_name(namespace)}")
            return [row[0] for row in rows]

    def meddle(self, target: Target, namespace: str) -> str:
        assert isinstance(target, PgvectorTarget)
        changed = self.raw(target, namespace)[0]
        with psycopg.connect(target.config.url) as connection:
            connection.execute(
                f"UPDATE vector_pipeline.{table_name(namespace)} SET text = 'by hand' WHERE id = %s", [changed]
            )
        return changed


@pytest.mark.slow  # `make test-conformance` runs it always
class TestPgvectorWithHNSW(TestPgvector):
    @pytest.fixture
    def target(self, shared_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
        monkeypatch.setattr(upkeep, "INDEX_FROM_RECORDS", 2)
        target = PgvectorTarget("pg", config_of(shared_database, hnsw=True))
        yield target
        target.close()
