"""The core's ``Project`` as a Dagster resource.

Laws
----
1. A project is opened when an asset first asks for it, never when a job is launched: Dagster initialises resources twice.
2. One project a process and configuration, so that a model is loaded once; an edited file gives a new one.
"""

import threading
from pathlib import Path

import dagster as dg

from vector_pipeline.config import S3Given
from vector_pipeline.project import Project

_LOCK = threading.Lock()
_OPEN: dict[tuple[str, str | None, S3Given | None], tuple[int, Project]] = {}


class ProjectResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Configuration file and environment of a project."""

    config_path: str
    """Absolute path of ``vector_pipeline.yaml``."""
    environment: str | None = None
    """Environment by name; None: ``$VECTOR_PIPELINE_ENV``, else the first of the file."""

    def get(self) -> Project:
        """The project of this process. ``ConfigError`` when the file cannot be read or is wrong."""
        return open_project(Path(self.config_path), self.environment)


def open_project(path: Path, environment: str | None = None, s3: S3Given | None = None) -> Project:
    """The process's project of a configuration file, opened anew when the file changed. ``s3``: how S3 is reached, where the file
    does not say it.
    """
    key = (str(path.resolve()), environment, s3)
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        stamp = -1  # Loading it below says what is wrong.
    with _LOCK:
        known = _OPEN.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        project = Project.load(path, environment=environment, s3=s3)
        _OPEN[key] = (stamp, project)
        if known is not None:
            # Not closed now: a step on another thread may be using it. It goes, with its connections, with its last user.
            known[1].close_when_unused()
        return project


def close_projects() -> None:
    """Close every project of this process: for tests, and before files are moved away."""
    with _LOCK:
        for _, project in _OPEN.values():
            project.close()
        _OPEN.clear()
