"""What the page on canaries shows is what a file takes and what commands say."""

import re
from pathlib import Path

from tests.support.configuration import yaml_blocks
from vector_pipeline.config import GateConfig
from vector_pipeline.verify.canaries.change import Change, Tolerance
from vector_pipeline.verify.canaries.entry import CanaryEntry
from vector_pipeline.verify.canaries.file import parse_canaries
from vector_pipeline.verify.intervals import wilson

PAGE = Path(__file__).resolve().parents[2] / "docs/canaries-and-filters.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_every_block_is_a_file_of_canaries() -> None:
    blocks = list(yaml_blocks(TEXT))
    assert blocks
    for block in blocks:
        assert parse_canaries(PAGE, block).canaries


def test_every_key_is_described() -> None:
    told = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert set(CanaryEntry.model_fields) <= set(told)


def test_the_numbers_are_right() -> None:
    rate = wilson(92, 100)
    assert f"95% interval {rate.low * 100:.1f} to {rate.high * 100:.1f}" in TEXT
    eight, seven = Change(tuple(range(8)), (), 100), Change(tuple(range(7)), (), 100)
    defaults = Tolerance.of(GateConfig())
    assert eight.worse(defaults)
    assert not seven.worse(defaults)
    assert f"(p = {eight.p_value:.2g})" in TEXT
