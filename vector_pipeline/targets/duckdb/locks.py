"""Who may write: one process at a time per namespace, and only with a fence that is not older than the last.

Locks and fences lie beside the namespaces, in ``<root>/.locks``, and are never deleted: a lock file that came and went would
let two processes hold two files of one name, and a dropped namespace must not forget its fence.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from vector_pipeline.errors import ConflictError, UnavailableError
from vector_pipeline.targets.duckdb.failures import VanishedError, unavailable
from vector_pipeline.targets.duckdb.folder import Folder, check_name, write_synced


@contextmanager
def locked(root: Path, namespace: str, timeout_s: float) -> Iterator[Folder]:
    """The namespace's folder, with its lock held. ``ConflictError`` at the deadline."""
    folder = Folder(root / check_name(namespace))
    locks = root / ".locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(locks / namespace, thread_local=False, preserve_lock_file=True, fallback_to_soft=False)
        lock.acquire(timeout=timeout_s)
    except filelock.Timeout as error:
        raise ConflictError(f"another process has been writing to {folder.path} for {timeout_s:g} s") from error
    except OSError as error:
        raise unavailable(locks, error) from error
    try:
        yield folder
    except VanishedError as error:
        raise UnavailableError(
            f"{folder.path}: a file that was there at the begin of the write is gone ({error})",
            fix="See who else writes to this folder, then try again",
        ) from error
    finally:
        lock.release()


def check_fence(namespace: str, fence: int, seen: int) -> None:
    """Law 5 of a target: ``ConflictError`` for a fence below the highest seen."""
    if fence < seen:
        raise ConflictError(
            f"fence {fence} of namespace {namespace} is older than {seen}: another writer has taken over",
            fix="Take the lease again and plan anew",
        )


def remembered_fence(root: Path, namespace: str) -> int:
    """Highest fence that a namespace of that name has seen, as far as it was written beside it."""
    try:
        return int(_fence_file(root, namespace).read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return 0
    except OSError as error:
        raise unavailable(root, error) from error


def remember_fence(root: Path, namespace: str, fence: int) -> None:
    """Keep the fence of a namespace that is dropped, or may turn out corrupt: a writer without the lease must stay out."""
    file = _fence_file(root, namespace)
    try:
        write_synced(file.with_name(f"{file.name}.new"), f"{fence}".encode("ascii"))
        file.with_name(f"{file.name}.new").replace(file)
    except OSError as error:
        raise unavailable(root, error) from error


def _fence_file(root: Path, namespace: str) -> Path:
    return root / ".locks" / f"{namespace}@fence"  # no namespace name holds an @
