"""Start-up: help is fast, and reading verbs import neither Dagster nor a model's libraries."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("dagster", "torch", "sentence_transformers", "great_expectations", "docutils", "mammoth", "pypdf")
PROGRAM = """
import sys
from vector_pipeline.cli import run
code = run(sys.argv[1:])
print("LOADED", ",".join(name for name in {names!r} if name in sys.modules))
sys.exit(code)
"""


def loaded(*words: object, names: tuple[str, ...] = HEAVY) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(names=names), *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(filter(None, done.stdout.rstrip().splitlines()[-1].removeprefix("LOADED").strip().split(",")))


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("versions",),
        ("diff", "1", "2"),
        ("plan",),
        ("status",),
        ("history",),
        ("documents",),
        ("query", "page"),
        ("check",),
    ],
    ids=lambda words: words[0],
)
def test_reading_verbs_import_nothing_heavy(released: Path, words: tuple[str, ...]) -> None:
    assert loaded(*words, "--project", released) == set()


def test_help_imports_neither_core_nor_engine() -> None:
    core = ("duckdb", "pyarrow", "sqlalchemy", "pydantic", "numpy", "vector_pipeline.project", "vector_pipeline.lake")
    assert loaded("--help", names=HEAVY + core) == set()


@pytest.mark.slow
def test_the_program_reports_usage_and_failure_by_exit_code(tmp_path: Path) -> None:
    program = [str(Path(sys.executable).parent / "vector-pipeline")]
    failed = subprocess.run(
        [*program, "status", "--project", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith("Error: ")
    assert failed.stderr.count("\n") == 1
    usage = subprocess.run([*program, "nothing"], capture_output=True, text=True, check=False)
    assert usage.returncode == 2
    assert usage.stderr.startswith("Error: ")
