"""Suggestions one by one at a terminal: a person takes, leaves or mends each."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vector_pipeline.cli.output import console, say

if TYPE_CHECKING:
    from vector_pipeline.verify.suggest.file import Block
    from vector_pipeline.verify.suggest.suggestion import Suggested, Suggestion

_KEYS = "y: take it  n: drop it  e: ask it otherwise  s: decide later  q: stop here"


def review(found: "Suggested") -> "tuple[list[Block], list[Block]]":
    """What was taken, and what was not decided on. Whoever stops, or closes the input, keeps what was taken."""
    from vector_pipeline.verify.suggest.file import block_of

    taken: list[Block] = []
    left: list[Block] = []
    say(_KEYS, style="dim")
    total = len(found.suggestions)
    for number, one in enumerate(found.suggestions, start=1):
        answer, now = _decide(found, number, total, one)
        if answer == "q":
            left += [block_of(later) for later in found.suggestions[number - 1 :]]
            break
        if answer == "y":
            taken.append(block_of(now))
        elif answer == "s":
            left.append(block_of(now))
    return taken, left


def _decide(found: "Suggested", number: int, total: int, one: "Suggestion") -> "tuple[str, Suggestion]":
    from vector_pipeline.report.canaries import suggestion_lines

    while True:
        say()
        console().print(suggestion_lines(number, total, one))
        answer = _ask("y/n/e/s/q? ", closed="q").strip().lower()[:1]
        if answer == "e":
            one = _edited(found, one)
        elif answer in ("y", "n", "s", "q"):
            return answer, one
        else:
            say(_KEYS, style="dim")


def _edited(found: "Suggested", one: "Suggestion") -> "Suggestion":
    """Asked in other words; what it expects stays, and is told where it comes now."""
    from vector_pipeline.verify.canaries.names import names

    query = " ".join(_ask(f"The question instead of: {one.query}\n> ").split())
    if not query:
        return one
    hits = found.again(query, one.filter)
    if not hits:
        say("Nothing is found for that.", style="yellow")
        return one
    rank = next((hit.rank for hit in hits if names(one.document, hit.document)), None)
    document = one.document
    if rank != 1:
        stands = f"comes as number {rank}" if rank else f"is not among the first {len(hits)}"
        say(f"{one.document} {stands}; first is {hits[0].document}.", style="yellow")
        if _ask(f"Expect {hits[0].document} instead? y/n ").strip().lower().startswith("y"):
            document = hits[0].document
    return replace(one, query=query, document=document, hits=hits, why=f"{one.why}, asked otherwise")


def _ask(prompt: str, *, closed: str = "") -> str:
    """A line; ``closed`` where the input is, or Ctrl-C was pressed."""
    try:
        return str(click.prompt(prompt, prompt_suffix="", default="", show_default=False))
    except click.Abort:
        say()
        return closed
