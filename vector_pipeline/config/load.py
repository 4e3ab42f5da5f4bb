"""Read ``vector_pipeline.yaml``: every mistake is one line with file, line number and what to do."""

import os
from pathlib import Path

from vector_pipeline.config.isolating import assembled
from vector_pipeline.config.models import Config
from vector_pipeline.config.tree import read_tree
from vector_pipeline.errors import ConfigError

CONFIG_NAME = "vector_pipeline.yaml"


def find_config(start: Path | None = None) -> Path:
    """The configuration file: ``$VECTOR_PIPELINE_CONFIG``, else the nearest one in ``start`` or a folder above it."""
    named = os.environ.get("VECTOR_PIPELINE_CONFIG")
    if named and start is None:
        return Path(named)
    begin = (start or Path.cwd()).resolve()
    for folder in (begin, *begin.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    raise ConfigError(f"no {CONFIG_NAME} in {begin} or above", fix="Make one: vector-pipeline init")


def load_config(path: Path) -> Config:
    """Parse and validate. Raises ``ConfigError`` whose message begins ``file:line:``.

    Of several datasets, those that are wrong are ``Config.broken``: what is wrong with one of them is no error of the others.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}", fix="Make one: vector-pipeline init") from None
    tree, data = read_tree(path, text)
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: the file must hold a mapping", fix="Begin with `datasets:`")
    return assembled(path, tree, data)
