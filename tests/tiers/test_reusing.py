"""Vectors of another environment: read by content, attested here, and its lake left as it was."""

from pathlib import Path

import pytest

from tests.conftest import page
from tests.tiers.conftest import Open, files, tier, write
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.project import Project


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path, {"prod": tier("prod"), "staging": tier("staging", reuse="prod")}, shards=3)


def vectors(project: Project) -> dict[str, list[float]]:
    tables = project.tables("handbook")
    return dict(project.lake(read_only=True).rows(f"SELECT content_hash, vector FROM {tables.embeddings}"))


def test_what_both_hold_is_read_and_the_rest_is_embedded(tmp_path: Path, file: Path, opened: Open) -> None:
    with opened(file, "prod") as prod:
        prod.build("handbook")
        theirs = vectors(prod)
    before = files(tmp_path / "prod")
    (tmp_path / "documents" / "new.md").write_text(page(77, 2), encoding="utf-8")
    staging = opened(file, "staging")
    staging.sync("handbook")
    staging.chunk("handbook")
    counts = staging.embed("handbook")
    assert counts.embedded > 0
    assert counts.copied >= len(theirs)
    mine = vectors(staging)
    assert {one: mine[one] for one in theirs} == theirs
    assert len(mine) > len(theirs)
    assert files(tmp_path / "prod") == before
    again = staging.embed("handbook")
    assert (again.embedded, again.copied) == (0, 0)
    # Attested as what was made here is: the version's own gate finds every vector covered.
    staging.snapshot("handbook")
    staging.push("handbook")
    _, results = staging.verify("handbook", only=["attestation"])
    assert [one.status.value for one in results] == ["passed"], results


def test_without_the_other_lake_all_is_embedded(file: Path, opened: Open) -> None:
    staging = opened(file, "staging")
    staging.sync("handbook")
    staging.chunk("handbook")
    assert staging.embed("handbook").embedded > 0


@pytest.mark.slow
def test_a_vector_that_the_model_does_not_make_stops_all(tmp_path: Path, file: Path, opened: Open) -> None:
    with opened(file, "prod") as prod:
        prod.build("handbook")
        tables = prod.tables("handbook")
        lake: Lake = prod.lake()
        lake.transaction(
            lambda: lake.run(f"UPDATE {tables.embeddings} SET vector = list_reverse(vector)"), "another model"
        )
    staging = opened(file, "staging")
    staging.sync("handbook")
    staging.chunk("handbook")
    with pytest.raises(RefusedError, match=r"vectors of environment prod .* are not what .* none was taken"):
        staging.embed("handbook")
    assert vectors(staging) == {}
