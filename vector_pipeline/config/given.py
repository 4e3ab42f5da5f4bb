"""What whoever runs a project says of S3, put into its configuration without becoming part of it (``s3``, law 2)."""

from vector_pipeline.config.models import Config
from vector_pipeline.config.s3 import S3Given, S3SourceConfig


def with_given(config: Config, given: S3Given) -> Config:
    """The whole configuration, whose every use of S3 knows what was given."""
    environments = {
        name: one.model_copy(update={"lake": one.lake.model_copy(update={"s3": one.lake.s3.with_given(given)})})
        for name, one in config.environments.items()
    }
    datasets = {
        name: one.model_copy(update={"source": one.source.with_given(given)})
        if isinstance(one.source, S3SourceConfig)
        else one
        for name, one in config.datasets.items()
    }
    return config.model_copy(update={"environments": environments, "datasets": datasets})
