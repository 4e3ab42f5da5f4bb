"""The page on targets says of each what its adapter declares."""

import re
from pathlib import Path

import pytest

from vector_pipeline.config import (
    ChromaTargetConfig,
    DuckDBTargetConfig,
    PgvectorTargetConfig,
    PineconeTargetConfig,
    TargetConfig,
)
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.targets.factory import open_target

PAGE = Path(__file__).parents[2] / "docs" / "targets.md"
CONFIGS: dict[str, tuple[str, TargetConfig]] = {
    "DuckDB": ("duckdb", DuckDBTargetConfig()),
    "Pinecone": ("pinecone", PineconeTargetConfig(kind="pinecone", index="docs")),
    "Chroma": ("chromadb", ChromaTargetConfig(kind="chroma", path=Path("chroma"))),
    "pgvector": ("psycopg", PgvectorTargetConfig(kind="pgvector", url=SecretTemplate("postgresql://host/database"))),
}


def table() -> tuple[list[str], dict[str, list[str]]]:
    """Targets, and by ability what the page says of each."""
    lines = PAGE.read_text(encoding="utf-8").split("## What each can do")[1].split("\n\n")[1].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    abilities = {}
    for row in cells[2:]:
        found = re.search(r"\(`(\w+)`\)", row[0])
        assert found, row
        abilities[found.group(1)] = row[1:]
    return cells[0][1:], abilities


@pytest.mark.parametrize("name", CONFIGS)
def test_the_page_says_what_the_adapter_declares(name: str, tmp_path: Path) -> None:
    package, config = CONFIGS[name]
    pytest.importorskip(package, reason=f"the target {name} needs the package {package}")
    target = open_target("any", config, tmp_path)
    try:
        targets, abilities = table()
        column = targets.index(name)
        said = {ability: cells[column] == "yes" for ability, cells in abilities.items()}
        assert said == {ability: getattr(target.capabilities, ability) for ability in abilities}
        assert len(abilities) >= 9
    finally:
        target.close()
