"""The work ``update`` of the benchmarks: its source, its embedder, and rows of the quick mode."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measuring import PEERS as ENVIRONMENT
from benchmarks.measuring import FailedError, Measured
from benchmarks.peers.hashed import embed
from benchmarks.update_source import write_revision
from benchmarks.works import Sizes, work
from benchmarks.works.update import BEND, PEERS, _limit, in_turns, line, not_measured
from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.deterministic import DeterministicEmbedder


def test_peers_embed_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTOR_PIPELINE_ALLOW_DETERMINISTIC", "1")
    ours = DeterministicEmbedder(EmbedderConfig(kind="deterministic", model="synthetic"))
    texts = ["document 1 revision 0 word7 word4711", "Ein Wort, zwei Worte, ein Wort"]
    np.testing.assert_array_equal(embed(texts), ours.embed_documents(texts))


def test_each_revision_changes_another_share(tmp_path: Path) -> None:
    read = []
    for revision in range(3):
        file = tmp_path / f"{revision}.jsonl"
        write_revision(file, 1000, [100] * revision)
        read.append([json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()])
    changed = [
        {new["id"] for old, new in zip(before, after, strict=True) if old != new} for before, after in pairwise(read)
    ]
    assert [len(ids) for ids in changed] == [10, 10]
    assert not changed[0] & changed[1]


def run(changed: int, *seconds: float) -> Measured:
    keys = ("open_s", "sync_s", "chunk_s", "embed_s", "version_s")
    return Measured(sum(seconds), 1.0, {"changed": changed, "commits": 3, **dict(zip(keys, seconds, strict=True))})


def test_a_limit_says_where_the_median_goes_and_what_the_goal_would_be() -> None:
    slow, median, quick = (run(20, 0.01, each, 0.1, 0.2, 0.05) for each in (9.0, 0.5, 0.1))
    assert _limit([slow, quick, median], 0.0712) == (
        "The goal would be 0.071 s. Ours: 0.86 s, the file compared and its changes written 0.5 s, vectors 0.2 s, chunks 0.1 s, "
        "the version 0.05 s, opening lake and registry 0.01 s; commits to the lake: 3"
    )


def test_the_limit_of_a_run_with_nothing_to_write_is_what_looking_costs() -> None:
    said = _limit([run(0, 0.01, 0.1, 0.02, 0.03, 0.04)], 0.07)
    assert said == (
        "The goal would be 0.07 s. Our floor, with nothing to write: 0.2 s, the file compared 0.1 s, the version 0.04 s, "
        "vectors 0.03 s, chunks 0.02 s, opening lake and registry 0.01 s; commits to the lake: 3"
    )


@dataclass
class Says:
    """A side that says what it changed, and ends well so often."""

    name: str
    changed: int = 0
    left: int = 9

    def run(self, *_: str) -> Measured:
        self.left -= 1
        if self.left < 0:
            raise FailedError(f"{self.name}: exit 1:\n  out of memory")
        return Measured(1.0, 10.0, {"changed": self.changed})


def test_a_peer_that_fails_is_left_out_and_told() -> None:
    """The others' runs stay."""
    sides = {"langchain": Says("a"), "cocoindex": Says("b", left=1)}
    mine, theirs, failed = in_turns(Says("ours"), sides, {"1% changed": ()}, (), 3)  # type: ignore[arg-type]
    assert (len(mine["1% changed"]), {key: len(runs) for key, runs in theirs.items()}) == (3, {"langchain": 3})
    row = not_measured("cocoindex", "1% changed, 20 documents", failed["cocoindex"])
    assert (row.name, row.reached) == ("1% changed, 20 documents, against CocoIndex: not measured", False)
    assert row.limit == "It failed: b: exit 1: out of memory"


def test_a_peer_that_changes_less_than_was_edited_is_left_out_and_told() -> None:
    sides = {"langchain": Says("a", 20), "cocoindex": Says("b", 19)}
    ours = Says("ours", 20)
    mine, theirs, failed = in_turns(ours, sides, {"1% changed": ()}, (), 2, changed=20)  # type: ignore[arg-type]
    assert (len(mine["1% changed"]), set(theirs), set(failed)) == (2, {"langchain"}, {"cocoindex"})
    row = not_measured("cocoindex", "1% changed", failed["cocoindex"])
    assert row.limit == "It failed: b: counted {'changed': 19} and not {'changed': 20}"
    with pytest.raises(FailedError, match="ours: counted"):
        in_turns(Says("ours"), {}, {"1% changed": ()}, (), 1, changed=20)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("taken", "figure", "reached"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 1.0, True),
        ([1.0, 2.0, 3.0, 6.0, 9.0, 12.0], 3.0, False),
        ([3.0, 2.0, 1.0, 2.0, 3.0, 4.0], 1, False),
        ([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 0, False),
    ],
)
def test_seconds_lie_on_a_line_that_rises(taken: list[float], figure: float, reached: bool) -> None:
    found = line(100, [1, 2, 3, 4, 5, 6], taken)
    assert (found.figure, found.reached) == (figure, reached)
    assert found.limit


@pytest.mark.slow
@pytest.mark.skipif(not ENVIRONMENT.exists(), reason="build/peers is missing: make bench makes it")
def test_quick_rows() -> None:
    rows = list(work("update").measure(Sizes(quick=True, rounds=2)))
    ratios = [row for row in rows if row.unit == "×" and row.theirs]
    assert len(ratios) == 3 * len(PEERS)
    assert all(row.work == "update" and row.figure > 0 and row.goal and row.note and row.limit for row in ratios)
    for row in ratios:
        changed = 20 if row.name.startswith("1%") else 0
        assert row.ours["counted"]["changed"] == row.theirs["counted"]["changed"] == changed
    assert len({(row.name, row.unit) for row in rows}) == len(rows)
    # Of so few documents, seconds need not rise.
    assert (rows[-1].kind, rows[-1].goal) in {("at most", BEND), ("at least", 2)}
