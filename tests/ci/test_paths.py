"""Which datasets a change of files concerns."""

import json
import subprocess
from pathlib import Path

import pytest

from vector_pipeline.cli import run
from vector_pipeline.config import load_config
from vector_pipeline.project.preview_paths import Concerned, listed

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


def test_one_that_is_not_loaded_is_concerned_by_every_change(root: Path) -> None:
    file = root / "vectors/vector_pipeline.yaml"
    file.write_text(file.read_text().replace("path:", "paths:"))
    assert list(load_config(file).broken) == ["products"]
    assert concerned(root, "vectors/teams/shop/export-7/products.csv") == ["products"]
    assert concerned(root, "vectors/teams/support/canaries.yaml") == ["answers", "products"]
    assert concerned(root, "docs/page.md") == ["products"], "where its documents lie nobody knows"


OWN = """
datasets:
  NAME:
    source: {root: documents}
    spaces: {tiny: {embedder: {kind: deterministic, model: seed, dimension: 64}}}
    target: local
"""


@pytest.mark.parametrize(
    ("text", "beside"),
    [
        (OWN.replace("target:", "targt:"), []),
        ("<<<<<<< HEAD\n" + OWN, []),
        (OWN.replace("target:", "targt:").replace("root: documents", "root: ../shared"), ["shop"]),
        (OWN.replace("NAME", "support"), ["support"]),
    ],
    ids=["a key", "no YAML", "files elsewhere", "a name that stands twice"],
)
def test_one_that_is_not_loaded_is_concerned_below_its_own_folder(root: Path, text: str, beside: list[str]) -> None:
    (root / "vectors/vector_pipeline.yaml").write_text('include: ["*/dataset.yaml"]\nenvironments: {dev: {}}\n')
    for name, held in {"support": OWN, "answers": OWN, "shop": text}.items():
        (root / "vectors" / name).mkdir()
        (root / "vectors" / name / "dataset.yaml").write_text(held.replace("NAME", name))
    (broken,) = load_config(root / "vectors/vector_pipeline.yaml").broken
    assert concerned(root, "vectors/shop/documents/page.md") == [broken]
    assert concerned(root, "vectors/shop/export.csv") == [broken]
    assert concerned(root, "vectors/answers/documents/page.md") == ["answers"] + (
        [broken] if beside == ["shop"] else []
    )
    theirs = concerned(root, "vectors/support/documents/page.md")
    assert theirs == ([] if broken == "support" else ["support"]) + ([broken] if beside else [])
    assert concerned(root, "docs/page.md") == ([broken] if beside == ["shop"] else [])


def test_a_link_that_cannot_be_followed_concerns_whoever_stands_for_it(root: Path) -> None:
    (root / "vectors/vector_pipeline.yaml").write_text("include: [support.yaml, loop]\nenvironments: {dev: {}}\n")
    (root / "vectors/support.yaml").write_text(OWN.replace("NAME", "support"))
    (root / "vectors/loop").symlink_to("loop")
    assert concerned(root, "vectors/loop") == ["loop"]


def test_a_file_that_is_included_no_more_concerns_everybody(root: Path) -> None:
    (root / "vectors/vector_pipeline.yaml").write_text('include: ["*/dataset.yaml"]\nenvironments: {dev: {}}\n')
    (root / "vectors/answers").mkdir()
    (root / "vectors/answers/dataset.yaml").write_text(OWN.replace("NAME", "answers"))
    assert concerned(root, "vectors/copy/dataset.yaml") == ["answers"], "its name may have stood there too"
    assert concerned(root, "vectors/copy/other.yaml") == []


def test_code_of_ones_own_concerns_everybody(root: Path) -> None:
    assert concerned(root, "vectors/code/parser.py", always=("vectors/code/**",)) == ["answers", "products", "pool"]
    assert concerned(root, "code/parser.py", always=("vectors/code/**",)) == []


ODD = (
    "documents/\u00fcber uns.md",
    'documents/a "quoted" page.md',
    "documents/two\nlines.md",
    "documents/tab\tand\\.md",
    "plain.md",
)


@pytest.mark.parametrize("words", [("-z",), (), ("-c", "core.quotePath=false")], ids=["NUL", "lines", "not quoted"])
def test_paths_are_what_git_knows_files_by(tmp_path: Path, words: tuple[str, ...]) -> None:
    def git(*given: str) -> bytes:
        named = ["-c", "user.name=ann", "-c", "user.email=ann@example.com", *given]
        return subprocess.run(["git", "-C", str(tmp_path), *named], capture_output=True, check=True).stdout

    git("init", "--quiet")
    for name in ODD:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("new")
    git("add", "--all")
    before, after = (words, ()) if words[:1] == ("-c",) else ((), words)
    assert sorted(listed(git(*before, "diff", "--cached", "--name-only", *after))) == sorted(ODD)
    assert listed(b"") == []


@pytest.mark.parametrize(
    "before", ["", "datasets: {answers: {sourc: 1}}", "a: [", "\x00"], ids=["empty", "key", "yaml", "NUL"]
)
def test_a_configuration_that_was_broken_is_repaired_by_a_change_of_everything(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], before: str
) -> None:
    changed, was = tmp_path / "changed.txt", tmp_path / "was.yaml"
    changed.write_text("vectors/vector_pipeline.yaml\n")
    was.write_text(before)
    here = ["--project", str(root / "vectors"), "ci", "datasets", "--root", str(root), "--changed-files", str(changed)]
    assert run([*here, "--before", str(was)]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out) == {"dataset": ["answers", "products", "pool"]}
    assert "as it was" in said.err or before.startswith("datasets")
    assert run([*here, "--before", str(tmp_path / "none.yaml")]) == 1
    assert "there is no file" in capfd.readouterr().err
