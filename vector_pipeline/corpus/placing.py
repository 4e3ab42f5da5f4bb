"""A file becomes part of a source of files: whole or not at all, and only if a document can be made of it.

Laws
----
1. What would not be listed, not be read or not be parsed is refused before the source is touched, with the reason.
2. A reader of the folder sees the file as it was before or as it is now, never a part of it: it is written beside under a hidden
   name, which no pattern matches, and renamed.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from vector_pipeline.config import FileSourceConfig
from vector_pipeline.corpus.globs import GlobSet
from vector_pipeline.corpus.model import Document, Quarantined, Reason
from vector_pipeline.corpus.parsing import parse
from vector_pipeline.errors import UnavailableError


def judged(config: FileSourceConfig, item_id: str, path: Path) -> Document | Quarantined:
    """What a file would become as ``item_id`` of a source. Raises ``OSError`` when it cannot be read."""
    names = PurePosixPath(item_id).parts
    if not names or item_id.startswith("/") or ".." in names or not _encodes(item_id):
        return Quarantined(item_id, Reason.BAD_ID, "no document id can be made of its name: rename it")
    unwanted = GlobSet(config.exclude, hidden=True)
    if not GlobSet(config.include).matches(item_id) or any(unwanted.matches(one) for one in _above(item_id)):
        return Quarantined(
            item_id, Reason.UNSUPPORTED, "the source's `include:` and `exclude:` leave it out: rename it"
        )
    size = path.stat().st_size
    if size > config.max_file_size:
        detail = f"{size:,} bytes; `max_file_size` is {config.max_file_size:,}: split it or raise it"
        return Quarantined(item_id, Reason.TOO_LARGE, detail)
    return parse(item_id, path.read_bytes())


def _above(item_id: str) -> list[str]:
    """A path and the folders that it lies in: one that is excluded takes everything below with it."""
    path = PurePosixPath(item_id)
    return [one.as_posix() for one in (path, *path.parents) if one.as_posix() != "."]


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def copy_into(path: Path, goal: Path) -> None:
    """Copy a file to ``goal``; equal bytes are left alone. Raises ``OSError``."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    beside = goal.with_name(f".{goal.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with path.open("rb") as source, beside.open("xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            sink.flush()
            os.fsync(sink.fileno())
        beside.replace(goal)
    finally:
        with suppress(OSError):
            beside.unlink()


def move_into(path: Path, goal: Path) -> None:
    """Move a file to ``goal``, from whatever disk. Raises ``OSError``."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    if path.stat().st_dev == goal.parent.stat().st_dev:
        path.replace(goal)
        return
    copy_into(path, goal)
    path.unlink()


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """``UnavailableError`` for what the file system refuses."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"{error.filename or path} cannot be read or written: {error.strerror}", fix="Allow it, then try again"
        ) from None
