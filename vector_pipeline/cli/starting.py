"""``init``: a folder that works at once, with a commented configuration and a few documents."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from vector_pipeline.cli.app import Command, app
from vector_pipeline.cli.output import say
from vector_pipeline.errors import InputError, RefusedError


@app.command(cls=Command)
def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", show_default=False)] = Path(),
) -> None:
    """Write a commented vector_pipeline.yaml, example documents and questions. Overwrites nothing."""
    template = resources.files("vector_pipeline.cli") / "template"
    files = {
        item: folder / item
        for item in ("vector_pipeline.yaml", "canaries.yaml", *(f"documents/{name}" for name in _documents()))
    }
    existing = [str(path) for path in files.values() if path.exists()]
    if existing:
        raise RefusedError(f"{existing[0]} exists already", fix="init overwrites nothing: choose another folder")
    try:
        for item, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((template / item).read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    for path in files.values():
        say(f"wrote {path}")
    where = "" if folder == Path() else f"cd {folder} && "
    say(f"Next: {where}vector-pipeline check", style="dim")


def _documents() -> list[str]:
    folder = resources.files("vector_pipeline.cli") / "template" / "documents"
    return sorted(item.name for item in folder.iterdir() if item.name.endswith(".md"))
