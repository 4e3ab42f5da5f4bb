"""Write ``docs/configuration.md`` from the field docstrings of the configuration's models.

python docs/generate_configuration.py          # write it
python docs/generate_configuration.py --check  # exit 1 when it is not current
"""

import sys
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from vector_pipeline.config import Config
from vector_pipeline.config.fields import Name, Url

PAGE = Path(__file__).parent / "configuration.md"
HEAD = """# Configuration reference

`vector_pipeline.yaml` holds a project's whole configuration. `vector-pipeline init` writes one with comments,
`vector-pipeline check` validates it; a mistake is one line with file, line number and what to do. Unknown keys are refused.

- Paths are relative to the folder of the file.
- A size is a number of bytes, or a number with a unit: `500 KB`, `20 MB` (powers of 1000).
- A secret is never written into the file. `${env:NAME}` in a URL stands for an environment variable, which is read at the moment of
  use; a password written out is refused.
- A name (of a dataset, a space, a target, an environment) is lower-case letters, digits and `_`, begins with a letter, and has
  at most 40 characters. A dataset's has no two `_` in a row and none at its end: `__` parts it from its jobs, as in
  `handbook__release`.

This page is generated from the code by `docs/generate_configuration.py`: do not edit it.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    done: list[type[BaseModel]] = []
    waiting: list[type[BaseModel]] = [Config]
    while waiting:
        model = waiting.pop(0)
        if model in done:
            continue
        done.append(model)
        parts.append(section(model))
        waiting[:0] = [one for field in model.model_fields.values() for one in models_in(field.annotation)]
    return "\n".join(parts)


def title(model: type[BaseModel]) -> str:
    """``FileSourceConfig`` → ``File source``."""
    name = model.__name__.removesuffix("Config") or "The file"
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return words[0].upper() + words[1:]


def anchor(model: type[BaseModel]) -> str:
    """Where GitHub puts a section."""
    return title(model).lower().replace(" ", "-")


def section(model: type[BaseModel]) -> str:
    """One model as a table."""
    rows = [row(name, field) for name, field in model.model_fields.items()]
    about = " ".join((model.__doc__ or "").split()).replace("``", "`")
    lines = [f"## {title(model)}", "", about, "", "| key | value | default | meaning |", "|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def row(name: str, field: FieldInfo) -> str:
    """One key."""
    meaning = " ".join((field.description or "").split()).replace("|", "\\|").replace("``", "`")
    return f"| `{name}` | {kind(field.annotation)} | {default(field)} | {meaning} |"


def default(field: FieldInfo) -> str:
    """The default, or that the key is required."""
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return ""
    if isinstance(value, BaseModel) or (isinstance(value, dict) and value):
        return "its defaults"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value!s}`" if value != "" else "empty"


def kind(annotation: Any) -> str:
    """A type in words."""
    if annotation is Url:
        return "URL"
    if annotation is Name:
        return "name"
    origin = get_origin(annotation)
    if origin is Annotated:
        return kind(get_args(annotation)[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(kind(one) for one in get_args(annotation) if one is not type(None))
    if origin is list:
        return f"list of {kind(get_args(annotation)[0])}s"
    if origin is dict:
        return f"mapping of names to {kind(get_args(annotation)[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{title(annotation).lower()}](#{anchor(annotation)})"
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    return words.get(annotation, "text")


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Models that a type names, in order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for one in get_args(annotation) for found in models_in(one)]


if __name__ == "__main__":
    wanted = page()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == wanted else 1)
    PAGE.write_text(wanted, encoding="utf-8")
