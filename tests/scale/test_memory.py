"""What a process holds in memory is bounded by configuration, not by how many vectors there are. Time is asserted nowhere.

Each step is a process of its own, or resets the kernel's count of its most memory, as the benchmarks do. A build, a push and files
for an import touch every vector: at 384 dimensions one takes 1,536 bytes, and a process that held them all would grow by that.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.measuring import Side
from benchmarks.works.cutover import released

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
VECTOR_BYTES = 4 * 384
FEW, MANY = 300_000, 900_000
LIMIT_MB = 400
"""Of the lake, and of the target. With less, DuckDB's joins of 900,000 rows do not start."""
BASE_MB = 1_200
"""What a process takes beside both: Python, Arrow, pages that were read ahead, batches on their way; measured: up to 0.9 GB."""


@pytest.fixture(scope="module")
def peaks() -> dict[int, Mapping[str, float]]:
    """Most memory (MB) of each step of a release, at two sizes."""
    found: dict[int, Mapping[str, float]] = {}
    for count in (FEW, MANY):
        steps = released(count, "--files", "--memory", f"{LIMIT_MB}MB")["steps"]
        found[count] = {name: float(step["peak_mb"]) for name, step in steps.items()}
    return found


STEPS = (
    "build, first",
    "push, first load",
    "verify, first load",
    "build, 1% changed",
    "diff",
    "plan, 1% changed",
    "push, 1% changed",
    "verify, 1% changed",
    "promote, cut over",
    "roll back",
    "drift, ids",
    "push, nothing changed",
    "promote, again",
    "build, 1,000 changed",
    "plan, 1,000 changed",
    "push, 1,000 changed",
    "collect, dry run",
    "collect",
    "import files",
)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_keeps_within_what_is_configured(peaks: dict[int, Mapping[str, float]], step: str) -> None:
    assert peaks[MANY][step] <= BASE_MB + 2 * LIMIT_MB


@pytest.mark.parametrize("step", STEPS)
def test_no_step_holds_every_vector(peaks: dict[int, Mapping[str, float]], step: str) -> None:
    grown = (peaks[MANY][step] - peaks[FEW][step]) * 2**20 / (MANY - FEW)
    assert grown < VECTOR_BYTES


def test_a_diff_of_a_million_records_reads_no_vector(tmp_path: Path) -> None:
    """Two versions of a million records, 1% changed: the goal is two gigabytes."""
    common = (str(tmp_path), "--records", "1000000", "--dimension", "8", "--memory", "1GB")
    for work in ("fill", "commit"):
        Side(work, "benchmarks.ours.lake", (work, *common)).run()
    for work in ("diff", "join"):
        assert Side(work, "benchmarks.ours.lake", (work, *common)).run().peak_mb < 2_000
