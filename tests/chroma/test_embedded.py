"""An embedded Chroma: several targets, threads and processes over one folder, and what is left when they are closed."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import pytest

from vector_pipeline.config import ChromaTargetConfig
from vector_pipeline.errors import ConfigError, CorruptError, NotFoundError, RefusedError, UnavailableError
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.chroma import ChromaTarget, embedded
from vector_pipeline.testing.target_records import SPACE, Namespace, make_records, unit_vectors

REPOSITORY = Path(__file__).parents[2]


def at(folder: Path, **options: bool) -> ChromaTarget:
    return ChromaTarget("local", ChromaTargetConfig(kind="chroma", path=Path("chroma")), folder, **options)


def process(code: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, *(["-m", code] if "." in code and " " not in code else ["-c", code]), *arguments]
    return subprocess.Popen(
        command, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_reading_makes_nothing(tmp_path: Path) -> None:
    target = at(tmp_path)
    assert (target.namespaces(), target.describe("some-name")) == ([], None)
    with pytest.raises(NotFoundError):
        target.scan("some-name")
    with pytest.raises(NotFoundError):
        target.query("some-name", unit_vectors(1), top_k=1)
    target.drop_namespace("some-name")
    reader = at(tmp_path, read_only=True)
    with pytest.raises(RefusedError, match="read-only"):
        reader.ensure_namespace(NamespaceSpec("some-name", 8, "cosine", SPACE))
    assert list(tmp_path.iterdir()) == []


def test_closing_releases(tmp_path: Path) -> None:
    def opened() -> tuple[int, int]:
        """Files of the target that are open, and threads."""
        files = [str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
        return sum(file.startswith(str(tmp_path)) for file in files), len([*Path("/proc/self/task").iterdir()])

    sizes = []
    for number in range(12):
        targets = [at(tmp_path / f"p{number % 2}") for _ in range(3)]
        space = Namespace(targets[0])
        space.create()
        space.upsert(make_records(["a#1"]))
        assert targets[1].describe(space.name) == targets[2].describe(space.name)
        assert len(embedded._FOLDERS) == 1
        for target in targets:
            target.close()
            target.close()
        assert not embedded._FOLDERS
        with pytest.raises(UnavailableError, match="closed"):
            targets[0].namespaces()
        sizes.append(opened())
    # Chroma closes its files when its own threads come to it: one may be open still. A leak adds one or more a round.
    assert sizes[-1][0] < sizes[3][0] + 4
    assert sizes[-1][1] <= sizes[3][1] + 4


def test_targets_of_one_process_see_each_other(tmp_path: Path) -> None:
    first, second = at(tmp_path), at(tmp_path)
    space = Namespace(first)
    space.create()
    space.upsert(make_records(["a#1"]))
    assert second.fetch(space.name, ["a#1"]).num_rows == 1
    first.close()
    assert second.describe(space.name) is not None
    second.close()


@pytest.mark.slow
def test_threads_share_a_folder(tmp_path: Path) -> None:
    target = at(tmp_path)
    space = Namespace(target)
    space.create()

    def work(number: int) -> int:
        space.upsert(make_records([f"t{number}#{part}" for part in range(20)]))
        return len(target.query(space.name, unit_vectors(1), top_k=500)[0])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(24)))
    assert max(found) == 480
    assert len(space.ids()) == 480
    target.close()


@pytest.mark.slow
def test_processes_take_turns(tmp_path: Path) -> None:
    """Chroma alone would not see what another process wrote, and fails on it."""
    target = at(tmp_path)
    space = Namespace(target)
    space.create()
    folder = str(tmp_path / "chroma")
    others = [process("tests.chroma.hand", folder, space.name, who, "12") for who in ("one", "two")]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    for other in others:
        assert other.stdin is not None
        other.stdin.write("go\n")
        other.stdin.flush()
    for number in range(12):
        space.upsert(make_records([f"me#{number:03d}"]))
        state = target.describe(space.name)
        assert state is not None
        assert len(target.query(space.name, unit_vectors(1), top_k=5_000)[0]) >= state.records
    for other in others:
        said = other.communicate(timeout=120)
        assert (other.returncode, said[1]) == (0, "")
    assert len(space.ids()) == 12 + 2 * 48
    assert len(target.query(space.name, unit_vectors(1), top_k=5_000, exact=False, version=1)[0]) == 108
    target.close()


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_batches(tmp_path: Path) -> None:
    target = at(tmp_path)
    space = Namespace(target)
    space.create()
    code = (
        "import sys; from pathlib import Path; from vector_pipeline.config import ChromaTargetConfig;"
        "from vector_pipeline.targets.chroma import ChromaTarget; from vector_pipeline.testing.target_records import *\n"
        "t = ChromaTarget('x', ChromaTargetConfig(kind='chroma', path=Path(sys.argv[1])), Path())\n"
        "for n in range(10**6):\n"
        "    t.upsert(sys.argv[2], make_records([f'b{n:04d}#{m:03d}' for m in range(300)])); print(n, flush=True)\n"
    )
    for _ in range(3):
        writer = process(code, str(tmp_path / "chroma"), space.name)
        assert writer.stdout is not None
        for _ in range(3):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        ids = space.ids()
        assert len(ids) % 300 == 0
        assert len(ids) >= 900
        assert len(target.query(space.name, unit_vectors(1), top_k=10_000)[0]) == len(ids)
        assert space.fetched(ids[-3:]).keys() == set(ids[-3:])
        assert space.mark() == space.mark()
    target.close()


def test_a_folder_that_stays_in_use(tmp_path: Path) -> None:
    target = at(tmp_path)
    space = Namespace(target)
    space.create()
    target._connection._lock_timeout_s = 0.1  # type: ignore[attr-defined]
    with (
        filelock.FileLock(tmp_path / "chroma" / embedded._LOCK),
        pytest.raises(UnavailableError, match="another process"),
    ):
        space.ids()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with target._connection.session():
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    with pytest.raises(UnavailableError, match="this process"):
        space.ids()
    done.set()
    holder.join()
    assert space.ids() == []
    target.close()


def test_what_is_no_chroma(tmp_path: Path) -> None:
    (tmp_path / "chroma").mkdir()
    (tmp_path / "chroma" / "chroma.sqlite3").write_bytes(b"this is no database at all" * 100)
    target = at(tmp_path)
    with pytest.raises((UnavailableError, CorruptError), match="chroma"):
        target.namespaces()
    target.close()
    (tmp_path / "file").write_text("x")
    blocked = ChromaTarget("local", ChromaTargetConfig(kind="chroma", path=Path("file/chroma")), tmp_path)
    with pytest.raises(UnavailableError, match="file"):
        blocked.ensure_namespace(NamespaceSpec("some-name", 8, "cosine", SPACE))
    blocked.close()


def test_a_missing_database(tmp_path: Path) -> None:
    config = ChromaTargetConfig(kind="chroma", path=Path("chroma"), database="nowhere")
    target = ChromaTarget("local", config, tmp_path)
    with pytest.raises(ConfigError, match="nowhere"):
        target.ensure_namespace(NamespaceSpec("some-name", 8, "cosine", SPACE))
    target.close()


def test_chromadb_is_imported_late_and_says_nothing(tmp_path: Path) -> None:
    """Neither the command line nor an open target pays for it, and a screen stays clean."""
    (tmp_path / ".env").write_text("CHROMA_API_IMPL=nonsense\nANONYMIZED_TELEMETRY=True\n")
    code = (
        "import sys; from pathlib import Path; from vector_pipeline.config import ChromaTargetConfig\n"
        "from vector_pipeline.targets.factory import open_target\n"
        "from vector_pipeline.testing.target_records import *\n"
        "t = open_target('x', ChromaTargetConfig(kind='chroma', path=Path('chroma')), Path(sys.argv[1]))\n"
        "t.namespaces(); assert 'chromadb' not in sys.modules\n"
        "s = Namespace(t); s.create(); s.upsert(make_records(['a#1'])); assert s.hits(unit_vectors(1)) == ['a#1']; t.close()\n"
    )
    other = subprocess.run(
        [sys.executable, "-W", "default", "-c", code, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True,
        timeout=120, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=False,
    )  # fmt: skip
    assert (other.returncode, other.stdout, other.stderr) == (0, "", "")
