"""The page on bridges: its configuration is one, and its commands work in the order in which they stand."""

import re
import shlex
from pathlib import Path

import pytest

from tests.bridge.conftest import write
from tests.cli.conftest import RunCommand, vp  # noqa: F401  (a fixture)
from tests.support.configuration import with_piece, yaml_blocks
from vector_pipeline.bridge import measure, parting
from vector_pipeline.config import BridgeConfig

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "bridge.md").read_text(encoding="utf-8")


def test_the_configuration_is_one(tmp_path: Path) -> None:
    (block,) = yaml_blocks(TEXT)
    found = with_piece(block, tmp_path).datasets["handbook"].bridge
    assert found == BridgeConfig(), "and shows the defaults"


def test_the_commands_work(vp: RunCommand, served: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    write(served)
    monkeypatch.chdir(served)
    lines = re.findall(r"^\$ vector-pipeline (.+)$", TEXT, re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        assert vp(*shlex.split(line)).code == 0, line


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"up to {parting.MEASURED} texts), and for choosing (up to {parting.CHOSEN})" in " ".join(TEXT.split())
    assert f"up to {parting.BESIDE:,} first sentences" in TEXT
    assert f"From {measure.ENOUGH} real ones on" in TEXT
