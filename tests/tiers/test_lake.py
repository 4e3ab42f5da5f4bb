"""A lake says whose it is, without a state of it coming of that."""

from pathlib import Path

import pytest

from tests.tiers.conftest import write
from vector_pipeline.config import LakeConfig, load_config
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.errors import ConfigError
from vector_pipeline.lake.connection import Lake


def test_a_lake_is_taken_once(tmp_path: Path) -> None:
    config = LakeConfig(catalog=SecretTemplate("sqlite:///catalog.sqlite"), data="data")
    with Lake.open(config, tmp_path) as lake:
        before = lake.snapshot_id()
        assert lake.owner() == ""
        lake.take("a" * 16 + "/prod")
        lake.take("b" * 16 + "/dev")
        assert lake.owner() == "a" * 16 + "/prod"
        assert len(drawn := lake.identity()) == 32
        assert lake.snapshot_id() == before
    with Lake.open(config, tmp_path, read_only=True) as lake:
        assert (lake.owner(), lake.identity()) == ("a" * 16 + "/prod", drawn)


CATALOGS = ("sqlite:///a.sqlite", "sqlite:///b.sqlite")


@pytest.mark.parametrize(
    ("dev", "prod", "said"),
    [
        ({}, {"catalog": CATALOGS[1]}, "which is the default of dev and prod, and two catalogs"),
        ({}, {"catalog": CATALOGS[1], "data": ".vector_pipeline/lake/data"}, "which is the default of dev, and two"),
        ({"catalog": CATALOGS[0], "data": "x"}, {"catalog": CATALOGS[1], "data": "./y/../x/"}, "one folder of data"),
        ({"catalog": CATALOGS[0], "data": "x"}, {"catalog": CATALOGS[1], "data": "x/y"}, "within each other"),
        (
            {"catalog": CATALOGS[0], "data": "s3://b"},
            {"catalog": CATALOGS[1], "data": "s3://b/lake/"},
            "within each other",
        ),
        ({"catalog": CATALOGS[0], "data": "x"}, {"catalog": "sqlite:///./a.sqlite", "data": "y"}, "have one catalog"),
        ({"catalog": CATALOGS[0], "data": "s3://b/lake"}, {"catalog": CATALOGS[1], "data": "s3://b/lake2"}, None),
        ({"catalog": CATALOGS[0], "data": "x"}, {"catalog": CATALOGS[0], "data": "x/"}, None),
    ],
)
def test_environments_share_a_lake_or_nothing_of_it(
    tmp_path: Path, dev: dict[str, str], prod: dict[str, str], said: str | None
) -> None:
    file = write(tmp_path, {"dev": {"lake": dev}, "prod": {"lake": prod}}, pages=0)
    if said is None:
        assert load_config(file)
        return
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    line = str(caught.value)
    assert said in line
    assert "environments dev and prod have" in line
    assert "give prod `lake: " in line
    assert "\n" not in line


def test_a_path_that_is_written_otherwise_is_the_same(tmp_path: Path) -> None:
    lakes = [{"catalog": CATALOGS[0], "data": "x"}, {"catalog": CATALOGS[1], "data": str(tmp_path / "x")}]
    file = write(tmp_path, {"dev": {"lake": lakes[0]}, "prod": {"lake": lakes[1]}}, pages=0)
    with pytest.raises(ConfigError, match="have one folder of data"):
        load_config(file)
