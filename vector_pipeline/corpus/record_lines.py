"""Lines of a JSONL file as Arrow batches. A line that is not UTF-8 is a row with a problem, not the end of the file."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

_BATCH_BYTES = 8_000_000
_SCHEMA = pa.schema([("line", pa.int64()), ("body", pa.string()), ("problem", pa.string())])
_MARK = b"\xef\xbb\xbf"


def json_lines(path: Path) -> pa.RecordBatchReader:
    """Reader of (line from 1, body, problem) for every line that is not blank. ``.gz`` is unpacked."""
    return pa.RecordBatchReader.from_batches(_SCHEMA, _batches(path))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    numbers: list[int] = []
    bodies: list[str | None] = []
    problems: list[str | None] = []
    size = 0
    with _open(path) as file:
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(_MARK) if number == 1 else raw
            if not line.strip():
                continue
            body, problem = _decode(line)
            numbers.append(number)
            bodies.append(body)
            problems.append(problem)
            size += len(line)
            if size > _BATCH_BYTES:
                yield pa.record_batch([numbers, bodies, problems], schema=_SCHEMA)
                numbers, bodies, problems, size = [], [], [], 0
    if numbers:
        yield pa.record_batch([numbers, bodies, problems], schema=_SCHEMA)


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _decode(line: bytes) -> tuple[str | None, str | None]:
    try:
        return line.decode("utf-8"), None
    except UnicodeDecodeError:
        return None, "the line is not UTF-8: save the file again"
