"""Errors in the middle of a result are those that DuckDB raises outside one."""

import errno
from functools import partial

import duckdb
import pytest

from vector_pipeline.corpus.streams import next_batch, told


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Out of Memory Error: failed to pin block of size 256.0 KiB (95.3 MiB/95.3 MiB used)", "OutOfMemoryException"),
        ("INTERRUPT Error: Interrupted!", "InterruptException"),
        ("IO Error: Corrupt database file: computed checksum 1 does not match stored checksum 2", "IOException"),
        ("HTTP Error: HTTP GET error on 'https://a/b' (HTTP 503)", "HTTPException"),
        ("Conversion Error: Could not convert string 'x' to INT32", "Error"),
    ],
)
def test_of_the_same_kind(said: str, kind: str) -> None:
    error = told(OSError(said))
    assert type(error) is getattr(duckdb, kind)
    assert str(error) == said


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "IO Error: no"), OSError("nothing that DuckDB says")])
def test_what_is_the_systems_stays_it(error: OSError) -> None:
    assert told(error) is None


def test_a_result_ends_or_fails_as_duckdb_says() -> None:
    with duckdb.connect() as connection:
        query = "SELECT CASE WHEN i < 600_000 THEN i ELSE error('gone')::BIGINT END AS n FROM range({rows}) t(i)"
        reader = connection.execute(query.format(rows=10_000)).to_arrow_reader(6_000)
        assert [len(batch) if (batch := next_batch(reader)) else batch for _ in range(3)] == [6_000, 4_000, None]
        reader = connection.execute(query.format(rows=700_000)).to_arrow_reader(6_000)
        assert next_batch(reader) is not None
        with pytest.raises(duckdb.Error, match="gone"):
            list(iter(partial(next_batch, reader), None))
