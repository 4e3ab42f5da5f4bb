"""What the pages on targets show of the configuration is what the configuration takes."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support.configuration import with_piece, yaml_blocks
from vector_pipeline.errors import ConfigError

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [
    "targets.md",
    "moving-between-targets.md",
    *(f"targets/{page.name}" for page in (DOCS / "targets").glob("*.md")),
]
BLOCKS = [(page, block) for page in PAGES for block in yaml_blocks((DOCS / page).read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[page for page, _ in BLOCKS])
def test_every_block_is_a_configuration(page: str, block: str, tmp_path: Path) -> None:
    config = with_piece(block, tmp_path)
    shown = yaml.safe_load(block)
    assert shown.keys() <= {"datasets", "environments"}
    assert config.environments["dev"].targets.keys() == {"local", *shown["environments"]["dev"]["targets"]}


@pytest.mark.parametrize("page", PAGES)
def test_every_target_is_a_datasets(page: str) -> None:
    blocks = [yaml.safe_load(block) for name, block in BLOCKS if name == page]
    named = {
        place
        for block in blocks
        for dataset in block.get("datasets", {}).values()
        for place in (dataset["target"], *dataset.get("mirrors", []))
    }
    assert named == {name for block in blocks for name in block["environments"]["dev"]["targets"]}
    assert named


@pytest.mark.parametrize("page", PAGES)
def test_no_configuration_stands_outside_of_a_block(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert not re.findall(
        r"^ {4}(?:targets|datasets|environments):", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE
    )


def test_targets_stand_under_an_environment(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="targets"):
        with_piece("targets: {pinecone: {kind: pinecone, index: docs}}", tmp_path)
