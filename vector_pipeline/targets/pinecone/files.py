"""Parquet files for Pinecone's bulk import: written straight from batches, to S3 or to a folder.

Laws
----
1. Files hold ``id``, ``values`` and ``metadata`` (a JSON string) and nothing else: what an upsert would send (``encoding``).
2. A file is finished at ``FILE_BYTES``; memory holds one batch and what the file system buffers of one file.
3. S3 is reached as the AWS environment says: ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL``, region, credentials.

Source: https://docs.pinecone.io/guides/index-data/import-data (November 2026): 10 GB a file and 100,000 files at most.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from vector_pipeline.arrow import as_one
from vector_pipeline.errors import ConfigError, InputError, UnavailableError
from vector_pipeline.targets.pinecone.encoding import MAX_METADATA, metadata_lines

FILE_BYTES = 256_000_000
"""About the size of a file: it may be larger by one batch."""
_S3_FIX = "Are bucket, credentials (AWS_*) and AWS_ENDPOINT_URL right?"
_FOLDER_FIX = "Is there room, and may it be written?"
_FORM: dict[str, Any] = {
    "compression": {"id": "snappy", "values.list.element": "none", "metadata": "snappy"},
    "use_dictionary": False,
    "write_statistics": False,
}
"""Numbers of vectors do not get smaller, and trying takes longer than writing them. Nobody asks for their least and greatest."""
SCHEMA = pa.schema([("id", pa.string()), ("values", pa.list_(pa.float32())), ("metadata", pa.string())])


class Folder:
    """A folder by its URI: ``s3://bucket/prefix``, ``file:///…``, or a path. Opened on its first use."""

    def __init__(self, uri: str, base: Path) -> None:
        self._given, self._base = uri, base
        self._system: fs.FileSystem | None = None
        scheme, _, rest = uri.partition("://")
        if rest and scheme not in ("s3", "file"):
            raise ConfigError(f"import_uri {uri}: only s3:// and folders are written to", fix="Use s3://bucket/prefix")
        self._s3 = bool(rest) and scheme == "s3"
        self._path = rest.rstrip("/") if self._s3 else str((base / (rest or uri)).resolve())

    @property
    def uri(self) -> str:
        """As the service is told: ``s3://…``, or a folder's whole path."""
        return f"s3://{self._path}" if self._s3 else self._path

    def write(self, below: str, tables: Iterable[pa.Table], *, file_bytes: int = FILE_BYTES) -> int:
        """Write tables (``SCHEMA``) as files ``part-00000.parquet``, … into the folder ``below``; returns bytes.

        What was there goes.
        """
        place = f"{self._path}/{below}"
        with self._speaking(f"write files for an import to {self.uri}/{below}"):
            self._emptied(place)
            if not self._s3:
                self._opened().create_dir(place, recursive=True)
            return sum(_written(self._opened(), place, tables, file_bytes))

    def delete(self, below: str) -> None:
        """Delete a folder with everything in it. What does not exist is no error."""
        with self._speaking(f"delete {self.uri}/{below}"):
            self._emptied(f"{self._path}/{below}")

    def counts(self, prefix: str) -> dict[str, int]:
        """How many files are in each folder whose name begins so, at whatever depth; such as hold none are left out."""
        with self._speaking(f"list {self.uri}"):
            folders = [one for one in self._listed(self._path) if one.base_name.startswith(prefix)]
            files = {one.base_name: self._listed(one.path, recursive=True) for one in folders}
        counted = {name: sum(each.type is fs.FileType.File for each in found) for name, found in files.items()}
        return {name: count for name, count in counted.items() if count}

    def _listed(self, place: str, *, recursive: bool = False) -> list[fs.FileInfo]:
        found: list[fs.FileInfo] = self._opened().get_file_info(
            fs.FileSelector(place, allow_not_found=True, recursive=recursive)
        )
        return found

    def _emptied(self, place: str) -> None:
        if self._opened().get_file_info(place).type is not fs.FileType.NotFound:
            self._opened().delete_dir(place)

    def _opened(self) -> fs.FileSystem:
        if self._system is None:
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            self._system = (
                fs.S3FileSystem(endpoint_override=endpoint, region=region) if self._s3 else fs.LocalFileSystem()
            )
        return self._system

    @contextmanager
    def _speaking(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            said = " ".join(str(error).split())[:200]
            raise UnavailableError(f"cannot {what}: {said}", fix=_S3_FIX if self._s3 else _FOLDER_FIX) from None


def _written(system: fs.FileSystem, place: str, tables: Iterable[pa.Table], file_bytes: int) -> Iterator[int]:
    """Bytes of each file, once it is finished."""
    rest, number = iter(tables), 0
    first = next(rest, None)
    while first is not None:
        with system.open_output_stream(f"{place}/part-{number:05d}.parquet") as sink:
            with pq.ParquetWriter(sink, SCHEMA, **_FORM) as writer:
                while first is not None and sink.tell() < file_bytes:
                    writer.write_table(first)
                    first = next(rest, None)
            yield sink.tell()
        number += 1


def rows_of(records: pa.Table) -> pa.Table:
    """Records (``record_schema``, conforming) in Pinecone's form (``SCHEMA``). ``InputError`` for what an upsert would refuse."""
    metadata = metadata_lines(records)
    sizes = pc.binary_length(metadata)
    if metadata and pc.max(sizes).as_py() > MAX_METADATA:
        first = pc.index(pc.greater(sizes, MAX_METADATA), True).as_py()
        raise InputError(
            f"record {records['id'][first].as_py()} takes {sizes[first].as_py()} bytes of text, metadata and marks; "
            f"Pinecone takes {MAX_METADATA}",
            fix="Make chunks smaller, or keep less metadata",
        )
    vectors = as_one(records["vector"])
    offsets = np.arange(0, (len(vectors) + 1) * vectors.type.list_size, vectors.type.list_size, dtype=np.int32)
    # The numbers stay where they are: a cast would copy them.
    values = pa.ListArray.from_arrays(pa.array(offsets), vectors.flatten())
    return pa.table([records["id"], values, metadata], schema=SCHEMA)
