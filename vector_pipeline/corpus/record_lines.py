"""Lines of a JSONL file as Arrow batches. A line that is not UTF-8 is a row with a problem, not the end of the file.

A block of the file is the buffer of its batch: lines are told apart by their offsets, and none is a Python object but where a block
holds blank lines or such that are not UTF-8.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
import pyarrow as pa

_BATCH_BYTES = 8_000_000
_SCHEMA = pa.schema([("line", pa.int64()), ("body", pa.string()), ("problem", pa.string())])
_MARK = b"\xef\xbb\xbf"
_BLANKS = np.frombuffer(b" \t\n\r\x0b\x0c", dtype=np.uint8)


def json_lines(path: Path) -> pa.RecordBatchReader:
    """Reader of (line from 1, body with its line end, problem) for every line that is not blank. ``.gz`` is unpacked."""
    return pa.RecordBatchReader.from_batches(_SCHEMA, _batches(path))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    number = 1
    with _open(path) as file:
        for lines in _whole_lines(file):
            data = lines.removeprefix(_MARK) if number == 1 else lines
            batch, count = _batch(data, number)
            number += count
            if batch.num_rows:
                yield batch


def _whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The file in blocks that end with a line."""
    begun: list[bytes] = []
    while block := file.read(_BATCH_BYTES):
        end = block.rfind(b"\n") + 1
        if not end:
            begun.append(block)
            continue
        yield b"".join((*begun, block[:end]))
        begun = [block[end:]] if end < len(block) else []
    if begun:
        yield b"".join(begun)


def _batch(data: bytes, first: int) -> tuple[pa.RecordBatch, int]:
    """A block's batch, and how many lines it has, blank ones too. ``first``: number of its first line."""
    characters = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(characters == ord("\n")) + 1
    if data and (not len(ends) or ends[-1] != len(data)):
        ends = np.append(ends, len(data))
    offsets = np.concatenate((np.zeros(1, np.int64), ends))
    numbers = np.arange(first, first + len(ends))
    bodies = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data))
    # Only what begins with a blank can be blank.
    if np.isin(characters[offsets[:-1]], _BLANKS).any() or not _is_text(bodies):
        return _one_by_one(data, offsets, first), len(ends)
    problems = pa.nulls(len(ends), pa.string())
    return pa.record_batch([pa.array(numbers, pa.int64()), bodies, problems], schema=_SCHEMA), len(ends)


def _is_text(bodies: pa.StringArray) -> bool:
    try:
        bodies.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _one_by_one(data: bytes, offsets: "np.ndarray[tuple[int], np.dtype[np.int64]]", first: int) -> pa.RecordBatch:
    numbers: list[int] = []
    bodies: list[str | None] = []
    problems: list[str | None] = []
    for number, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True), start=first):
        line = data[start:end]
        if not line.strip():
            continue
        body, problem = _decode(line)
        numbers.append(number)
        bodies.append(body)
        problems.append(problem)
    return pa.record_batch([numbers, bodies, problems], schema=_SCHEMA)


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _decode(line: bytes) -> tuple[str | None, str | None]:
    try:
        return line.decode("utf-8"), None
    except UnicodeDecodeError:
        return None, "the line is not UTF-8: save the file again"
