"""The files of a namespace: how its state is found, and how the next one takes its place.

Laws
----
1. ``CURRENT`` names the manifest and its digest, and is replaced by one rename after everything it leads to is on disk:
   a crash at any point leaves the state before, plus files that nothing refers to.
2. Whoever publishes or collects holds the namespace's lock. Readers take none.
3. Files of the last few manifests stay, so that a reader who has just read an older ``CURRENT`` can still open them; files
   that nothing refers to stay for a short grace. A reader that is slower still reads ``CURRENT`` again.
4. Files that are not of this format are nobody's business but a drop's: they are neither read nor collected.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vector_pipeline.errors import CorruptError, InputError, UnknownOutcomeError, VectorPipelineError
from vector_pipeline.targets.duckdb.failures import VanishedError, unavailable
from vector_pipeline.targets.duckdb.manifest import Manifest, parse_manifest

KEPT_MANIFESTS = 4
GRACE_SECONDS = 10.0
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_OURS = re.compile(r"(seg|chg)-[0-9a-f]+\.duckdb(\.wal)?|manifest-(\d+)\.json|CURRENT\.new")
_POINTER = re.compile(r"(manifest-(\d+)\.json) ([0-9a-f]{64})\n")


def is_name(namespace: str) -> bool:
    """Whether a folder of that name may be a namespace."""
    return _NAME.fullmatch(namespace) is not None


def check_name(namespace: str) -> str:
    """The name, if it is safe as a folder's; ``InputError`` otherwise."""
    if not is_name(namespace):
        raise InputError(
            f"{namespace!r} is no namespace name",
            fix="Use 1 to 100 of a-z 0-9 _ . - and begin with a letter or digit",
        )
    return namespace


@dataclass(frozen=True, slots=True)
class Folder:
    """Folder of one namespace."""

    path: Path

    def pointer(self) -> str | None:
        """Content of ``CURRENT``; None when the namespace does not exist. Equal pointers mean an equal state."""
        try:
            return (self.path / "CURRENT").read_text("ascii")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except UnicodeDecodeError as error:
            raise CorruptError(f"{self.path / 'CURRENT'} is not text") from error
        except OSError as error:
            raise unavailable(self.path, error) from error

    def load(self, pointer: str) -> Manifest:
        """The manifest that a pointer names. ``VanishedError`` when it is gone already."""
        match = _POINTER.fullmatch(pointer)
        if match is None:
            raise CorruptError(f"{self.path / 'CURRENT'} names no manifest", fix="Drop the namespace and push it again")
        file = self.path / match[1]
        try:
            data = file.read_bytes()
        except FileNotFoundError as error:
            raise VanishedError(str(file)) from error
        except OSError as error:
            raise unavailable(file, error) from error
        if hashlib.sha256(data).hexdigest() != match[3]:
            raise CorruptError(f"{file} is not what CURRENT names", fix="Drop the namespace and push it again")
        return parse_manifest(data, str(file))

    def create(self) -> None:
        """Make an empty folder for a new namespace, its name on disk with it."""
        self.remove()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            sync_folder(self.path.parent)
            with suppress(PermissionError):  # it was not made by us
                sync_folder(self.path.parent.parent)
        except OSError as error:
            raise unavailable(self.path, error) from error

    def publish(self, manifest: Manifest) -> None:
        """Make a manifest the namespace's state. The files it names must be on disk."""
        name = f"manifest-{manifest.number}.json"
        data = manifest.to_json()
        pointer = f"{name} {hashlib.sha256(data).hexdigest()}\n"
        new = self.path / "CURRENT.new"
        try:
            write_synced(self.path / name, data)
            write_synced(new, pointer.encode("ascii"))
            sync_folder(self.path)
            os.replace(new, self.path / "CURRENT")  # noqa: PTH105 (the atomic step, by name)
        except OSError as error:
            # A network disk may say that a rename failed which it made: only the pointer tells.
            if self.pointer() != pointer:
                self.forget([name, new.name])
                raise unavailable(self.path, error) from error
        try:
            sync_folder(self.path)
        except OSError as error:
            raise UnknownOutcomeError(
                f"{self.path}: the write landed but may not survive a power cut ({error.strerror})"
            ) from error

    @contextmanager
    def making(self) -> Iterator[list[str]]:
        """A list for the names of new files: deleted again when the block could not publish them."""
        made: list[str] = []
        try:
            yield made
        except VectorPipelineError as error:
            if not isinstance(error, UnknownOutcomeError):
                self.forget(made)
            raise

    def forget(self, names: Iterable[str]) -> None:
        """Delete files that nothing names: a full disk must not stay full of them."""
        for name in names:
            with suppress(OSError):
                (self.path / name).unlink()

    def collect(self, manifest: Manifest, *, at_once: bool = False) -> list[str]:
        """Delete what nothing needs any more, given the state now; names of what was deleted. ``at_once``: all but that state.

        What cannot be deleted is left for the next call: the write before this has landed whatever happens here.
        """
        gone: list[str] = []
        with suppress(OSError):
            self._collect(manifest, gone, at_once=at_once)
        return gone

    def _collect(self, manifest: Manifest, gone: list[str], *, at_once: bool) -> None:
        kept = {"CURRENT", *manifest.files}
        oldest = manifest.number - (1 if at_once else KEPT_MANIFESTS) + 1
        ours = [
            (file, match) for file in self.path.iterdir() if (match := _OURS.fullmatch(file.name)) and file.is_file()
        ]
        for file, match in ours:
            if match[3] and oldest <= int(match[3]) <= manifest.number:
                kept.add(file.name)
                with suppress(CorruptError):
                    kept.update(parse_manifest(file.read_bytes(), str(file)).files)
        youngest = float("inf") if at_once else time.time() - GRACE_SECONDS
        for file, _ in ours:
            if file.name not in kept and file.stat().st_mtime <= youngest:
                file.unlink(missing_ok=True)
                gone.append(file.name)

    def remove(self) -> None:
        """Delete the namespace. Readers that have its files open go on reading them."""
        try:
            (self.path / "CURRENT").unlink(missing_ok=True)
            if self.path.is_dir():
                sync_folder(self.path)
        except OSError as error:
            raise unavailable(self.path, error) from error
        with suppress(OSError):  # without CURRENT the namespace is gone; ensure_namespace clears what is left
            shutil.rmtree(self.path)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file whole, and wait until it is on disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until a folder's entries are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
