"""Write ``docs/commands.md`` from the command line itself: every verb, its arguments and options.

python docs/generate_commands.py          # write it
python docs/generate_commands.py --check  # exit 1 when it is not current
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import typer
from typer.core import TyperArgument

from vector_pipeline.cli.verbs import app

PAGE = Path(__file__).parent / "commands.md"
PROGRAM = "vector-pipeline"
HEAD = """# Command reference

Every command says the same with `--help`. Results are on standard output, progress and errors on standard error;
[exit codes](errors.md) tell what happened.

This page is generated from the code by `docs/generate_commands.py`: do not edit it.
"""


def page() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    verbs = list(walk(root, (PROGRAM,)))
    shared = {one.name: one for one in root.get_params(click.Context(root)) if panel(one)}
    parts = [HEAD, "## Options of every command\n", table(list(shared.values()))]
    for path, command in verbs:
        context = click.Context(command, info_name=" ".join(path))
        own = [one for one in command.get_params(context) if one.name not in shared and "--help" not in one.opts]
        said = " ".join((command.help or "").split("\f")[0].split())
        usage = " ".join([*path, *(piece for piece in command.collect_usage_pieces(context))])
        parts.append(f"## {' '.join(path[1:])}\n\n{said}\n\n    {usage}\n")
        parts += [table(own)] if own else []
    return "\n".join(parts).rstrip() + "\n"


def panel(one: click.Parameter) -> bool:
    """Whether it is an option of every command."""
    return getattr(one, "rich_help_panel", None) == "Options of every command"


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, in the order of ``--help``."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(click.Context(command)):
        found = command.get_command(click.Context(command), name)
        if found is not None and not found.hidden:
            yield from walk(found, (*path, name))


def table(parameters: list[click.Parameter]) -> str:
    """Arguments first, then options."""
    rows = sorted(parameters, key=lambda one: not isinstance(one, click.Argument))
    lines = [f"| {name(one)} | {said(one)} |" for one in rows]
    return "\n".join(["| | |", "|---|---|", *lines, ""])


def name(one: click.Parameter) -> str:
    """As it is typed: ``--top-k``, ``-k`` `INTEGER`."""
    if isinstance(one, click.Argument):
        return f"`{one.human_readable_name.upper()}`"
    written = ", ".join(f"`{word}`" for word in (*one.opts, *one.secondary_opts))
    flag = isinstance(one, click.Option) and (one.is_flag or one.count)
    return written if flag else f"{written} `{metavar(one)}`"


def metavar(one: click.Parameter) -> str:
    """What stands for the value."""
    if one.metavar:
        return one.metavar
    if isinstance(one.type, click.Choice):
        return " / ".join(map(str, one.type.choices))
    return one.type.name.upper()


def said(one: click.Parameter) -> str:
    """Its help and default, safe in a table."""
    text = " ".join((getattr(one, "help", None) or "").split())
    default = one.default
    if (
        isinstance(one, TyperArgument | click.Option)
        and isinstance(default, int | float | str)
        and default not in ("", False, True)
    ):
        shown = f"Default: `{default}`."
        text = text if "Default" in text else f"{text} {shown}".strip()
    return text.replace("|", "\\|").replace("<", "&lt;")


def main(check: bool) -> int:
    """Write the page, or only look."""
    made = page()
    if check:
        return 0 if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == made else 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
