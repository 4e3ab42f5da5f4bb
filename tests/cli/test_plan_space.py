"""``plan --space``: what it prints, and what goes with it."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand

FINER = """
      finer:
        embedder: {kind: deterministic, model: seed, dimension: 128}
        chunker: {max_tokens: 30, overlap_tokens: 5, min_tokens: 10}
      wider:
        embedder: {kind: deterministic, model: other, dimension: 256, prices: {per_million_tokens: 1000, currency: EUR}}
    serving: tiny
    target: local"""


@pytest.fixture
def spaces(released: Path, tmp_path: Path) -> Path:
    """The released project, with two more spaces in its configuration."""
    config = shutil.copytree(released.parent, tmp_path / "copy") / released.name
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("\n    target: local", FINER), encoding="utf-8")
    return config


def test_a_space_with_other_chunks(vp: RunCommand, spaces: Path) -> None:
    shown = vp("plan", "handbook", "--space", "finer", "--project", spaces)
    assert shown.code == 0
    assert "Change    re-chunk: other chunks, the same embedder" in shown.out
    assert "From      tiny (v1): deterministic seed, 128 dimensions, cosine" in shown.out
    assert "Differs   chunker.max_tokens: 60 → 30" in shown.out
    assert "(measured now with " in shown.out
    assert "not known: the embedder has no `prices`" in shown.out
    assert "production serves does not change until promote" in shown.out
    last = shown.out.rstrip().splitlines()[-1]
    assert last == f"Next: vector-pipeline reembed --space finer --project {spaces}"


def test_a_space_of_another_dimension_that_is_not_measured(vp: RunCommand, spaces: Path) -> None:
    shown = vp("plan", "--space", "wider", "--no-measure", "--project", spaces)
    assert "Change    dimension change: another embedder and another dimension" in shown.out
    assert "dimension: 128 → 256" in shown.out
    assert "Time        to embed: not known" in shown.out
    assert "EUR to embed" in shown.out
    found = vp("plan", "--space", "wider", "--no-measure", "--json", "--project", spaces).json
    assert found["change"] == "dimension change"
    assert found["embed_s"] is None
    assert found["texts"]["low"] == found["texts"]["high"] > 0
    assert found["since"]["version"] == 1


def test_a_space_that_serves_as_it_is(vp: RunCommand, spaces: Path) -> None:
    shown = vp("plan", "--space", "tiny", "--project", spaces)
    assert "Change   none: the same space: no vector changes" in shown.out
    assert "has begun" in shown.out
    assert shown.out.rstrip().splitlines()[-1] == f"Next: vector-pipeline plan --project {spaces}"


def test_a_space_that_is_not_there(vp: RunCommand, spaces: Path) -> None:
    shown = vp("plan", "--space", "other", "--project", spaces)
    assert shown.code == 1
    assert "handbook has no space 'other'; it has: tiny, finer, wider" in shown.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--space", "finer", "--version", "1"), "--version is of a push's plan: leave it out with --space"),
        (("--space", "finer", "--to", "production"), "--to production is of a push's plan"),
        (("--space", "finer", "--out", "plan.json"), "--out is of a push's plan"),
        (("--space", "finer", "--detailed-exitcode"), "--detailed-exitcode is of a push's plan"),
        (("--sample", "20"), "--sample belongs to --space"),
        (("--no-measure",), "--no-measure belongs to --space"),
    ],
)
def test_options_that_do_not_go_together(vp: RunCommand, spaces: Path, words: tuple[str, ...], said: str) -> None:
    shown = vp("plan", *words, "--project", spaces)
    assert shown.code == 2
    assert said in shown.err
