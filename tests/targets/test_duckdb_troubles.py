"""The DuckDB target among troubles: corrupt state, foreign hands, full and read-only disks. One clear error, nothing changed."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from vector_pipeline.errors import ConflictError, CorruptError, UnavailableError, UnknownOutcomeError
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.duckdb import DuckDBTarget, folder, merging
from vector_pipeline.targets.duckdb.holding import MANY
from vector_pipeline.testing.target_records import (
    DIMENSION,
    SPACE,
    make_derived,
    make_metadata,
    make_records,
    unit_vectors,
)

SPEC = NamespaceSpec("ns", DIMENSION, "cosine", SPACE)
IDS = [f"d#{index:03d}" for index in range(200)]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DuckDBTarget]:
    target = DuckDBTarget("local", tmp_path / "index", lock_timeout_s=0.2)
    target.ensure_namespace(SPEC, fence=4)
    target.upsert("ns", make_records(IDS), fence=4)
    yield target
    target.close()


def writes(target: DuckDBTarget, size: int = 5) -> list[Callable[[], object]]:
    """Every write there is, on namespace ``ns``."""
    names = [f"new#{index:06d}" for index in range(size)]
    return [
        lambda: target.upsert("ns", make_records(names), fence=4),
        lambda: target.set_removed("ns", pa.array(IDS[:size]), 7, fence=4),
        lambda: target.derive("ns", make_derived(dict.fromkeys(names, IDS[0])), fence=4),
        lambda: target.set_metadata("ns", make_metadata({name: {"a": "b"} for name in IDS[:size]}), fence=4),
        lambda: target.delete("ns", pa.array(IDS[:size]), fence=4),
        lambda: target.drop_namespace("ns", fence=4),
    ]


def content(root: Path) -> list[tuple[str, bytes]]:
    return [(str(file), file.read_bytes()) for file in sorted(root.rglob("*")) if file.is_file()]


@pytest.mark.parametrize("damage", ["pointer", "text", "manifest", "no manifest", "no segment", "segment"])
def test_what_is_corrupt_can_be_dropped(target: DuckDBTarget, damage: str) -> None:
    place = target.root / "ns"
    target.close()
    match damage:
        case "pointer":
            (place / "CURRENT").write_text("nonsense")
        case "text":
            (place / "CURRENT").write_bytes(b"\xff\xfe")
        case "manifest":
            for file in place.glob("manifest-*"):
                file.write_text("{}")
        case "no manifest":
            for file in place.glob("manifest-*"):
                file.unlink()
        case "no segment":
            for file in place.glob("seg-*"):
                file.unlink()
        case "segment":
            for file in place.glob("seg-*"):
                file.write_bytes(b"nonsense" * 4000)
    other = DuckDBTarget("other", target.root)
    for write in writes(other)[:-1]:
        with pytest.raises(CorruptError, match="ns"):
            write()
    with pytest.raises(ConflictError, match="4"):
        other.drop_namespace("ns", fence=3)
    other.drop_namespace("ns", fence=4)
    assert other.describe("ns") is None
    with pytest.raises(ConflictError):
        other.ensure_namespace(SPEC, fence=3)
    assert other.ensure_namespace(SPEC, fence=5).records == 0
    other.close()


def test_foreign_files_are_left_alone(target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "GRACE_SECONDS", -1.0)
    place = target.root / "ns"
    foreign = ["manifest-abc.json", "manifest-.json", "notes.txt", "seg-README.duckdb", ".nfs0001"]
    for name in foreign:
        (place / name).write_text("mine")
    (place / "manifest-7.json.d").mkdir()
    (place / "seg-00.duckdb").mkdir()
    (target.root / "Backups").mkdir()
    (target.root / "Backups" / "CURRENT").write_text("mine")
    orphan = place / "seg-0123.duckdb"
    orphan.write_text("a writer died here")
    for index in range(10):
        target.upsert("ns", make_records(IDS[index : index + 5]), fence=4)
    assert not orphan.exists()
    assert {name for name in foreign if (place / name).exists()} == set(foreign)
    assert len(list(place.glob("manifest-[0-9]*.json"))) == folder.KEPT_MANIFESTS
    assert target.namespaces() == ["ns"]
    target.drop_namespace("ns", fence=4)
    assert not place.exists()


def test_a_folder_that_is_taken_away_during_a_write(target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    place = target.root / "ns"
    apart = target.root / "apart"
    find = type(target._writer)._find

    def taken(*arguments: object) -> pa.Table:
        found = find(*arguments)  # type: ignore[arg-type]
        place.rename(apart)
        return found

    monkeypatch.setattr(type(target._writer), "_find", taken)
    for write in writes(target)[:-1]:
        before = content(target.root)
        with pytest.raises(UnavailableError, match="ns"):
            write()
        apart.rename(place)
        assert content(target.root) == before
    monkeypatch.undo()
    assert sum(batch.num_rows for batch in target.scan("ns")) == len(IDS)


def _fails(code: int) -> Callable[..., None]:
    def fail(*arguments: object) -> None:
        raise OSError(code, os.strerror(code), str(arguments[0]))

    return fail


def test_a_publication_that_fails_leaves_nothing(target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(target.root)
    monkeypatch.setattr(os, "replace", _fails(errno.EIO))
    for write in writes(target)[:-1]:
        with pytest.raises(UnavailableError, match="ns") as caught:
            write()
        assert not isinstance(caught.value, UnknownOutcomeError)
        assert content(target.root) == before


def test_a_landed_write_does_not_fail_by_its_compaction(
    target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise CorruptError("an old segment is broken")

    monkeypatch.setattr(merging, "run_merge", fail)
    for index in range(10):
        assert target.upsert("ns", make_records([f"new#{index}"]), fence=4).records == 1
    assert "put off" in caplog.text


def test_a_new_namespace_is_synced_into_its_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    sync = folder.sync_folder
    monkeypatch.setattr(folder, "sync_folder", lambda path: (synced.append(path), sync(path)))
    target = DuckDBTarget("local", tmp_path / "index")
    target.ensure_namespace(SPEC)
    target.close()
    assert {tmp_path, tmp_path / "index", tmp_path / "index" / "ns"} <= set(synced)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(disk)], capture_output=True)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if made.returncode:
        pytest.skip("mounting a file system needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    target = DuckDBTarget("local", small_disk / "index")
    target.ensure_namespace(SPEC, fence=4)
    target.upsert("ns", make_records(IDS), fence=4)
    before = content(small_disk)
    for write in (writes(target, 40_000)[0], writes(target, 40_000)[2]):
        with pytest.raises(UnavailableError, match=str(small_disk)) as caught:
            write()
        assert not isinstance(caught.value, UnknownOutcomeError)
        assert content(small_disk) == before
    stuffing = small_disk / "stuffing"
    with pytest.raises(OSError, match="space"):
        stuffing.write_bytes(b"x" * 4_000_000)
    for write in writes(target)[:-1]:
        with pytest.raises(UnavailableError, match="index"):
            write()
    assert len(target.query("ns", unit_vectors(1), top_k=300)[0]) == len(IDS)
    stuffing.unlink()
    assert content(small_disk) == before
    for write in writes(target):
        write()
    target.close()


def test_a_read_only_disk(small_disk: Path) -> None:
    made = DuckDBTarget("made", small_disk / "index")
    made.ensure_namespace(SPEC, fence=4)
    made.upsert("ns", make_records(IDS), fence=4)
    made.close()
    before = content(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    target = DuckDBTarget("local", small_disk / "index")
    for write in [*writes(target), lambda: target.ensure_namespace(SPEC, fence=9), lambda: target.compact("ns")]:
        with pytest.raises(UnavailableError, match=str(small_disk)):
            write()
    assert len(target.query("ns", unit_vectors(1), top_k=300)[0]) == len(IDS)
    assert content(small_disk) == before
    fresh = DuckDBTarget("fresh", small_disk / "other")
    with pytest.raises(UnavailableError, match="other"):
        fresh.ensure_namespace(SPEC)
    target.close()


def test_a_folder_without_permission(target: DuckDBTarget) -> None:
    place = target.root / "ns"
    before = content(place)
    place.chmod(0o500)
    if os.access(place, os.W_OK):
        pytest.skip("root may write everywhere")
    for write in writes(target)[:-1]:
        with pytest.raises(UnavailableError, match="ermission"):
            write()
    place.chmod(0o700)
    assert content(place) == before


@pytest.mark.parametrize("held", [True, False])
def test_what_is_corrupt_in_the_middle_of_a_file_is_no_fault_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    """DuckDB tells it when it gave what stands before."""
    records = make_records([f"d#{index:06d}" for index in range(50_000)], unit_vectors(50_000, 1, 64))
    target = DuckDBTarget("local", tmp_path)
    target.ensure_namespace(NamespaceSpec("ns", 64, "cosine", SPACE), fence=1)
    target.upsert("ns", records, fence=1)
    target.close()
    (file,) = (tmp_path / "ns").glob("seg-*.duckdb")
    whole = file.read_bytes()
    place = whole.rindex(records["vector"].combine_chunks().flatten()[-64:].to_numpy().tobytes())
    file.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
    target = DuckDBTarget("local", tmp_path)
    monkeypatch.setattr(target._holder, "_fits", lambda _: held)
    with pytest.raises(CorruptError, match=r"checksum.*push it again"):
        target.query("ns", unit_vectors(MANY, 2, 64), top_k=3)
    target.close()


def test_what_is_stopped_in_the_middle_says_so(target: DuckDBTarget) -> None:
    def stopped() -> None:
        with target._engine.cursor(streams=True) as cursor:
            for _ in cursor.execute("SELECT n + 1 FROM range(100_000_000) r(n)").to_arrow_reader(10_000):
                cursor.interrupt()

    with pytest.raises(UnavailableError, match="nobody waits") as raised:
        stopped()
    assert raised.value.code == "timeout"
