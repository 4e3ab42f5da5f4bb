"""Where figures come from: the code, the libraries of both sides, the machine, and what else it was doing."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import Distribution

from benchmarks.measuring import PEERS, REPOSITORY

LIBRARIES = (
    "chromadb", "cocoindex", "dagster", "duckdb", "lancedb", "langchain-classic", "langchain-core", "llama-index-core", "numpy",
    "openvino", "pandas", "pinecone", "pyarrow", "pylance", "sentence-transformers", "simsimd", "torch",
)  # fmt: skip
"""Those that a figure depends on, in either environment."""
_MADE = ("benchmarks/results", "docs/performance.md", "docs/images/performance")
"""What measuring itself writes: no change of the code."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Of one work, from the moment that it began."""

    at: str
    """UTC, to the minute."""
    commit: str
    """Short hash; empty outside a checkout."""
    dirty: bool
    """Files differ from the commit, other than those that measuring writes."""
    machine: str
    load: tuple[float, float, float]
    """Processes that ran or wanted to, on average of 1, 5 and 15 minutes, before the work was one of them."""
    ours: Mapping[str, str]
    """Versions of ``LIBRARIES`` in our environment, those that are there."""
    peers: Mapping[str, str]
    """The same in the peers' environment."""


def provenance() -> Provenance:
    """As things stand now."""
    found = _git("rev-parse", "--short", "HEAD").strip()
    changed = _git("status", "--porcelain", "--", ".", *(f":(exclude){place}" for place in _MADE))
    return Provenance(
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), found, bool(changed.strip()), machine(), _load(), versions(sys.path),
        versions([str(place) for place in sorted(PEERS.glob("lib/python*/site-packages"))]),
    )  # fmt: skip


def versions(path: Sequence[str]) -> dict[str, str]:
    """Of ``LIBRARIES``, those installed in these folders; of one that is in several the first, as imports take it."""
    found = ((name, next(iter(Distribution.discover(name=name, path=list(path))), None)) for name in LIBRARIES)
    return {name: one.version for name, one in found if one is not None}


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"


def _load() -> tuple[float, float, float]:
    one, five, fifteen = os.getloadavg()
    return round(one, 2), round(five, 2), round(fifteen, 2)


def _git(*arguments: str) -> str:
    """What git says; nothing outside a checkout, or where there is no git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
