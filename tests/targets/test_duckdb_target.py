"""What is the DuckDB target's own: files, compaction, threads, failures, errors that name their place."""

import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import filelock
import numpy as np
import pyarrow as pa
import pytest

from vector_pipeline.errors import (
    ConflictError,
    CorruptError,
    InputError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from vector_pipeline.targets.base import LIVE, NamespaceSpec
from vector_pipeline.targets.duckdb import DuckDBTarget, compaction, files, folder
from vector_pipeline.targets.duckdb.manifest import Manifest
from vector_pipeline.testing.target_records import (
    DIMENSION,
    SPACE,
    make_derived,
    make_metadata,
    make_records,
    unit_vectors,
)

SPEC = NamespaceSpec("ns", DIMENSION, "cosine", SPACE)


def numbered(first: int, count: int) -> list[str]:
    return [f"d#{index:06d}" for index in range(first, first + count)]


def manifest_of(target: DuckDBTarget) -> Manifest:
    place = folder.Folder(target.root / "ns")
    pointer = place.pointer()
    assert pointer is not None
    return place.load(pointer)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DuckDBTarget]:
    target = DuckDBTarget("local", tmp_path / "index", lock_timeout_s=0.2)
    target.ensure_namespace(SPEC)
    yield target
    target.close()


@pytest.mark.slow
def test_a_small_change_does_not_rewrite_a_big_segment(target: DuckDBTarget) -> None:
    target.upsert("ns", make_records(numbered(0, 20_000)))
    big = manifest_of(target).segments[0]
    for index in range(10):
        receipts = [
            target.upsert("ns", make_records(numbered(index * 3, 3))),
            target.set_removed("ns", pa.array(numbered(1000 + index, 1)), 4),
            target.delete("ns", pa.array(numbered(2000 + index, 1))),
        ]
        assert max(receipt.bytes for receipt in receipts) < 300_000
    manifest = manifest_of(target)
    assert manifest.segments[0].file == big.file
    assert len(manifest.segments) <= compaction.MAX_SEGMENTS
    assert len(manifest.changes) <= compaction.MAX_CHANGES
    assert sum(batch.num_rows for batch in target.scan("ns")) == 20_000 - 10


def test_no_vector_travels_for_new_metadata(tmp_path: Path) -> None:
    target = DuckDBTarget("local", tmp_path)
    target.ensure_namespace(replace(SPEC, dimension=256))
    ids = numbered(0, 2000)
    vectors = unit_vectors(2000, dimension=256)
    target.upsert("ns", make_records(ids, vectors))
    given = make_derived({f"{name}~2": name for name in ids}, metadata={"n": 1})
    described = make_metadata({name: {"n": 2} for name in ids})
    receipts = target.derive("ns", given), target.set_metadata("ns", described), target.set_metadata("ns", described)
    assert [receipt.records for receipt in receipts] == [2000, 2000, 0]
    assert [receipt.bytes for receipt in receipts] == [given.nbytes, described.nbytes, 0]
    assert given.nbytes < vectors.nbytes / 8
    rows = {row["id"]: row["vector"] for row in target.fetch("ns", [f"{ids[7]}~2", ids[7]]).to_pylist()}
    assert rows[ids[7]] == rows[f"{ids[7]}~2"] == vectors[7].tolist()
    target.close()


def test_a_worn_segment_is_rewritten(target: DuckDBTarget) -> None:
    ids = numbered(0, 3000)
    target.upsert("ns", make_records(ids))
    first = manifest_of(target).segments[0].file
    target.set_removed("ns", pa.array(ids[:1600]), 4)
    manifest = manifest_of(target)
    assert [part.file for part in manifest.segments] != [first]
    assert not manifest.changes
    closed = [row for batch in target.scan("ns") for row in batch.column("removed_in").to_pylist()]
    assert closed == [4] * 1600 + [LIVE] * 1400
    target.delete("ns", pa.array(ids))
    assert not manifest_of(target).segments


