"""The works that ``make bench`` measures, by key. Each is a module with ``measure(sizes) -> Iterator[Row]``."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from benchmarks.rows import Row


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each work. ``quick``: minutes for the whole table, to see that it works and where it stands roughly."""

    quick: bool = False
    rounds: int = 3


class Work(Protocol):
    def measure(self, sizes: Sizes) -> Iterator[Row]:
        """Rows, as they are known."""


WORKS = {
    "update": "no-op and 1% changed, against LangChain, LlamaIndex and CocoIndex",
    "commit": "a version with 1% changed, against Lance and a full copy",
    "diff": "two versions, against Lance and pandas",
    "push": "1% and everything, against the Pinecone SDK",
    "cutover": "promotion and rollback, against a re-push",
    "embed": "real text on CPU, against sentence-transformers alone",
    "search": "exact and HNSW, against NumPy, Chroma and LanceDB",
    "rebuild": "import files of every vector, against a plain copy",
    "dagster": "the whole chain with nothing changed, against an empty run",
    "scale": "ten million vectors through the whole chain",
}
"""In the order of the table."""


def work(key: str) -> Work:
    """The work's module. It is imported only now: each needs libraries of its own."""
    module: Work = importlib.import_module(f"benchmarks.works.{key}")
    return module
