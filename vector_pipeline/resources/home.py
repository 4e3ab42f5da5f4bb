"""Dagster's home of a project: where its runs and events are kept."""

import os
import shutil
from pathlib import Path

_TEMPLATE = Path(__file__).parent / "dagster.yaml"


def home_of(config_folder: Path) -> Path:
    """The home of a project whose configuration lies in ``config_folder``, unless ``$DAGSTER_HOME`` names another."""
    named = os.environ.get("DAGSTER_HOME")
    return Path(named) if named else config_folder.resolve() / ".vector_pipeline" / "dagster"


def ensure_home(config_folder: Path) -> Path:
    """Make the home with its ``dagster.yaml`` if need be, and point ``$DAGSTER_HOME`` of this process at it."""
    home = home_of(config_folder)
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists():
        shutil.copyfile(_TEMPLATE, settings)
    os.environ["DAGSTER_HOME"] = str(home.resolve())
    return home
