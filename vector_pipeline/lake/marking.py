"""Whose the folder of data files is: a mark in it, on local folders and on S3.

Laws
----
1. A folder of data files is one catalog's. Its mark says whose: the registry's id with the environment, and the catalog's own id.
2. The mark is made once, whole, by the first that writes; of several at once one wins, and the others read what it wrote.
3. Data without a mark are taken by the catalog that knows them, and by no other: what it does not know may be another one's.
4. No lake lies within another one's folder.
5. It begins with a dot and does not end in ``.parquet``: no source lists it, and no clean-up of DuckLake's takes it.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vector_pipeline.config import LakeConfig
from vector_pipeline.corpus.record_sql import files_below
from vector_pipeline.corpus.s3_access import S3Access, code_of, refusals
from vector_pipeline.errors import RefusedError, UnavailableError
from vector_pipeline.lake.connection import CATALOG, METADATA, Lake, data_path
from vector_pipeline.lake.retention import ORPHAN_GRACE

MARK = ".vector_pipeline_owner"
_WON_BY_OTHERS = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
_KNOWS_NO_CONDITION = ("NotImplemented", "501")
_NOT_THERE = ("NoSuchKey", "404")
_OWN_FOLDER = "Give this environment a folder of its own (`lake: data:`)"


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a folder is."""

    owner: str
    """The registry's id, and the environment that made it."""
    catalog: str
    """The catalog's own id: see ``Lake.identity``."""


def read_mark(lake: Lake) -> Mark | None:
    """The mark of the lake's data; None: there is none. One look: a file's, or one GET."""
    return _read(lake.data + MARK, _access(lake))


def mark_at(config: LakeConfig, base: Path) -> Mark | None:
    """The same without a lake, which may not have been made. None also where it may not be read."""
    return _read(data_path(config, base) + MARK, S3Access(config.s3), may_fail=True)


def make_mark(lake: Lake, mark: Mark) -> Mark:
    """Laws 2 to 4: mark the lake's data; returns what stands there then. ``RefusedError`` where they may be somebody else's."""
    require_not_nested(lake)
    for above in _above(lake.data):
        if _read(above + MARK, _access(lake), may_fail=True) is not None:
            raise RefusedError(
                f"{lake.data} lies within the data of another lake, {above}", fix=_OWN_FOLDER + ", beside that one"
            )
    _require_known(lake)
    text = f"{mark.owner}\n{mark.catalog}\n"
    if _put(lake, lake.data + MARK, text):
        # Somebody may have marked a folder above or below in the meantime: then both of them look again, and one is refused.
        require_not_nested(lake)
    found = read_mark(lake)
    if found is None:
        raise UnavailableError(f"{lake.data}{MARK} is gone as soon as it was made", fix="Run the command again")
    return found


def require_not_nested(lake: Lake) -> None:
    """Law 4, of what lies below. ``RefusedError`` names the other lake's folder. Lists the whole folder."""
    own = lake.data + MARK
    for (file,) in lake.rows(f"SELECT file FROM glob({files_below(lake.data, f'**/{MARK}')}) ORDER BY 1"):
        if str(file) != own:
            raise RefusedError(
                f"{lake.data} holds the data of another lake, {str(file).removesuffix(MARK)}",
                fix=_OWN_FOLDER + ", beside that one",
            )


def _require_known(lake: Lake) -> None:
    """Law 3. Files younger than the grace for orphans may belong to a commit of this catalog that is under way."""
    found = lake.rows(f"SELECT file FROM glob({files_below(lake.data, '**/*.parquet')}) ORDER BY 1")
    if not found:
        return
    unknown = lake.rows(f"CALL ducklake_delete_orphaned_files('{CATALOG}', cleanup_all => true, dry_run => true)")
    old = lake.rows(
        f"CALL ducklake_delete_orphaned_files('{CATALOG}', older_than => now() - {ORPHAN_GRACE}, dry_run => true)"
    )
    tables = ("ducklake_data_file", "ducklake_files_scheduled_for_deletion")
    if not any(lake.row(f"SELECT count(*) FROM {METADATA}.{one}")[0] for one in tables):
        unknown = found  # DuckLake sees none below a folder with a bracket in its name.
    if old or len(unknown) >= len(found):
        first = str((old or unknown)[0][0])
        raise RefusedError(
            f"{lake.data} holds {len(old or unknown)} data files that this catalog does not know, such as {first}, "
            "and says not whose they are: they may be another catalog's",
            fix=_OWN_FOLDER + "; if no other catalog has files there, delete those first",
        )


def _above(data: str) -> Iterator[str]:
    """The folders, or prefixes of the same bucket, that the data lie within."""
    root = data.find("/", data.find("://") + 3) + 1 if "://" in data else 1
    end = len(data) - 1
    while (end := data.rfind("/", 0, end)) >= root - 1:
        yield data[: end + 1]


def _read(place: str, access: S3Access | None, *, may_fail: bool = False) -> Mark | None:
    """``may_fail``: what may not be read is as good as none."""
    text = _of_bucket(access, place, may_fail) if "://" in place else _of_folder(Path(place), may_fail)
    if text is None:
        return None
    owner, _, catalog = text.strip().partition("\n")
    if not owner or not catalog:
        raise UnavailableError(
            f"{place} is not whole: another process makes it, or was killed", fix="Try again; if it stays, delete it"
        )
    return Mark(owner, catalog)


def _of_folder(file: Path, may_fail: bool) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        if may_fail:
            return None
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UnavailableError(f"{file} cannot be read: {reason}", fix="Check the folder") from None


def _of_bucket(access: S3Access | None, place: str, may_fail: bool) -> str | None:
    parts = urlsplit(place)
    with _client(access, place) as client:
        try:
            found = client.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
            return str(found["Body"].read().decode(errors="replace"))
        except refusals() as error:
            if may_fail or code_of(error) in _NOT_THERE:
                return None
            raise


def _put(lake: Lake, place: str, text: str) -> bool:
    """Law 2: whether it was this one that made it."""
    if "://" not in place:
        return _into_folder(Path(place), text)
    parts = urlsplit(place)
    said = {"Bucket": parts.netloc, "Key": parts.path.lstrip("/"), "Body": text.encode()}
    with _client(_access(lake), place) as client:
        try:
            client.put_object(**said, IfNoneMatch="*")
        except refusals() as error:
            if code_of(error) in _WON_BY_OTHERS:
                return False
            if code_of(error) not in _KNOWS_NO_CONDITION:
                raise
            # A service that has no conditions: the last one wins, and is read back by all.
            client.put_object(**said)
    return True


def _into_folder(file: Path, text: str) -> bool:
    temporary = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        try:
            os.link(temporary, file)
        except FileExistsError:
            return False
        except OSError:
            # A file system without links: made by one all the same, and for a moment not whole.
            with file.open("x", encoding="utf-8") as made:
                made.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise UnavailableError(f"{file} cannot be made: {error.strerror}", fix="Check the folder") from None
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _access(lake: Lake) -> S3Access | None:
    return None if lake.s3 is None else lake.s3.access


def _client(access: S3Access | None, place: str) -> AbstractContextManager[Any]:
    where = f"lake {place.removesuffix(MARK)}"
    if access is None:
        raise UnavailableError(f"{where}: this connection reaches no S3")
    return access.client(where)
