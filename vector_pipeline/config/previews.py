"""Previews in the configuration: how long what a pull request built may stand, and what it may take."""

from pydantic import Field

from vector_pipeline.config.fields import Model, Name


class PreviewConfig(Model):
    """What a pull request may build beside everybody else."""

    against: Name | None = None
    """Another environment, whose production previews are compared with; for environments that share a registry and a lake. It is
    read there, never written. Default: their own."""
    ttl_hours: float = Field(default=24, gt=0, le=24 * 30)
    """Hours after which the reaper takes a preview down, whatever became of its job."""
    at_once: int = Field(default=20, ge=1)
    """Previews of a dataset that may stand at once."""
    max_texts: int | None = Field(default=100_000, ge=0)
    """Texts that a preview may embed: those that the dataset has vectors of, here or in the environment that is
    reused, cost nothing. `null`: any number."""
    max_records: int | None = Field(default=1_000_000, ge=0)
    """Records that a preview may write to the target. `null`: any number."""
    max_cost: float | None = Field(default=None, gt=0)
    """What writing them may cost, in the currency of the target's prices."""
