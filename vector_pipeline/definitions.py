"""The code location: what Dagster's webserver, daemon and runs load, and what a command calls to execute a job.

The only module of the core that knows the asset graph. Importing it reads nothing; the configuration is read when Dagster asks
for ``defs``: ``$VECTOR_PIPELINE_CONFIG``, or the nearest ``vector_pipeline.yaml`` above the current folder.
"""

from pathlib import Path

import dagster as dg

from vector_pipeline.assets.following import Following, RunSeen, following
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.running import RunOutcome, run_job
from vector_pipeline.config import find_config

__all__ = ["Following", "RunOutcome", "RunSeen", "defs", "following", "run_job"]


@dg.definitions
def defs() -> dg.Definitions:
    """Every dataset of the configuration. ``ConfigError`` names file, line and fix."""
    return project_definitions(Path(find_config()))
