"""``reembed`` and ``reembed status`` as a person types them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, RunCommand, vp
from tests.conftest import write_project
from tests.reembed.test_filling import OTHER, with_space
from tests.support.gates import FEW
from vector_pipeline.project import Project

__all__ = ["vp"]
THIRD = OTHER.replace("other", "third").replace("another", "a third one")
COLUMNS = ["shard", "state", "done", "pending", "stale", "gone", "records", "vectors"]
Here = Callable[..., Ran]


def prepare(folder: Path, *, space: str = OTHER, more: str = "", build: bool = True) -> Path:
    """A project whose serving space is built, with another one beside it."""
    config = write_project(folder, 12, gates=FEW.replace("catch_up: off, ", "").replace(", catch_up: off", ""))
    if build:
        with Project.load(config) as project:
            project.build("handbook")
    return with_space(config, space, more=more)


@pytest.fixture
def here(vp: RunCommand) -> Callable[[Path], Here]:
    """Run commands on a project."""
    return lambda config: lambda *words: vp(*words, "--project", config)


@pytest.mark.slow
def test_from_nothing_to_a_version_beside_production(
    here: Callable[[Path], Here], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = prepare(tmp_path, more="    reembed: {max_texts: 5}\n")
    run = here(config)
    assert f"Next: vector-pipeline reembed --space other --project {config}" in run("check").out
    monkeypatch.setenv("COLUMNS", "80")
    empty = run("reembed", "status")
    assert empty.code == 0
    lines = empty.out.splitlines()
    assert lines[0] == "Space other of handbook (deterministic another): 0 of 12 documents done (0%)"
    assert lines[1] == "How long it takes is not known yet"
    assert lines[2].split() == [*COLUMNS, "filled", "(UTC)"]
    assert lines[3].split() == ["00", "pending", "0", "3", "0", "0", "0", "0", "-"]
    assert lines[-1] == f"Next: vector-pipeline reembed --space other --project {config}"

    part = run("reembed", "--shards", "0", "--rate", "1000")
    assert part.code == 0, part
    assert "Space other: 3 texts embedded (" in part.out
    assert "3 of 4 shards are left." in part.out
    assert part.out.rstrip().endswith(f"Next: vector-pipeline reembed status --space other --project {config}")
    told = run("reembed", "status", "handbook", "--space", "other", "--json").json
    assert (told["documents"], told["done"], told["pending"], told["failed"], told["whole"]) == (12, 3, 9, 0, False)
    assert [one["state"] for one in told["shards"]] == ["done", "pending", "pending", "pending"]
    assert told["texts_per_second"] > 0

    refused = run("reembed")
    assert refused.code == 1
    assert refused.err == (
        "Error: 9 texts of handbook would be embedded in space other beside the 3 that were, more than its budget of 5. "
        "Let it: vector-pipeline "
        f"--project {config} reembed handbook --space other --over-budget; or raise reembed.max_texts\n"
    )
    whole = run("reembed", "--over-budget")
    assert whole.code == 0, whole
    assert "Space other: 9 texts embedded (" in whole.out
    assert "v2 of space other stands beside production in handbook--other--" in whole.out
    assert "catch up" in whole.out
    assert f"Look at it: vector-pipeline report 2 --open --project {config}" in whole.out
    assert "To try it on a share of the readers first" not in whole.out, "nothing is served"
    assert whole.out.rstrip().endswith(f"Next: vector-pipeline push --project {config}")
    beside = next(line for line in run("status").out.splitlines() if line.startswith("beside"))
    assert "v2 (space other): 12 documents, " in beside
    assert [one["space"] for one in run("status", "--json").json[0]["beside"]] == ["other"]

    again = run("reembed")
    assert "Space other: nothing to embed" in again.out
    done = run("reembed", "status")
    assert "12 of 12 documents done (100%)" in done.out
    assert "\nWhole. Filled at " in done.out
    assert "Newest version: v2, " in done.out
    assert "set `serving: other` in vector_pipeline.yaml" in done.out
    # Nothing of Dagster's own comes between.
    for one in (part, whole, again):
        assert one.err == ""


@pytest.mark.slow
def test_shards_without_documents_are_told_as_such(here: Callable[[Path], Here], tmp_path: Path) -> None:
    config = write_project(tmp_path, 1, gates=FEW)
    with Project.load(config) as project:
        project.build("handbook")
    run = here(with_space(config, OTHER))
    before = run("reembed", "status").out
    states = [line.split()[1] for line in before.splitlines() if line[:2].isdigit()]
    assert sorted(states) == ["empty", "empty", "empty", "pending"]
    full = states.index("pending")
    assert [one["state"] for one in run("reembed", "status", "--json").json["shards"]].count("done") == 3
    nothing = run("reembed", "--shards", str((full + 1) % 4)).out
    assert "3 of 4 shards are left, of which 2 have no document." in nothing
    assert nothing.rstrip().endswith(f"Next: vector-pipeline reembed status --space other --project {config}")
    filled = run("reembed", "--shards", str(full)).out
    assert "2 of 4 shards are left, and none of them has a document" in filled
    assert filled.rstrip().endswith(f"Next: vector-pipeline reembed --space other --project {config}")
    assert "Every document is in it, and it has no version yet." in run("reembed", "status").out
    assert run("reembed").code == 0
    (tmp_path / "documents/more.md").write_text("# More\n\nSomething that is new.\n", encoding="utf-8")
    both = [line for line in run("build").out.splitlines() if line.startswith("Made v")]
    assert [line.split(":")[0] for line in both] == ["Made v3", "Made v4"]
    assert sorted(line.split(" in space ")[1].split()[0] for line in both) == ["other", "tiny"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("reembed", "status", "handbook", "else"), 2, "expected [status] [DATASET], got 3 words"),
        (("reembed", "nowhere"), 1, "no dataset 'nowhere'"),
        (("reembed", "--space", "nowhere"), 1, "handbook has no space 'nowhere'; it has: tiny, other"),
        (("reembed", "--space", "tiny"), 1, "tiny serves handbook: a build fills it"),
        (("reembed", "--shards", "2-4"), 2, "'2-4' names no shards: write A-B, from 0 to 3"),
        (("reembed", "--shards", "3-2"), 2, "'3-2' names no shards"),
        (("reembed", "--shards", "-1"), 2, "'-1' names no shards"),
        (("reembed", "--rate", "0"), 2, "0.0 is not in the range x>=0.001"),
        (
            ("reembed", "status", "--rate", "5"),
            2,
            "status fills nothing: it takes no --shards, --rate or --over-budget",
        ),
        (("reembed", "--json"), 2, "--watch and --json go with `reembed status`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_one_line(
    here: Callable[[Path], Here], two_spaces: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    answer = here(two_spaces)(*words)
    assert answer.code == code
    assert answer.out == ""
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    assert said in answer.err


@pytest.fixture(scope="module")
def two_spaces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("two"))


@pytest.mark.slow
def test_which_space_is_meant(here: Callable[[Path], Here], tmp_path: Path) -> None:
    alone = here(write_project(tmp_path / "alone", 2))("reembed")
    assert alone.code == 1
    assert "handbook has one space, tiny, and it serves. Add the new one under `spaces:`" in alone.err
    three = here(prepare(tmp_path / "three", space=OTHER + THIRD))("reembed", "status")
    assert three.code == 1
    assert "several spaces that do not serve: other, third. Name one: --space NAME" in three.err


def test_a_project_that_was_never_built(here: Callable[[Path], Here], tmp_path: Path) -> None:
    run = here(prepare(tmp_path, build=False))
    for words in (("reembed",), ("reembed", "status")):
        answer = run(*words)
        assert (answer.code, answer.out) == (1, "")
        assert "Run a build first" in answer.err
        assert answer.err.count("\n") == 1
    assert not (tmp_path / ".vector_pipeline" / "lake").exists(), "a refused command makes no lake"
