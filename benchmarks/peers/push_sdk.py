"""The Pinecone SDK's side of ``push``: its own upserts of every record, in a process that has nothing else.

    python -m benchmarks.peers.push_sdk CALL FILES --host URL

``CALL``: ``upsert`` or ``upsert_from_dataframe``. ``FILES``: Parquet with id, values and metadata as JSON. One file after the other
is made into what the call takes, dictionaries or a DataFrame, vectors as ``ndarray.tolist()`` makes them. The clock runs during the
calls alone: reading files, making those, the index and its first connection are before it. As many records a request as fit into
2 MB, as many requests at once as the SDK has by default. The key is in the environment.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow.parquet as pq
from pinecone import Pinecone, ServerlessSpec

from benchmarks.measuring import said

MOST_BYTES = 1_900_000
"""Of a request: the service takes 2 MB."""
AT_ONCE = 8
"""The SDK's default, and that of a push."""
Upsert = Callable[[Any, list[dict[str, Any]], dict[str, Any]], tuple[Any, float]]
"""Index, records and options of the call: its answer and its seconds."""


def portions(folder: Path) -> Iterator[list[dict[str, Any]]]:
    """Records of one file, as a person would hold them."""
    for file in sorted(folder.glob("*.parquet")):
        table = pq.read_table(file).combine_chunks()
        values = table["values"].chunk(0).flatten().to_numpy().reshape(table.num_rows, -1)
        yield [
            {"id": name, "values": row.tolist(), "metadata": orjson.loads(metadata)}
            for name, row, metadata in zip(table["id"].to_pylist(), values, table["metadata"].to_pylist(), strict=True)
        ]


def fitting(records: list[dict[str, Any]]) -> int:
    """Records of which a request surely holds less than 2 MB."""
    return max(1, int(MOST_BYTES / max(len(orjson.dumps(one)) for one in records[:1_000])))


def upsert(index: Any, records: list[dict[str, Any]], options: dict[str, Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    answer = index.upsert(vectors=records, **options)
    return answer, time.perf_counter() - started


def upsert_from_dataframe(index: Any, records: list[dict[str, Any]], options: dict[str, Any]) -> tuple[Any, float]:
    frame = pd.DataFrame(records)
    started = time.perf_counter()
    answer = index.upsert_from_dataframe(frame, **options)
    return answer, time.perf_counter() - started


CALLS: dict[str, Upsert] = {"upsert": upsert, "upsert_from_dataframe": upsert_from_dataframe}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("call", choices=CALLS)
    parser.add_argument("files", type=Path)
    parser.add_argument("--host", required=True)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    client = Pinecone(host=given.host)
    client.create_index(
        name="theirs", dimension=given.dimension, metric="cosine",
        spec=ServerlessSpec(cloud="aws", region="us-east-1"),
    )  # fmt: skip
    index = client.index(name="theirs")
    index.describe_index_stats()
    seconds, written, requests = 0.0, 0, 0
    for records in portions(given.files):
        options = {
            "namespace": "all", "batch_size": fitting(records), "max_concurrency": AT_ONCE, "show_progress": False,
        }  # fmt: skip
        answer, took = CALLS[given.call](index, records, options)
        assert answer.upserted_count == len(records), answer
        seconds, written, requests = seconds + took, written + len(records), requests + answer.total_batch_count
    said(seconds=seconds, written=written, requests=requests)


if __name__ == "__main__":
    main()
