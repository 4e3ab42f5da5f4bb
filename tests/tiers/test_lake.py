"""A lake says whose it is, without a state of it coming of that."""

from pathlib import Path

from vector_pipeline.config import LakeConfig
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.lake.connection import Lake


def test_a_lake_is_taken_once(tmp_path: Path) -> None:
    config = LakeConfig(catalog=SecretTemplate("sqlite:///catalog.sqlite"), data="data")
    with Lake.open(config, tmp_path) as lake:
        before = lake.snapshot_id()
        assert lake.owner() == ""
        lake.take("a" * 16 + "/prod")
        lake.take("b" * 16 + "/dev")
        assert lake.owner() == "a" * 16 + "/prod"
        assert lake.snapshot_id() == before
    with Lake.open(config, tmp_path, read_only=True) as lake:
        assert lake.owner() == "a" * 16 + "/prod"
