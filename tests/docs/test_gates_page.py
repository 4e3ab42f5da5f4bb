"""The page on gates says what the catalogue and the configuration say."""

import re
from pathlib import Path

import pytest

from tests.support.configuration import with_piece, yaml_blocks
from vector_pipeline.config.gates import GATE_KEYS, GateConfig
from vector_pipeline.config.models import gates_of
from vector_pipeline.verify.catalogue import GATES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "gates.md"
TEXT = PAGE.read_text(encoding="utf-8")
ABOUT = re.findall(r"^\| (.+?) \| (`.+?`) \| (\w+) \| .+ \|$", TEXT, re.MULTILINE)


def test_every_gate_is_on_the_page_with_what_it_is_about() -> None:
    shown = {key: about for _, keys, about in ABOUT for key in re.findall(r"`(\w+)`", keys)}
    assert set(shown) == set(GATE_KEYS)
    assert {gate.key: gate.scope.value for gate in GATES} == {gate.key: shown[gate.key] for gate in GATES}


def test_every_setting_that_it_names_exists() -> None:
    (table,) = re.findall(r"^\| gate \| look at first .*?\n\n", TEXT, re.MULTILINE | re.DOTALL)
    named = [cell for row in table.strip().splitlines()[2:] for cell in re.findall(r"`([^`]+)`", row.split("|")[3])]
    for one in named:
        section, _, inner = one.partition(": ")
        assert section in GateConfig.model_fields, one
        keys = set(re.findall(r"[a-z_]+", inner))
        model = GateConfig.model_fields[section].annotation
        assert not keys or keys <= set(model.model_fields), one  # type: ignore[union-attr]
    assert len(named) > 10


@pytest.mark.parametrize("block", yaml_blocks(TEXT))
def test_every_block_is_a_configuration(block: str, tmp_path: Path) -> None:
    config = with_piece(block, tmp_path)
    gates = gates_of(config.datasets["handbook"], config.environments["dev"])
    # What the sentence below it says.
    assert (gates.lost_content.max_documents, gates.lost_content.max_topic) == (0.05, 0.5)
    assert gates.modes == {"embedding_shift": "warn", "canary_retrieval": "warn", "answers": "off"}


def test_the_table_of_what_was_caught_has_its_place() -> None:
    assert TEXT.index("<!-- caught:begin -->") < TEXT.index("<!-- caught:end -->")
