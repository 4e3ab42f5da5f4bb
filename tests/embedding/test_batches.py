"""Embedding in units: every row once, with its own vector, whatever the sizes."""

import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding import batches
from vector_pipeline.embedding.batches import VECTORS, Progress, embed_pending, vectors_to_arrow
from vector_pipeline.embedding.deterministic import ALLOW, DeterministicEmbedder
from vector_pipeline.embedding.sentence_transformers import SentenceTransformerEmbedder
from vector_pipeline.errors import InputError
from vector_pipeline.hashing import content_hash


def embedder(batch_size: int = 4, **fields: object) -> DeterministicEmbedder:
    os.environ[ALLOW] = "1"  # hypothesis runs outside of function fixtures
    fields |= {"kind": "deterministic", "dimension": 16, "batch_size": batch_size}
    return DeterministicEmbedder(EmbedderConfig.model_validate(fields))


def pending(texts: list[str]) -> pa.Table:
    hashes = [content_hash(text) for text in texts]
    return pa.table(
        {"content_hash": hashes, "text": texts}, pa.schema([("content_hash", "string"), ("text", "string")])
    )


def matrix(table: pa.Table) -> np.ndarray:
    return np.array(table["vector"].to_pylist(), dtype=np.float32).reshape(table.num_rows, -1)


@settings(deadline=None)
@given(
    st.lists(st.text(alphabet="abc é", max_size=30), unique=True, max_size=60),
    st.integers(1, 9),
    st.integers(1, 20),
    st.booleans(),
)
def test_every_row_once_with_its_own_vector(texts: list[str], batch: int, commit: int, chunked: bool) -> None:
    table = pending(texts)
    if chunked and len(texts) > 1:
        table = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    model = embedder(batch)
    units = list(embed_pending(model, table, commit_rows=commit))
    unit_rows = -(-commit // batch) * batch
    assert all(unit.schema == VECTORS for unit in units)
    assert all(unit.num_rows == unit_rows for unit in units[:-1])
    assert sum(unit.num_rows for unit in units) == len(texts)
    by_hash = {content_hash(text): text for text in texts}
    for unit in units:
        own = [by_hash.pop(name) for name in unit["content_hash"].to_pylist()]
        np.testing.assert_array_equal(matrix(unit), model.embed_documents(own))
    assert not by_hash


def test_windows_bound_what_is_sorted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_UNITS_PER_WINDOW", 2)
    texts = [f"{n} " + "x" * ((n * 37) % 101) for n in range(50)]
    units = [unit["content_hash"].to_pylist() for unit in embed_pending(embedder(), pending(texts), commit_rows=8)]
    assert [len(unit) for unit in units] == [8] * 6 + [2]
    lengths = {content_hash(text): len(text) for text in texts}
    for window in range(0, 6, 2):
        both = [*units[window], *units[window + 1]]
        assert set(both) == {content_hash(text) for text in texts[window * 8 : window * 8 + 16]}
        assert [lengths[name] for name in both] == sorted((lengths[name] for name in both), reverse=True)


def test_it_is_lazy_so_that_a_killed_run_keeps_what_was_committed() -> None:
    reports: list[Progress] = []
    units = embed_pending(
        embedder(), pending([f"text {n}" for n in range(100)]), commit_rows=8, on_progress=reports.append
    )
    assert not reports
    next(units)
    assert reports[-1].done == 8


@pytest.mark.parametrize(("texts", "said"), [(0.04, "0.04/s"), (1, "1.0/s"), (9.96, "10.0/s"), (1234.5, "1,234/s")])
def test_a_slow_rate_is_not_nothing(texts: float, said: str) -> None:
    assert Progress(1, 2, 1, 2, texts, None).rate == said


def test_progress_is_weighted_by_characters() -> None:
    texts = ["long " * 50 + str(n) for n in range(64)] + [str(n) for n in range(64)]
    reports: list[Progress] = []
    list(embed_pending(embedder(), pending(texts), commit_rows=64, on_progress=reports.append))
    assert [report.done for report in reports] == [32, 64, 96, 128]
    half = reports[1]
    assert (half.total, half.chars_done, half.chars_total) == (128, sum(map(len, texts[:64])), sum(map(len, texts)))
    assert half.remaining_s is not None
    # 64 long texts are 94% of the work, not half of it; a text's own cost is that of 16 characters.
    share = (half.chars_done + 64 * 16) / (half.chars_total + 128 * 16)
    assert share == pytest.approx(0.94, abs=0.01)
    elapsed = half.remaining_s * share / (1 - share)
    assert half.rate_per_s == pytest.approx(128 * share / elapsed)
    assert reports[-1].remaining_s == 0
    assert reports[-1].chars_done == half.chars_total


def test_characters_beyond_what_the_model_reads_are_not_work() -> None:
    reports: list[Progress] = []
    list(embed_pending(embedder(max_tokens=5), pending(["word " * 1000, "b"]), on_progress=reports.append))
    assert reports[-1].chars_total == 31


def test_nothing_pending_loads_nothing() -> None:
    assert list(embed_pending(SentenceTransformerEmbedder(EmbedderConfig(device="none")), pending([]))) == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"text": ["a"]}), "need a column content_hash"),
        (pa.table({"content_hash": ["a"], "text": pa.array([None], pa.string())}), "nulls in text"),
        (pa.table({"content_hash": ["a", "a"], "text": ["a", "b"]}), "more than once"),
    ],
)
def test_bad_tables_are_refused(table: pa.Table, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(embed_pending(embedder(), table))


def test_commit_rows_must_be_positive() -> None:
    with pytest.raises(InputError, match="commit_rows"):
        list(embed_pending(embedder(), pending(["a"]), commit_rows=0))


def test_arrow_shares_the_vectors_memory() -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    array = vectors_to_arrow(vectors)
    assert array.to_pylist() == vectors.tolist()
    assert array.values.buffers()[1].address == vectors.ctypes.data
    assert len(vectors_to_arrow(np.empty((0, 4), np.float32))) == 0


@pytest.mark.slow
def test_a_real_model_through_units(minilm: SentenceTransformerEmbedder) -> None:
    texts = [f"topic {n}: " + "the quick brown fox " * (n % 7) for n in range(70)]
    done = pa.concat_tables(embed_pending(minilm, pending(texts), commit_rows=32))
    by_hash = dict(zip(done["content_hash"].to_pylist(), matrix(done), strict=True))
    expected = minilm.embed_documents(texts)
    np.testing.assert_allclose([by_hash[content_hash(text)] for text in texts], expected, atol=2e-6)
