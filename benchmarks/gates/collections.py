"""Collections with questions and judgements, small enough to be released hundreds of times."""

import json
import random
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks.retrieval import CORPORA, FILES

QUERIES = 150
"""Questions with judgements; as many more are a query log."""
FOREIGN = 200
"""Documents of another collection that may be added."""


@dataclass
class Collection:
    """Documents that are released, others that may be added, and what people ask."""

    name: str
    documents: dict[str, dict[str, str]]
    held_out: dict[str, dict[str, str]]
    queries: dict[str, str]
    judgements: list[tuple[str, str, int]]
    log: list[str] = field(default_factory=list)
    foreign: dict[str, dict[str, str]] = field(default_factory=dict)
    """Documents of another collection."""


def load(folder: Path, limit: int, seed: int = 0) -> Collection:
    """``limit`` documents: those that answer the questions, and others by chance."""
    texts = _texts(folder)
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    judged: dict[str, list[tuple[str, int]]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        query, document, relevance = line.split("\t")
        if document in texts and int(relevance) > 0:
            judged.setdefault(query, []).append((document, int(relevance)))
    chance = random.Random(seed)
    known = [row for row in asked if str(row["id"]) in judged]
    chance.shuffle(known)
    chosen, log = known[:QUERIES], known[QUERIES : 2 * QUERIES]
    wanted = {document for row in (*chosen, *log) for document, _ in judged[str(row["id"])]}
    others = sorted(set(texts) - wanted)
    chance.shuffle(others)
    keep = [*sorted(wanted), *others][:limit]
    held_out = [name for name in others if name not in set(keep)][:limit]
    kept = set(keep)
    return Collection(
        folder.name,
        {name: texts[name] for name in sorted(kept)},
        {name: texts[name] for name in held_out},
        {str(row["id"]): row["text"] for row in chosen},
        [
            (str(row["id"]), document, relevance)
            for row in chosen
            for document, relevance in judged[str(row["id"])]
            if document in kept
        ],
        [row["text"] for row in log],
        _foreign(folder),
    )


def _texts(folder: Path, limit: int | None = None) -> dict[str, dict[str, str]]:
    with (folder / "docs.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, limit)]
    return {str(row["id"]): {"title": row.get("title") or "", "text": row["text"]} for row in rows}


def _foreign(folder: Path) -> dict[str, dict[str, str]]:
    """Of the next collection that is beside this one; none where it is alone."""
    names = sorted(one.name for one in folder.parent.iterdir() if available(one.name))
    other = names[(names.index(folder.name) + 1) % len(names)]
    return {} if other == folder.name else _texts(folder.parent / other, FOREIGN)


def available(name: str) -> bool:
    """Whether a collection is on this machine."""
    return all((CORPORA / name / file).is_file() for file in FILES)
