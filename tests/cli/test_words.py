"""What the program says of itself: its version, its help, and hints that can be pasted."""

import pickle
from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand
from vector_pipeline import __version__
from vector_pipeline.cli.session import Session
from vector_pipeline.cli.writing import say_counts
from vector_pipeline.errors import InputError, NotFoundError


def test_the_version_of_the_program(vp: RunCommand) -> None:
    shown = vp("--version")
    assert (shown.code, shown.out) == (0, f"vector-pipeline {__version__}\n")


def test_help_says_of_words_only_what_the_verb_takes(vp: RunCommand) -> None:
    diff, query = vp("diff", "--help").out, vp("query", "--help").out
    assert "Versions are 2 or v2." in diff
    assert "question in quotes" not in diff
    assert "question in quotes" in query
    assert "2 or v2" not in query


@pytest.mark.parametrize(
    ("what", "fix", "said"),
    [
        ("no version v9", "it has v1", "no version v9. It has v1"),
        ("no version v9", "Push it", "no version v9. Push it"),
        ("it changed: was it made anew?", "build again", "it changed: was it made anew? Build again"),
        ("no model", "pip install model", "no model. pip install model"),
        ("no alias", "vector-pipeline promote handbook", "no alias. vector-pipeline promote handbook"),
        ("no key", "lake.catalog is one", "no key. lake.catalog is one"),
        ("nothing", None, "nothing"),
    ],
)
def test_an_error_is_whole_sentences(what: str, fix: str | None, said: str) -> None:
    error = InputError(what, fix=fix, kind="own-code")
    assert (str(error), error.fix, error.code) == (said, fix, "own-code")
    assert str(pickle.loads(pickle.dumps(error))) == said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "Push it: vector-pipeline push faq --version 2",
            "Push it: vector-pipeline --project 'a b' --env prod push faq --version 2",
        ),
        ("vector-pipeline --env dev collect faq", "vector-pipeline --project 'a b' --env dev collect faq"),
        ("Upgrade vector-pipeline", "Upgrade vector-pipeline"),
        ("vector-pipeline init makes one", "vector-pipeline init makes one"),
        ("pip install 'vector-pipeline[embed]'", "pip install 'vector-pipeline[embed]'"),
        ("vector-pipeline needs more", "vector-pipeline needs more"),
    ],
)
def test_hints_repeat_the_options_that_were_given(message: str, said: str) -> None:
    assert Session(project_path="a b", environment="prod").repeatable(message) == said
    assert Session().repeatable(message) == message


def test_the_command_in_an_error_can_be_pasted(vp: RunCommand, fresh: Path) -> None:
    ran = vp("promote", "--project", fresh)
    assert ran.code == 1
    assert f"vector-pipeline --project {fresh} push handbook" in ran.err
    ran = vp("history", "--version", 9, "--project", fresh)
    assert "has no version v9. It has v1" in ran.err


def test_a_message_keeps_its_parts() -> None:
    error = NotFoundError("two\n lines", fix="one  space")
    assert (error.what, error.fix, str(error)) == ("two lines", "one space", "two lines. One space")


def test_check_names_a_dataset_where_there_are_several(vp: RunCommand, fresh: Path) -> None:
    assert "Next: vector-pipeline build --project" in vp("check", "--project", fresh).out
    text = fresh.read_text()
    one = text.partition("datasets:\n")[2].partition("environments:")[0]
    fresh.write_text(text.replace(one, one + one.replace("handbook:", "other:")))
    assert "Next: vector-pipeline build handbook --project" in vp("check", "--project", fresh).out


def test_vectors_that_were_taken_over_are_counted_beside_those_that_were_embedded(
    capfd: pytest.CaptureFixture[str],
) -> None:
    say_counts({"handbook/tiny/embeddings": {"embedded": 0, "copied": 3}})
    assert capfd.readouterr().out == "embeddings: 0 texts embedded in space tiny, 3 vectors taken over\n"
    say_counts({"handbook/tiny/embeddings": {"embedded": 1, "copied": 0}})
    assert capfd.readouterr().out == "embeddings: 1 text embedded in space tiny\n"


def test_put_says_what_it_lacks_and_what_it_replaced(vp: RunCommand, fresh: Path, tmp_path: Path) -> None:
    lacking = vp("put", "--project", fresh)
    assert (lacking.code, "expected [DATASET] FILE..., got nothing" in lacking.err) == (2, True)
    file = tmp_path / "leave.md"
    file.write_text("# Leave\n\nFourteen months.\n")
    assert "leave.md is in the source of handbook\n" in vp("put", file, "--project", fresh).out
    assert "handbook already, as it is\n" in vp("put", file, "--project", fresh).out
    file.write_text("# Leave\n\nFifteen months.\n")
    assert "in place of the one that was there\n" in vp("put", file, "--project", fresh).out
