"""What the peers of ``update`` have in common: their arguments, the source, and the line that they print."""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import said
from benchmarks.update_source import SOURCE, show


def rows(folder: Path) -> Iterator[dict[str, str]]:
    """The documents, as they stand in the file."""
    with (folder / SOURCE).open("rb") as file:
        for line in file:
            yield json.loads(line)


def run(update: Callable[[Path], dict[str, Any]]) -> None:
    """Do the work in a folder; ``update`` returns what it counted. Interpreter and libraries are loaded before the clock starts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--revision", type=int, default=None)
    parser.add_argument("--round", type=int, default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.revision is not None:
        show(arguments.folder, arguments.sources / f"{arguments.revision + arguments.round}.jsonl")
    started = time.perf_counter()
    counted = update(arguments.folder)
    said(seconds=time.perf_counter() - started, **counted)