@pytest.mark.parametrize(
    ("sizes", "limit", "expected"),
    [
        ([5, 4], 2, None),
        ([1000, 1, 1], 2, 1),
        ([3, 2, 2], 2, 0),
        ([1000, 100, 10, 1], 3, 2),
        ([1000, 100, 10, 9, 8], 4, 2),
        ([8, 8, 8, 8, 8], 4, 0),
    ],
)
def test_merge_rule(sizes: list[int], limit: int, expected: int | None) -> None:
    assert compaction.merge_from(sizes, limit) == expected


def test_merging_is_amortised() -> None:
    sizes: list[int] = []
    rewritten = 0
    for _ in range(5000):
        sizes = sorted([*sizes, 10], reverse=True)
        start = compaction.merge_from(sizes, compaction.MAX_SEGMENTS)
        if start is not None:
            merged = sum(sizes[start:])
            rewritten += merged
            sizes = sorted([*sizes[:start], merged], reverse=True)
    assert sum(sizes) == 50_000
    assert rewritten < 50_000 * math.log2(5000)


def test_old_files_go_and_young_ones_stay(target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    place = target.root / "ns"
    orphan = place / "seg-0123.duckdb"
    orphan.write_bytes(b"a writer died here")
    target.upsert("ns", make_records(numbered(0, 5)))
    assert orphan.exists()
    monkeypatch.setattr(folder, "GRACE_SECONDS", -1.0)
    for index in range(10):
        target.upsert("ns", make_records(numbered(index, 5)))
    assert not orphan.exists()
    assert len(list(place.glob("manifest-*.json"))) == folder.KEPT_MANIFESTS
    assert len(list(place.iterdir())) < 40


def test_an_old_view_survives_collection(target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "GRACE_SECONDS", -1.0)
    target.upsert("ns", make_records(numbered(0, 500)))
    reader = DuckDBTarget("reader", target.root, read_only=True)
    scan = reader.scan("ns", batch_records=50)
    rows = next(scan).num_rows
    for index in range(12):
        target.delete("ns", pa.array(numbered(index * 20, 20)))
    target.compact("ns")
    assert len(reader.query("ns", unit_vectors(1), top_k=500)[0]) == 260
    assert rows + sum(batch.num_rows for batch in scan) == 500
    target.drop_namespace("ns")
    with pytest.raises(NotFoundError, match="ns"):
        reader.query("ns", unit_vectors(1), top_k=1)
    reader.close()


@pytest.mark.slow
def test_threads_read_while_one_writes(target: DuckDBTarget) -> None:
    target.upsert("ns", make_records(numbered(0, 100)))
    done = threading.Event()

    def read() -> int:
        reads = 0
        while not done.is_set():
            assert len(target.query("ns", unit_vectors(2), top_k=100)[1]) == 100
            assert len(list(target.scan("ns"))) == 1
            reads += 1
        return reads

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for index in range(8):
                target.upsert("ns", make_records(numbered(index, 80)))
            target.compact("ns")
        finally:
            done.set()
        assert all(reader.result() > 0 for reader in readers)


def test_one_writer_at_a_time(target: DuckDBTarget) -> None:
    with (
        filelock.FileLock(target.root / ".locks" / "ns"),
        pytest.raises(ConflictError, match="another process"),
    ):
        target.delete("ns", pa.array(["a"]))
    other = DuckDBTarget("other", target.root)
    with ThreadPoolExecutor(2) as pool:
        slow = replace(target._writer, lock_timeout_s=60.0)
        futures = [pool.submit(slow.upsert, "ns", make_records(numbered(i, 1)), 0) for i in range(0, 12, 2)]
        futures += [pool.submit(other.upsert, "ns", make_records(numbered(i, 1))) for i in range(1, 12, 2)]
        for future in futures:
            future.result()
    assert sum(batch.num_rows for batch in other.scan("ns")) == 12
    other.close()


def test_read_only(target: DuckDBTarget) -> None:
    target.upsert("ns", make_records(numbered(0, 2)))
    reader = DuckDBTarget("reader", target.root, read_only=True)
    assert len(list(reader.scan("ns"))) == 1
    writes = (
        lambda: reader.ensure_namespace(SPEC),
        lambda: reader.upsert("ns", make_records(["a"])),
        lambda: reader.set_removed("ns", pa.array(["a"]), 2),
        lambda: reader.delete("ns", pa.array(["a"])),
        lambda: reader.drop_namespace("ns"),
        lambda: reader.compact("ns"),
    )
    for write in writes:
        with pytest.raises(RefusedError, match="reader"):
            write()
    reader.close()
    with pytest.raises(UnavailableError, match="closed"):
        reader.query("ns", unit_vectors(1), top_k=1)


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", ".locks", "a b", "a" * 101, "-a", "ü"])
def test_namespace_names(target: DuckDBTarget, name: str) -> None:
    for call in (lambda: target.ensure_namespace(replace(SPEC, name=name)), lambda: target.describe(name)):
        with pytest.raises(InputError, match="namespace name"):
            call()


def test_a_fence_outlives_a_drop(target: DuckDBTarget) -> None:
    target.drop_namespace("ns", fence=8)
    with pytest.raises(ConflictError, match="8"):
        target.ensure_namespace(SPEC, fence=7)
    target.ensure_namespace(SPEC, fence=8)


def test_corruption_is_named(target: DuckDBTarget) -> None:
    target.upsert("ns", make_records(numbered(0, 2)))
    place = target.root / "ns"
    manifest = manifest_of(target)
    saved = {file: file.read_bytes() for file in place.iterdir()}
    segment = place / manifest.segments[0].file
    for file, content in (
        (place / "CURRENT", b"nonsense"),
        (place / "CURRENT", b"\xff\xfe"),
        (place / f"manifest-{manifest.number}.json", b"{}"),
        (segment, b""),
        (segment, b"nonsense" * 4000),
        (segment, saved[segment][: len(saved[segment]) // 2]),
        (segment, None),
    ):
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        fresh = DuckDBTarget("fresh", target.root, read_only=True)
        with pytest.raises(CorruptError, match="ns"):
            fresh.query("ns", unit_vectors(1), top_k=1)
        fresh.close()
        for path, data in saved.items():
            path.write_bytes(data)
    assert len(target.query("ns", unit_vectors(1), top_k=9)[0]) == 2


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a file")
    target = DuckDBTarget("local", tmp_path / "index")
    assert target.namespaces() == []
    with pytest.raises(UnavailableError, match="index"):
        target.ensure_namespace(SPEC)
    target.close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from vector_pipeline.errors import UnavailableError
from vector_pipeline.targets.duckdb import DuckDBTarget
from vector_pipeline.targets.duckdb.manifest import Manifest
from vector_pipeline.testing.target_records import make_records
target = DuckDBTarget("local", Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    target.upsert("ns", make_records([f"e#{i}" for i in range(20_000)]))
except UnavailableError as error:
    assert "ns" in str(error), error
    sys.exit(7)
"""


def test_a_full_disk_changes_nothing(target: DuckDBTarget) -> None:
    target.upsert("ns", make_records(numbered(0, 2)))
    before = sorted(file.name for file in (target.root / "ns").iterdir())
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(target.root)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 7, done.stderr
    assert sorted(file.name for file in (target.root / "ns").iterdir()) == before
    assert sum(batch.num_rows for batch in target.scan("ns")) == 2


def test_zero_vectors(target: DuckDBTarget) -> None:
    zero = np.zeros((1, DIMENSION), np.float32)
    target.upsert("ns", make_records(["zero"], zero))
    target.upsert("ns", make_records(["with"], unit_vectors(1)))
    target.upsert("ns", make_records(["against"], -unit_vectors(1)))
    hits = target.query("ns", unit_vectors(1), top_k=3)[0]
    assert [hit.id for hit in hits] == ["with", "zero", "against"]
    assert hits[1].score == 0
    assert [hit.score for hit in target.query("ns", zero, top_k=3)[0]] == [0, 0, 0]


def test_a_dropped_namespace_comes_back_with_another_mark(target: DuckDBTarget) -> None:
    reader = DuckDBTarget("reader", target.root, read_only=True)
    target.upsert("ns", make_records(numbered(0, 2)))
    assert len(list(reader.scan("ns"))) == 1
    before = target.describe("ns")
    target.drop_namespace("ns")
    target.ensure_namespace(replace(SPEC, dimension=4))
    target.upsert("ns", make_records(["x"], unit_vectors(1, dimension=4)))
    after = target.describe("ns")
    assert before is not None
    assert after is not None
    assert before.mark.partition(":")[0] != after.mark.partition(":")[0]
    assert [hit.id for hit in reader.query("ns", unit_vectors(1, dimension=4), top_k=3)[0]] == ["x"]
    reader.close()


def test_hnsw_proposes_and_exact_scores_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "INDEX_FROM_RECORDS", 500)
    target = DuckDBTarget("approximate", tmp_path, hnsw=True)
    target.ensure_namespace(SPEC)
    target.upsert("ns", make_records(numbered(0, 2000), unit_vectors(2000)))
    target.upsert("ns", make_records(numbered(1990, 100), unit_vectors(100, seed=1)))
    target.set_removed("ns", pa.array(numbered(0, 1900)), 5)
    assert any(part.indexed for part in manifest_of(target).segments)
    queries = unit_vectors(20, seed=2)
    exact = target.query("ns", queries, top_k=10)
    near = target.query("ns", queries, top_k=10, exact=False)
    shared = sum(len({hit.id for hit in a} & {hit.id for hit in b}) for a, b in zip(exact, near, strict=True))
    assert shared >= 0.9 * 200
    scores = {hit.id: hit.score for hit in exact[0]}
    assert all(scores.get(hit.id, hit.score) == hit.score for hit in near[0])
    few = target.query("ns", queries, top_k=150, version=5, exact=False)
    assert [len(hits) for hits in few] == [150] * 20
    target.close()


def test_nothing_is_opened_by_construction(tmp_path: Path) -> None:
    target = DuckDBTarget("local", tmp_path / "index")
    assert target.namespaces() == []
    assert not (tmp_path / "index").exists()
    target.close()
    target.close()


@pytest.mark.timeout(120)
def test_a_fetch_over_changed_segments_ends_on_one_thread(tmp_path: Path) -> None:
    """DuckDB 1.5.5 never ended this union where its result was streamed (``lake.whole``): the sizes are those of a real index."""
    target = DuckDBTarget("local", tmp_path)
    target.ensure_namespace(replace(SPEC, dimension=256))
    target._engine._connection().execute("SET threads = 1")
    closed = {
        2: [(0, 452), (1550, 63)], 4: [(500, 10), (1700, 6)], 5: [(600, 12), (1620, 5), (1940, 3), (1942, 2)], 7: [(2110, 1)],
    }  # fmt: skip
    count = 0
    for number, size in enumerate((1550, 243, 146, 2, 165, 72, 20, 95)):
        vectors = unit_vectors(size, dimension=256)
        target.upsert("ns", make_records(numbered(count, size), vectors=vectors, text="text {id} " * 60))
        count += size
        for first, some in closed.get(number, []):
            target.set_removed("ns", pa.array(numbered(first, some)), 4)
    for seed in range(5):
        wanted = sorted(np.random.default_rng(seed).choice(count, 300, replace=False).tolist())
        found = target.fetch("ns", [f"d#{index:06d}" for index in wanted])
        assert sorted(found["id"].to_pylist()) == [f"d#{index:06d}" for index in wanted]
    target.close()
