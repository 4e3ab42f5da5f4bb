"""A process that imports, and kills itself before or after a step.

``python -m tests.imports.killed FOLDER FILES URL DATASET before|after STEP``
"""

import os
import signal
import sys
from functools import wraps
from pathlib import Path
from typing import Any

from tests.release.world import Store, World
from tests.support.pinecone import KEY, KEY_VARIABLE, pinecone_config
from vector_pipeline.release import importing
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.targets.pinecone.importing import PineconeImporter


def main(folder: str, files: str, url: str, dataset: str, when: str, method: str) -> None:
    os.environ[KEY_VARIABLE] = KEY
    owner: Any = importing if hasattr(importing, method) else PineconeImporter
    work = getattr(owner, method)

    @wraps(work)
    def killing(*args: Any, **keywords: Any) -> Any:
        if when == "after":
            work(*args, **keywords)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, method, killing)
    store = Store(Path(folder))
    target = PineconeTarget("pinecone", pinecone_config(host=url, import_uri=files), Path())
    world = World(store, target, dataset)
    world.push(world.registry.versions(dataset)[-1], load="import")


if __name__ == "__main__":
    main(*sys.argv[1:])
