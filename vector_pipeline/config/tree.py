"""Read YAML that a person wrote: the values, and the tree that knows their lines. A mistake is one line with file and line.

A key that stands twice is a mistake: YAML would drop the first of them without a word.
"""

from pathlib import Path
from typing import Any

import yaml

from vector_pipeline.config.mistakes import duplicate
from vector_pipeline.errors import ConfigError

Loader = type[yaml.SafeLoader] | type["yaml.CSafeLoader"]


def read_tree(path: Path, text: str, loader: Loader = yaml.SafeLoader) -> tuple[yaml.Node | None, Any]:
    """The tree and the values of ``text``, which ``path`` holds. ``loader``: PyYAML's safe one, or the same in C."""
    try:
        tree = yaml.compose(text, Loader=loader)
        twice = duplicate(tree)
        if twice is not None:
            raise ConfigError(f"{path}:{twice[0]}: {twice[1]} stands twice in one mapping", fix="Keep one of the two")
        return tree, yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(
            f"{where}: not YAML: {error.problem}", fix="Check indentation (spaces, no tabs) and quotes there"
        ) from None
    except yaml.reader.ReaderError as error:
        where = f"{path}:{text.count(chr(10), 0, error.position) + 1}"
        raise ConfigError(f"{where}: not YAML: character #x{error.character:04x} is not allowed") from None
    except RecursionError:
        raise ConfigError(f"{path}:1: not YAML: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}:1: not YAML: {' '.join(str(error).split())}") from None
