"""Texts from outside on a terminal: nothing that they hold is a command to it."""

import io
import json
from dataclasses import dataclass

import pytest
from rich.console import RenderableType
from rich.text import Text

from vector_pipeline.cli.output import LegibleConsole, complain, emit, say, show
from vector_pipeline.report.sidebyside import answer_lines
from vector_pipeline.report.tables import hits_lines, table
from vector_pipeline.verify.sidebyside import Answer, Asked, Found, SideBySide

EVIL = "\x1b]0;pwned\x07\x1b[2J\x1b[31mred\x9b31m \u202egnp.exe\ufffe"


@dataclass(frozen=True)
class Hit:
    score: float = 0.5
    document: str = EVIL
    version: int = 1
    text: str = EVIL


def side_by_side() -> RenderableType:
    one = Found(1, EVIL, 0.5, title=EVIL, heading=EVIL, text=EVIL)
    answer = Answer(EVIL, None, (one,), (one,))
    side = Asked("production", 1, "local")
    return answer_lines(SideBySide(side, side, 5, (answer,)), answer, 100)


@pytest.mark.parametrize("make", [lambda: hits_lines([Hit()]), side_by_side, lambda: table((EVIL,), [(EVIL,)])])
def test_a_terminal_gets_no_command_of_a_document(make: object, capsys: pytest.CaptureFixture[str]) -> None:
    show(make())  # type: ignore[operator]
    out = capsys.readouterr().out
    assert "gnp.exe" in out
    assert not set(out) & set("\x1b\x07\x9b\u202e\ufffe")


def test_neither_does_a_line_nor_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    complain(EVIL)
    both = capsys.readouterr()
    for said in (both.out, both.err):
        assert "gnp.exe" in said
        assert not set(said) & set("\x1b\x07\x9b\u202e\ufffe")


def test_our_own_colours_stay() -> None:
    file = io.StringIO()
    LegibleConsole(file=file, force_terminal=True, color_system="standard").print(Text("a\x1b[2Jb", style="red"))
    assert file.getvalue() == "\x1b[31ma�[2Jb\x1b[0m\n"


def test_json_says_it_in_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"document": EVIL, "größe": "日本"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"document": EVIL, "größe": "日本"}
    assert not set(out) & set("\x1b\x07\x9b\u202e\ufffe")
    assert "日本" in out
