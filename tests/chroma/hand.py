"""Another process over an embedded Chroma: writes and reads, for ``test_embedded``."""

import sys
from pathlib import Path

from vector_pipeline.config import ChromaTargetConfig
from vector_pipeline.targets.chroma import ChromaTarget
from vector_pipeline.testing.target_records import make_records, unit_vectors


def main(folder: str, namespace: str, who: str, count: int) -> None:
    target = ChromaTarget(who, ChromaTargetConfig(kind="chroma", path=Path(folder)), Path())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for number in range(count):
        target.upsert(namespace, make_records([f"{who}#{number:03d}-{part}" for part in range(4)], unit_vectors(4)))
        mine = [name for batch in target.scan(namespace, prefix=f"{who}#") for name in batch["id"].to_pylist()]
        assert len(mine) == 4 * (number + 1), (number, mine)
        state = target.describe(namespace)
        assert state is not None
        hits = target.query(namespace, unit_vectors(1), top_k=5_000, version=1, exact=number % 2 == 0)[0]
        assert len(hits) >= state.records, (number, len(hits), state.records)
    target.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
