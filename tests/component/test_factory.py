"""What the factory adds to a code location, and what it leaves alone."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from tests.component.conftest import TINY
from vector_pipeline.assets.names import ENVIRONMENT_TAG
from vector_pipeline.dagster import vector_index
from vector_pipeline.errors import ConfigError

INDEX = """
datasets:
  NAME:
    source: {kind: parquet, path: landed.parquet}
    shards: 2
    spaces: {TINY}
    target: local
"""


def write(folder: Path, name: str) -> Path:
    folder.mkdir()
    path = folder / "vector_pipeline.yaml"
    path.write_text(INDEX.replace("NAME", name).replace("TINY", TINY))
    return path


@dg.asset
def articles() -> pd.DataFrame:
    return pd.DataFrame([{"id": "a", "text": "one"}])


def mine() -> dg.Definitions:
    """A code location that has what could collide."""
    return dg.Definitions(
        assets=[articles, dg.AssetSpec("raw_documents")],
        resources={"project": dg.ResourceDefinition.hardcoded_resource("mine")},
        executor=dg.multiprocess_executor,
        sensors=[dg.SensorDefinition(name="alerts", evaluation_fn=lambda _: None, asset_selection="*")],
    )


def test_several_indexes_merge_with_what_is_there(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", "first"), write(tmp_path / "two", "second")
    theirs = mine()
    defs = dg.Definitions.merge(
        theirs,
        vector_index("first", articles, config=one, key_prefix="search", group_name="support"),
        vector_index("second", "articles", config=two),
    )
    assert (theirs.resources or {})["project"] is (defs.resources or {})["project"]
    assert defs.executor is dg.multiprocess_executor
    assert {"vector_pipeline__first", "vector_pipeline__second"} <= set(defs.resources or {})
    graph = defs.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert {"articles", "raw_documents", "search/first/production_index", "second/tiny/staging_index"} <= keys
    upstream = graph.get(dg.AssetKey(["search", "first", "upstream"]))
    assert upstream.parent_keys == {dg.AssetKey("articles")}
    assert graph.get(dg.AssetKey(["search", "first", "raw_documents"])).parent_keys == {upstream.key}
    assert (upstream.group_name, graph.get(dg.AssetKey(["second", "upstream"])).group_name) == ("support", "second")
    assert defs.resolve_job_def("first__release").executor_def is dg.in_process_executor
    dg.Definitions.validate_loadable(defs)


def test_what_the_source_reads_itself_depends_on_all_of_what_was_written(tmp_path: Path) -> None:
    days = dg.DailyPartitionsDefinition("2026-01-01")
    spec = dg.AssetSpec("exported", partitions_def=days)
    defs = dg.Definitions.merge(
        dg.Definitions(assets=[spec]),
        vector_index("first", [spec.key, dg.AssetKey("other")], config=write(tmp_path / "one", "first"), read="source"),
    )
    graph = defs.resolve_asset_graph()
    documents = graph.get(dg.AssetKey(["first", "raw_documents"]))
    assert documents.parent_keys == {dg.AssetKey("exported"), dg.AssetKey("other")}
    assert "first/upstream" not in {key.to_user_string() for key in graph.get_all_asset_keys()}


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "one", "first")
    with pytest.raises(ConfigError, match="no dataset 'third'; there are: first"):
        vector_index("third", "articles", config=path)
    with pytest.raises(ConfigError, match="rows of several upstream assets"):
        vector_index("first", [dg.AssetKey("a"), dg.AssetKey("b")], config=path)
    with pytest.raises(ConfigError, match="no upstream asset is named"):
        vector_index("first", [], config=path)
    path.write_text(path.read_text().replace("landed.parquet", "landed/*.parquet"))
    with pytest.raises(ConfigError, match="read: source"):
        vector_index("first", "articles", config=path)
    path.write_text(path.read_text().replace("shards: 2", "shards: many"))
    with pytest.raises(ConfigError, match=r"vector_pipeline\.yaml:\d+: .*shards"):
        vector_index("first", "articles", config=path)


def test_the_sensor_asks_once_for_what_was_made(tmp_path: Path) -> None:
    defs = dg.Definitions.merge(
        dg.Definitions(assets=[articles]),
        vector_index("first", "articles", config=write(tmp_path / "one", "first")),
    )
    sensor = defs.resolve_sensor_def("first__upstream")
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    with dg.DagsterInstance.ephemeral() as instance:

        def tick(cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
            context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs)
            return sensor(context)  # type: ignore[return-value]

        assert isinstance(tick(), dg.SkipReason)
        dg.materialize([articles], instance=instance)
        dg.materialize([articles], instance=instance)
        asked = tick()
        assert isinstance(asked, dg.SensorResult)
        assert [one.tags["vector_pipeline/dataset"] for one in asked.run_requests or []] == ["first"]
        assert isinstance(tick(asked.cursor), dg.SkipReason)
        dg.materialize([articles], instance=instance)
        assert isinstance(tick(asked.cursor), dg.SensorResult)


def test_what_was_made_is_asked_for_again_when_its_run_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vector_pipeline.assets.owed.LONGEST_WAIT_S", 0)
    defs = dg.Definitions.merge(
        dg.Definitions(assets=[articles]),
        vector_index("first", "articles", config=write(tmp_path / "one", "first")),
    )
    sensor = defs.resolve_sensor_def("first__upstream")

    @dg.op(config_schema={"ends": dg.Field(str, default_value="badly")})
    def chain(context: dg.OpExecutionContext) -> None:
        if context.op_config["ends"] == "badly":
            raise dg.Failure("the source does not answer")

    @dg.job(name="first__release")
    def release() -> None:
        chain()

    with dg.DagsterInstance.ephemeral() as instance:

        def tick(cursor: str | None = None) -> Any:
            return sensor(dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs))

        def run(request: dg.RunRequest, ends: str) -> None:
            tags = {**request.tags, "dagster/sensor_name": "first__upstream", ENVIRONMENT_TAG: "dev"}
            values = {"ops": {"chain": {"config": {"ends": ends}}}}
            release.execute_in_process(values, instance=instance, tags=tags, raise_on_error=False)

        dg.materialize([articles], instance=instance)
        result, keys = tick(), []
        for attempt, ends in enumerate(["badly", "badly", "well"]):
            (request,) = result.run_requests
            assert request.tags.get("vector_pipeline/attempt", "0") == str(attempt)
            keys.append(request.run_key)
            assert isinstance(tick(result.cursor), dg.SkipReason)
            run(request, ends)
            result = tick(result.cursor)
        assert len(set(keys)) == 3
        assert result.run_requests is None or not result.run_requests
        assert isinstance(tick(result.cursor), dg.SkipReason)
