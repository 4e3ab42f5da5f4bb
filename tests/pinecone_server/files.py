"""Parquet files as a bulk import takes them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def records(count: int, start: int = 0) -> dict[str, Any]:
    """Columns of ``count`` records of three dimensions."""
    numbers = range(start, start + count)
    return {
        "id": [f"r{n:05}" for n in numbers],
        "values": pa.array([[1.0, float(n), 0.5] for n in numbers], pa.list_(pa.float32())),
        "metadata": [json.dumps({"n": n, "kind": "even" if n % 2 == 0 else "odd"}) for n in numbers],
    }


def write_records(path: Path, count: int, start: int = 0, **columns: Any) -> None:
    """Such a file; ``columns`` replace or add to those of ``records``, None takes one away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = {name: column for name, column in {**records(count, start), **columns}.items() if column is not None}
    pq.write_table(pa.table(chosen), path)
