"""What a clean sample proves: "at most so many are wrong, 95% certain" is wrong in one case of twenty at the most."""

import math
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_pipeline.build.comparing import most_wrong
from vector_pipeline.lake.stored import draw_stored
from vector_pipeline.project import Project

Strata = tuple[tuple[int, int], ...]


def unseen(strata: Strata, wrong: npt.NDArray[np.int64], random: np.random.Generator) -> float:
    """How often no draw finds a wrong one, where so many of each stratum are wrong."""
    found = np.zeros(20_000, dtype=np.int64)
    for (size, drawn), bad in zip(strata, wrong.tolist(), strict=True):
        found += random.hypergeometric(bad, size - bad, drawn, len(found)) if drawn else 0
    return float((found == 0).mean())


@pytest.mark.parametrize(
    "strata",
    [
        ((100_000, 200),),
        ((100, 100), (99_900, 100)),  # All that is new, and few of the rest.
        ((1_000, 100), (99_000, 100)),
        ((50_000, 100), (50_000, 100)),
        ((101, 100), (300, 100)),
        ((30, 10), (20, 10)),
    ],
)
def test_more_wrong_vectors_than_said_are_missed_once_in_twenty_at_the_most(strata: Strata) -> None:
    random = np.random.default_rng(5)
    sizes = np.array([size for size, _ in strata])
    wrong = math.floor(most_wrong(strata) * sizes.sum() + 1e-9) + 1
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):  # Of them in the first stratum; what has no place there is in the last.
        first = np.minimum(np.array([round(share * wrong), wrong - round(share * wrong)])[: len(sizes)], sizes)
        placed = first.copy()
        placed[-1] = min(sizes[-1], wrong - placed[:-1].sum())
        placed[0] = wrong - placed[1:].sum()
        assert (placed.sum(), (placed <= sizes).all()) == (wrong, True)
        assert unseen(strata, placed, random) <= 0.055  # 20,000 turns: three standard errors are half a percent.


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)).map(lambda one: (max(one), min(one))), max_size=4))
def test_what_was_drawn_whole_adds_nothing_and_what_was_not_drawn_everything(strata: list[tuple[int, int]]) -> None:
    total = sum(size for size, _ in strata)
    if not total:
        return
    most = most_wrong(strata)
    assert 0 <= most <= 1 - sum(drawn for _, drawn in strata) / total + 1e-12
    assert most >= sum(size for size, drawn in strata if not drawn) / total - 1e-12
    assert most_wrong([*strata, (total, total)]) == pytest.approx(most / 2)


def test_each_shard_has_its_share_of_the_draws(project: Project) -> None:
    """A large shard is not looked at as little as a small one, nor is a text that many shards hold drawn by one chance."""
    project.build("handbook")
    lake, tables = project.lake(), project.tables("handbook")
    sizes = {0: 3000, 1: 600, 2: 300, **dict.fromkeys(range(3, 33), 10)}
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE many AS
            SELECT s.shard, md5(i::VARCHAR) AS content_hash, 'one' AS document_id, '' AS context, 'text' AS text
            FROM (VALUES {", ".join(str(one) for one in sizes.items())}) s(shard, size), range(3000) r(i) WHERE i < size"""
    )
    seen = []
    for turn in range(3):
        stored = draw_stored(lake, tables, "many", 210, salt=str(turn))
        assert (len(stored), stored.strata) == (210, ((4200, 210), (0, 0)))
        drawn = Counter(stored.rows["shard"].to_pylist())
        for shard, size in sizes.items():
            assert abs(drawn[shard] - size / 20) <= 1 + size / 20 * 0.05
        seen.append(set(stored.rows["content_hash"].to_pylist()))
        assert len(seen[-1]) > 190
    assert seen[0] != seen[1] != seen[2]
