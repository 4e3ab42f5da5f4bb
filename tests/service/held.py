"""``vector-pipeline serve`` whose target holds on to every query until a file appears.

``python -m tests.service.held FOLDER serve …``: ``FOLDER/asked`` is made when a query is in flight; ``FOLDER/go`` lets it go.
"""

import sys
import time
from pathlib import Path
from typing import Any

from vector_pipeline.cli import main
from vector_pipeline.targets.duckdb.target import DuckDBTarget


def hold(folder: Path) -> None:
    query = DuckDBTarget.query

    def held(self: DuckDBTarget, *args: Any, **keywords: Any) -> Any:
        (folder / "asked").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
        return query(self, *args, **keywords)

    DuckDBTarget.query = held  # type: ignore[method-assign]


if __name__ == "__main__":
    hold(Path(sys.argv[1]))
    main(sys.argv[2:])
