"""The command line's frame: the application, its global options (before or after the verb), and shared argument types."""

from typing import Annotated, Any

import click
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from vector_pipeline.cli.session import Session

_PANEL = "Options of every command"
_ARGUMENTS = {
    "dataset": "May be left out when the project has one.",
    "datasets": "Default: all of the project.",
    "words": "The dataset may be left out when the project has one.",
    "folder": "Made if need be. Default: here.",
}
"""Help of arguments, by name. click 8.5 overwrites what typer 0.25 sets on an argument, so it is put back."""
_QUOTED = " Put the question in quotes."
_NUMBERED = " Versions are 2 or v2."
_WORDS = {
    "diff": _NUMBERED,
    "pin": _NUMBERED,
    "unpin": _NUMBERED,
    "query": _QUOTED,
    "blame": _QUOTED,
    "compare": _QUOTED,
}
"""What a verb says of its words beyond that."""


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is not None and value is not False:
        setattr(ctx.ensure_object(Session), str(param.name), value)


def _say_version(ctx: click.Context, _: click.Parameter, value: Any) -> None:
    if value and not ctx.resilient_parsing:
        from vector_pipeline import __version__
        from vector_pipeline.cli.output import say

        say(f"vector-pipeline {__version__}")
        ctx.exit()


def _globals() -> list[click.Parameter]:
    def option(*names: str, **settings: Any) -> TyperOption:
        return TyperOption(
            param_decls=list(names), expose_value=False, callback=_remember, rich_help_panel=_PANEL, **settings
        )

    return [
        option(
            "project_path", "--project", metavar="PATH", type=str,
            help="Configuration file, or the folder that holds it. Default: $VECTOR_PIPELINE_CONFIG, or the nearest "
            "vector_pipeline.yaml in this folder or above.",
        ),
        option(
            "environment", "--env", metavar="NAME", type=str,
            help="Environment of the configuration. Default: $VECTOR_PIPELINE_ENV, or the first.",
        ),
        option(
            "break_seal", "--break-seal", metavar="REASON", type=str,
            help="Write to a sealed environment without its seal, this once. Who did it and why stays in the history.",
        ),
        option("debug", "--debug", is_flag=True, help="Show a traceback when something fails."),
    ]  # fmt: skip


class Command(TyperCommand):
    """A verb that takes the global options too."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        for param in params:
            if isinstance(param, TyperArgument) and not param.help:
                param.help = _ARGUMENTS.get(str(param.name))
                if param.name == "words":
                    param.help = f"{param.help}{_WORDS.get(str(self.name), '')}"
        return [*params, *_globals()]


class Verbs(TyperGroup):
    """The application: global options may also stand before the verb."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        version = TyperOption(
            param_decls=["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_say_version,
            help="Print the program's version.",
        )  # fmt: skip
        return [*super().get_params(ctx), *_globals(), version]


app = typer.Typer(
    name="vector-pipeline",
    cls=Verbs,
    help="Vector indexes as deployment targets: build, plan, push, verify, promote, roll back.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def session_of(ctx: typer.Context) -> Session:
    """The invocation's session."""
    return ctx.ensure_object(Session)


def version_number(text: str) -> int:
    """``2`` or ``v2``."""
    digits = text.removeprefix("v")
    if not digits.isascii() or not digits.isdigit():
        raise typer.BadParameter(f"{text!r} is no version: write 2 or v2")
    return int(digits)


def split_dataset(words: list[str], wanted: int, what: str) -> tuple[str | None, list[str]]:
    """The dataset, if it was given before ``wanted`` other words; anything else is wrong usage."""
    if len(words) == wanted:
        return None, words
    if len(words) == wanted + 1:
        return words[0], words[1:]
    raise click.UsageError(f"expected [DATASET] {what}, got {len(words)} words")


Dataset = Annotated[str | None, typer.Argument(metavar="[DATASET]", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
VersionOption = Annotated[
    int | None,
    typer.Option("--version", metavar="N", parser=version_number, help="Version, as 2 or v2.", show_default=False),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept in the history.", show_default=False)]
