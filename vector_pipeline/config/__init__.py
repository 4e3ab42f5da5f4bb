"""``vector_pipeline.yaml``: what it may say (``models``), how it is read (``load``), and how secrets stay out of it."""

from vector_pipeline.config.gates import GateConfig
from vector_pipeline.config.load import CONFIG_NAME, find_config, load_config
from vector_pipeline.config.models import (
    BridgeConfig,
    ChunkerConfig,
    Config,
    DatasetConfig,
    EmbedderConfig,
    EnvironmentConfig,
    FileSourceConfig,
    LakeConfig,
    PromotionConfig,
    RecordSourceConfig,
    SpaceConfig,
)
from vector_pipeline.config.pieces import BrokenDataset
from vector_pipeline.config.s3 import S3Config, S3Given, S3SourceConfig
from vector_pipeline.config.secrets import SecretTemplate, scrub
from vector_pipeline.config.targets import (
    ChromaTargetConfig,
    DuckDBTargetConfig,
    PgvectorTargetConfig,
    PineconeTargetConfig,
    PriceConfig,
    Prices,
    TargetConfig,
)

__all__ = [
    "CONFIG_NAME",
    "BridgeConfig",
    "BrokenDataset",
    "ChromaTargetConfig",
    "ChunkerConfig",
    "Config",
    "DatasetConfig",
    "DuckDBTargetConfig",
    "EmbedderConfig",
    "EnvironmentConfig",
    "FileSourceConfig",
    "GateConfig",
    "LakeConfig",
    "PgvectorTargetConfig",
    "PineconeTargetConfig",
    "PriceConfig",
    "Prices",
    "PromotionConfig",
    "RecordSourceConfig",
    "S3Config",
    "S3Given",
    "S3SourceConfig",
    "SecretTemplate",
    "SpaceConfig",
    "TargetConfig",
    "find_config",
    "load_config",
    "scrub",
]
