"""An inbox: files that somebody dropped become part of the source, or are put aside with the reason.

Laws
----
1. Looking costs one stat a file and opens none. What somebody still writes to is left alone: a file counts when it has been at rest
   for a while. Hidden files, and names that programs give to what they have not finished, are not looked at.
2. A file is always in exactly one place that this page names: the inbox, ``_taking``, ``_aside`` or the source. A process that is
   killed leaves it in one of them, and the next one goes on from there. What may not be moved or listed stays where it is, and
   stops no other file.
3. What cannot become a document lies in ``_aside`` under its own name, and beside it a text that says why. Nothing is overwritten
   there. In the source a file of the same name is replaced: that is how a document is changed.
"""

import errno
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock

from vector_pipeline.config import FileSourceConfig
from vector_pipeline.corpus.model import Quarantined, Reason
from vector_pipeline.corpus.placing import judged, move_into, told_of
from vector_pipeline.errors import ConfigError

ASIDE, TAKING = "_aside", "_taking"
REASON = ".reason.txt"
_UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")
_LOG = logging.getLogger(__name__)
_IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class Took:
    """What one look at an inbox moved."""

    moved: tuple[str, ...] = ()
    """Ids of the documents that are in the source now."""
    aside: tuple[Quarantined, ...] = ()


class Inbox:
    """A folder that belongs to one source. ``root``: the source's folder."""

    def __init__(self, folder: Path, source: FileSourceConfig, root: Path, *, settle_s: float = 2) -> None:
        self.folder, self.source, self.root, self.settle_s = folder, source, root, settle_s
        inside, around = (one.resolve() for one in (folder, root))
        if inside == around or around in inside.parents or inside in around.parents:
            raise ConfigError(
                f"the inbox {folder} and the source {root} lie in each other", fix="Give the inbox a folder of its own"
            )

    def waiting(self, *, now: float | None = None) -> list[str]:
        """Ids of files that are at rest, in order, and of those that an earlier process was taking."""
        return sorted({item for item, _ in self.seen(now=now)})

    def seen(self, *, now: float | None = None) -> list[tuple[str, str]]:
        """The same with a revision each, in order: a file of the same name that comes later has another one."""
        now = time.time() if now is None else now
        with told_of(self.folder):
            begun = list(self._files(self.folder / TAKING))
            rested = [(one, status) for one, status in self._files(self.folder) if self._rests(status, now)]
        return sorted((one, _revision(status)) for one, status in [*begun, *rested])

    def take(self, wanted: Callable[[str], bool] = lambda _: True) -> Took:
        """Move what waits and is wanted into the source. ``UnavailableError`` where the file system refuses."""
        ids = [one for one in self.waiting() if wanted(one)]
        if not ids:
            return Took()
        moved: list[str] = []
        aside: list[Quarantined] = []
        with told_of(self.folder):
            (self.folder / TAKING).mkdir(parents=True, exist_ok=True)
            # Two runs at once would each find what the other has moved away.
            with FileLock(self.folder / TAKING / ".lock"):
                for one in ids:
                    for _ in range(2):  # What was begun first, then what came since under the same name.
                        said = self._take(one)
                        if isinstance(said, Quarantined):
                            aside.append(said)
                        elif said:
                            moved.append(one)
        return Took(tuple(dict.fromkeys(moved)), tuple(aside))

    def _take(self, item: str) -> Quarantined | bool:
        path, held = self.folder / item, self.folder / TAKING / item
        if not held.exists():
            held.parent.mkdir(parents=True, exist_ok=True)
            try:
                if not self._rests(path.lstat(), time.time()):
                    return False
                path.rename(held)
            except FileNotFoundError:
                return False
            except PermissionError as error:
                # Its own folder is somebody else's: that one file stays, and stops no other.
                self._prune(held.parent)
                detail = f"it may not be moved, and stays in the inbox: {error.strerror}; allow it in its folder"
                return Quarantined(item, Reason.UNREADABLE, detail)
        try:
            said = judged(self.source, item, held)
        except PermissionError as error:
            # To move a file away, nobody has to be allowed to read it.
            said = Quarantined(item, Reason.UNREADABLE, f"it may not be read: {error.strerror}; allow it")
        if not isinstance(said, Quarantined):
            try:
                move_into(held, self.root / item)
            except OSError as error:
                if error.errno not in _IN_THE_WAY:
                    raise
                said = Quarantined(
                    item, Reason.BAD_ID, f"the source has no place of that name: {error.strerror}; rename it"
                )
        if isinstance(said, Quarantined):
            self._put_aside(held, said)
        self._prune(held.parent)
        return said if isinstance(said, Quarantined) else True

    def _put_aside(self, held: Path, why: Quarantined) -> None:
        goal = first = self.folder / ASIDE / why.id
        goal.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while goal.exists() or Path(f"{goal}{REASON}").exists():
            number += 1
            goal = first.with_name(f"{first.stem}.{number}{first.suffix}")
        # The reason first: a file that lies aside always has one.
        said = f"{why.id}: {why.detail} ({why.reason})\n"
        Path(f"{goal}{REASON}").write_text(said, encoding="utf-8", errors="backslashreplace")
        held.rename(goal)

    def _files(self, folder: Path, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        except PermissionError as error:
            if not prefix:
                raise
            _LOG.warning("the folder %s of the inbox is left alone: %s; allow it", folder, error.strerror)
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith(_UNFINISHED):
                continue
            if entry.is_dir(follow_symlinks=False):
                if prefix or entry.name not in (ASIDE, TAKING):
                    yield from self._files(Path(entry.path), f"{prefix}{entry.name}/")
                continue
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield PurePosixPath(f"{prefix}{entry.name}").as_posix(), status

    def _rests(self, status: os.stat_result, now: float) -> bool:
        # A copy that keeps the times of its original has a recent ctime.
        return now - max(status.st_mtime, status.st_ctime) >= self.settle_s

    def _prune(self, folder: Path) -> None:
        """Remove the folders of ``_taking`` that the move left empty. Those of the inbox itself are somebody's who may be at it."""
        top = self.folder / TAKING
        while top in folder.parents:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


def _revision(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
