"""Pieces of configuration that a page or a command shows, read as a person would put them into the file of a new project."""

import re
from pathlib import Path
from typing import Any

import yaml

from vector_pipeline.config import Config, load_config

TEMPLATE = Path(__file__).resolve().parents[2] / "vector_pipeline" / "cli" / "template" / "vector_pipeline.yaml"


def yaml_blocks(page: str) -> list[str]:
    """The YAML blocks of a page."""
    return re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def with_piece(piece: str, folder: Path) -> Config:
    """The configuration of ``vector-pipeline init`` with a piece more: keys that are there already are gone into."""
    whole = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    path = folder / "vector_pipeline.yaml"
    path.write_text(yaml.safe_dump(_merged(whole, yaml.safe_load(piece)), allow_unicode=True), encoding="utf-8")
    return load_config(path)


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: _merged(old.get(key), value) for key, value in new.items()}
