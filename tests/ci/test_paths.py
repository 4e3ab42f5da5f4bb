"""Which datasets a change of files concerns."""

from pathlib import Path

import pytest

from vector_pipeline.config import load_config
from vector_pipeline.project.preview_paths import Concerned

TWO_TEAMS = """
environments:
  staging:
    gates: {expectations: rules}
datasets:
  answers:
    source: {root: teams/support/documents, include: ["**/*.md"], exclude: ["drafts/**"]}
    spaces: {tiny: {embedder: {kind: deterministic, model: MODEL, dimension: 64}}}
    target: local
    gates: {canaries: teams/support/canaries.yaml}
  products:
    source: {kind: csv, path: "teams/shop/export-*/products.csv"}
    spaces: {tiny: {embedder: {kind: deterministic, model: seed, dimension: 64}}}
    target: local
  pool:
    source: {kind: duckdb, query: "SELECT 1 AS id, 'a' AS text"}
    spaces: {tiny: {embedder: {kind: deterministic, model: seed, dimension: 64}}}
    target: local
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors/vector_pipeline.yaml").write_text(TWO_TEAMS.replace("MODEL", "seed"))
    return tmp_path


def concerned(root: Path, *changed: str, before: str | None = None, always: tuple[str, ...] = ()) -> list[str]:
    file = root / "vectors/vector_pipeline.yaml"
    was = None
    if before is not None:
        (root / "before.yaml").write_text(before)
        was = load_config(root / "before.yaml")
    return list(Concerned(file, load_config(file), before=was, always=always).by(changed, root))


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ("vectors/teams/support/documents/a/page.md", ["answers"]),
        ("vectors/teams/support/documents/drafts/page.md", []),
        ("vectors/teams/support/documents/page.txt", []),
        ("vectors/teams/support/canaries.yaml", ["answers"]),
        ("vectors/teams/shop/export-7/products.csv", ["products"]),
        ("vectors/rules/documents.yaml", ["answers", "products", "pool"]),
        ("teams/support/documents/page.md", []),
        ("README.md", []),
        ("vectors/vector_pipeline.yaml", ["answers", "products", "pool"]),
    ],
)
def test_a_file_concerns_whoever_reads_it(root: Path, changed: str, wanted: list[str]) -> None:
    assert concerned(root, changed) == wanted


def test_of_the_configuration_only_what_changed_counts(root: Path) -> None:
    changed = "vectors/vector_pipeline.yaml"
    assert concerned(root, changed, before=TWO_TEAMS.replace("MODEL", "other")) == ["answers"]
    assert concerned(root, changed, before=TWO_TEAMS.replace("MODEL", "seed")) == []
    shared = TWO_TEAMS.replace("MODEL", "seed").replace("expectations: rules", "expectations: others")
    assert concerned(root, changed, before=shared) == ["answers", "products", "pool"]


def test_code_of_ones_own_concerns_everybody(root: Path) -> None:
    assert concerned(root, "vectors/code/parser.py", always=("vectors/code/**",)) == ["answers", "products", "pool"]
    assert concerned(root, "code/parser.py", always=("vectors/code/**",)) == []
