"""Other searches over the vectors of ``benchmarks.vectors``, with the same filters: NumPy by brute force, Chroma, LanceDB.

    python -m benchmarks.peers.search_peers WORK FOLDER --data FOLDER [--plain] [--batch N] [--ef N] [--round R]

``numpy``: the vectors as a float32 matrix in memory, the filters as a boolean mask that is there before the clock starts.
``chroma-fill``, ``chroma``: embedded, HNSW, filters as ``where``; ``--ef`` is its ef_search. ``lance-fill``, ``lance-flat``,
``lance-index``: a table without a vector index, and with IVF_HNSW_SQ; both with the scalar indexes that LanceDB advises for filters
(BITMAP of the kind, BTREE of the versions), ``where`` before the search. ``--plain``: NumPy and Chroma without filters. A side
warms up before its clock.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import vectors
from benchmarks.measuring import said
from benchmarks.vectors import DIMENSION, KIND, KINDS, TOP_K, VERSION, Data, record_id, unfiltered

Ask = Callable[[np.ndarray], list[list[int]]]
WHERE = f"kind = '{KINDS[KIND]}' AND added <= {VERSION} AND removed > {VERSION}"
_STEP = 5_000


def numpy_ask(data: Data, *, plain: bool) -> Ask:
    matrix, out = data.vectors, ~data.mask

    def one(query: np.ndarray) -> list[list[int]]:
        scores = matrix @ query[0]
        if not plain:
            scores[out] = -np.inf
        best = np.argpartition(scores, -TOP_K)[-TOP_K:]
        return [best[np.argsort(-scores[best])].tolist()]

    def many(queries: np.ndarray) -> list[list[int]]:
        scores = queries @ matrix.T
        if not plain:
            scores[:, out] = -np.inf
        best = np.argpartition(scores, -TOP_K, axis=1)[:, -TOP_K:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        return np.take_along_axis(best, order, axis=1).tolist()

    return lambda queries: one(queries) if len(queries) == 1 else many(queries)


def described(data: Data, start: int) -> list[dict[str, str | int]]:
    """Metadata of records, a step of them."""
    part = slice(start, start + _STEP)
    columns = data.kinds[part].tolist(), data.added[part].tolist(), data.removed[part].tolist()
    return [
        {"kind": KINDS[kind], "page": (start + number) % 97, "added": added, "removed": removed}
        for number, (kind, added, removed) in enumerate(zip(*columns, strict=True))
    ]


def chroma_fill(folder: Path, data: Data) -> None:
    import chromadb

    started = time.perf_counter()
    client = chromadb.PersistentClient(str(folder), chromadb.Settings(anonymized_telemetry=False))
    collection = client.create_collection(
        "search", configuration={"hnsw": {"space": "cosine", "ef_construction": 128, "max_neighbors": 16}}
    )
    for start in range(0, len(data.vectors), _STEP):
        rows, about = data.vectors[start : start + _STEP], described(data, start)
        ids = [record_id(start + number) for number in range(len(rows))]
        texts = [f"What record {name} says, in a sentence or two of its own." for name in ids]
        collection.add(ids, embeddings=rows, metadatas=about, documents=texts)
    said(seconds=time.perf_counter() - started)


def chroma_ask(folder: Path, ef: int, *, plain: bool) -> Ask:
    import chromadb

    client = chromadb.PersistentClient(str(folder), chromadb.Settings(anonymized_telemetry=False))
    collection = client.get_collection("search", embedding_function=None)
    collection.modify(configuration={"hnsw": {"ef_search": ef}})
    collection = client.get_collection("search", embedding_function=None)
    every = {"$and": [{"kind": KINDS[KIND]}, {"added": {"$lte": VERSION}}, {"removed": {"$gt": VERSION}}]}
    where = None if plain else every
    shown = ["documents", "metadatas", "distances"]

    def ask(queries: np.ndarray) -> list[list[int]]:
        found = collection.query(query_embeddings=queries, n_results=TOP_K, where=where, include=shown)
        return [[int(name[1:8]) for name in ids] for ids in found["ids"]]

    return ask


def lance_fill(folder: Path, data: Data) -> None:
    import lancedb
    import pyarrow as pa
    from lancedb.index import Bitmap, BTree

    started = time.perf_counter()
    count = len(data.vectors)
    columns = {
        "id": [record_id(number) for number in range(count)],
        "kind": [KINDS[kind] for kind in data.kinds],
        "added": data.added,
        "removed": data.removed,
        "text": [f"What record {number} says, in a sentence or two of its own." for number in range(count)],
        "vector": pa.FixedSizeListArray.from_arrays(data.vectors.reshape(-1), DIMENSION),
    }
    database = lancedb.connect(folder)
    for name in ("flat", "indexed"):
        table = database.create_table(name, pa.table(columns))
        table.create_index("kind", config=Bitmap())
        for column in ("added", "removed"):
            table.create_index(column, config=BTree())
    table.create_index(metric="cosine", vector_column_name="vector", index_type="IVF_HNSW_SQ")
    said(seconds=time.perf_counter() - started)


def lance_ask(folder: Path, name: str) -> Ask:
    import lancedb

    table = lancedb.connect(folder).open_table(name)

    def one(query: np.ndarray) -> list[int]:
        asked = table.search(query).distance_type("cosine").where(WHERE, prefilter=True).limit(TOP_K)
        if name == "indexed":
            asked = asked.nprobes(20).ef(200).refine_factor(5)
        return [int(row[1:8]) for row in asked.select(["id", "text", "kind", "_distance"]).to_arrow()["id"].to_pylist()]

    return lambda queries: [one(query) for query in queries]


def search(ask: Ask, data: Data, batch: int, count: int, *, plain: bool = False) -> None:
    """Seconds of a query: the median over batches, divided by their size."""
    for start in (-2 * batch, -3 * batch):
        ask(data.queries[start : start + batch])
    found, took = [], []
    for start in range(0, count - batch + 1, batch):
        started = time.perf_counter()
        found += ask(data.queries[start : start + batch])
        took.append((time.perf_counter() - started) / batch)
    known = unfiltered(data) if plain else data
    said(seconds=statistics.median(took), recall=known.recall(found), slowest_s=max(took))


def main() -> None:
    """One work, once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    works = ["numpy", "chroma-fill", "chroma", "lance-fill", "lance-flat", "lance-index"]
    parser.add_argument("work", choices=works)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--ef", type=int, default=100)
    parser.add_argument("--queries", type=int, default=128)
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    data = vectors.load(given.data)
    if given.work == "chroma-fill":
        chroma_fill(given.folder, data)
    elif given.work == "lance-fill":
        lance_fill(given.folder, data)
    elif given.work == "numpy":
        search(numpy_ask(data, plain=given.plain), data, given.batch, given.queries, plain=given.plain)
    elif given.work == "chroma":
        ask = chroma_ask(given.folder, given.ef, plain=given.plain)
        search(ask, data, given.batch, given.queries, plain=given.plain)
    else:
        search(
            lance_ask(given.folder, given.work.replace("lance-index", "indexed").replace("lance-flat", "flat")),
            data,
            given.batch,
            given.queries,
        )


if __name__ == "__main__":
    main()
