"""``route``: begun, shown, changed and ended from the command line."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand
from tests.reembed.test_filling import OTHER, with_space
from vector_pipeline.cli.routing import share_of, shown


@pytest.fixture
def config(released: Path, tmp_path: Path) -> Path:
    """A copy of the released project: v1 in production, v2 verified."""
    return shutil.copytree(released.parent, tmp_path / "copy") / released.name


def test_a_route_is_begun_shown_and_ended(vp: RunCommand, config: Path) -> None:
    project = ("--project", config)
    none = vp("route", *project)
    assert (none.code, none.out.splitlines()[0]) == (
        0,
        "No reader of handbook is routed: all get what production names.",
    )
    begun = vp("route", "--version", "v2", "--share", "5%", "--reason", "try it", *project)
    assert begun.code == 0, begun.err
    assert begun.out.startswith("5% of the readers of handbook get v2; the others what production names.\nNext: ")
    table = vp("route", "handbook", *project)
    assert table.out.splitlines()[0].split() == ["version", "share", "since", "(UTC)", "by", "reason"]
    assert table.out.splitlines()[1].split()[:2] == ["v2", "5%"]
    assert "Next: vector-pipeline promote --version 2" in table.out
    told = vp("route", "--json", *project).json
    assert (told["version"], told["share"], told["reason"], told["environment"]) == (2, 0.05, "try it", "dev")
    status = vp("status", *project)
    assert "Route: 5% of the readers get v2 since " in status.out
    assert vp("status", "--json", *project).json[0]["route"] == told
    assert vp("query", "item3x2", "--json", *project).json[0]["version"] == 1
    more = vp("route", "--version", "2", "--share", "0.125", "--json", *project)
    assert more.json["share"] == 0.125
    off = vp("route", "--off", *project)
    assert off.out == "Every reader of handbook gets what production names; 12.5% were routed to v2.\n"
    assert vp("route", "--off", *project).out == "No reader of handbook was routed.\n"
    assert vp("route", "--json", *project).json is None
    kept = [(one["to"], one["reason"]) for one in vp("history", "--json", *project).json if one["kind"] == "route"]
    assert kept == [(2, "ended"), (2, "12.5% of the readers"), (2, "5% of the readers: try it")]
    assert "5% of the readers: try it" in " ".join(vp("history", *project).out.split())
    assert "Route:" not in vp("status", *project).out


@pytest.mark.slow
def test_a_move_says_that_it_ended_a_route_and_what_was_built_since(vp: RunCommand, config: Path) -> None:
    project = ("--project", config)
    assert vp("route", "--version", "2", "--share", "5%", *project).code == 0
    (config.parent / "documents" / "more.md").write_text("# More\n\nOf what was not pushed.\n", encoding="utf-8")
    assert vp("build", *project).code == 0
    moved = vp("promote", *project)
    assert moved.code == 0, moved.err
    assert "The route of 5% of the readers to v2 has ended with it." in moved.out
    assert moved.out.rstrip().endswith(f"and is not on staging.\nNext: vector-pipeline push --project {config}")


def test_what_comes_next_for_a_route_into_a_space_that_does_not_serve(vp: RunCommand, config: Path) -> None:
    assert vp("route", "--version", "2", "--share", "5%", "--project", config).code == 0
    text = with_space(config, OTHER).read_text(encoding="utf-8")
    assert text.count("serving: tiny") == 1
    config.write_text(text.replace("serving: tiny", "serving: other"), encoding="utf-8")
    shown = vp("route", "--project", config).out
    assert "set `serving: tiny` in vector_pipeline.yaml; then:" in shown
    assert shown.rstrip().endswith(f"Next: vector-pipeline push --project {config}")
    assert "promote" not in shown


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--version", "2"), 2, "a route needs both"),
        (("--share", "5%"), 2, "a route needs both"),
        (("--off", "--version", "2", "--share", "5%"), 2, "--off ends the route"),
        (("--version", "2", "--share", "5"), 2, "write 5% or 0.05"),
        (("--version", "2", "--share", "some"), 2, "'some' is no share"),
        (("--version", "2", "--share", "0%"), 2, "above 0 and at most 100%"),
        (("--version", "1", "--share", "5%"), 1, "serves version 1 to every reader"),
        (("--version", "9", "--share", "5%"), 1, "no version v9"),
    ],
)
def test_what_is_no_route_is_said_in_one_line(
    vp: RunCommand, released: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = vp("route", *words, "--project", released)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_no_registry_is_made(vp: RunCommand, unbuilt: Path) -> None:
    for words in ((), ("--off",), ("--version", "1", "--share", "5%")):
        assert vp("route", *words, "--project", unbuilt).code == 1
    assert not (unbuilt.parent / ".vector_pipeline").exists()


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("100%", 1.0), ("1", 1.0), ("0.1%", 0.001)])
def test_shares_are_percent_or_parts(text: str, share: float) -> None:
    assert share_of(text) == pytest.approx(share)
    assert share_of(shown(share)) == pytest.approx(share)
