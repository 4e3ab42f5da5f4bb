"""What is wrong with one dataset is seen, and is nobody else's trouble."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from tests.automation.conftest import Received
from tests.cli.conftest import RunCommand
from tests.teams.conftest import closed_projects, dataset, write_teams
from vector_pipeline.assets.factory import build_vector_dataset
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.config import load_config
from vector_pipeline.errors import ConfigError

NOT_LOADED = dg.AssetKey(["products", "not_loaded"])
MISTAKES = {
    "unknown embedder": ("kind: deterministic", "kind: magic"),
    "unknown key": ("shards: 2", "shads: 2"),
    "unknown target": ("target: products", "target: elsewhere"),
    "owner is no address": ('owners: ["team:products"]', "owners: [nobody]"),
    "wrong gate": ("max_removed_share: 1", "max_removed_share: 7"),
    "no source": ("source: {root: products/documents}", "source: {kind: jsonl}"),
    "a name that is none": ("  products:", "  Products!:"),
}


def mistaken(folder: Path, mistake: str) -> Path:
    return write_teams(folder, products=dataset("products").replace(*MISTAKES[mistake]))


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_other_dataset_is_as_if_it_were_alone(
    tmp_path: Path, mistake: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = mistaken(tmp_path, mistake)
    definitions = project_definitions(path)
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    groups = {graph.get(key).group_name for key in graph.get_all_asset_keys()}
    assert len(groups) == 2
    alone = project_definitions(path, only="answers").resolve_asset_graph()
    answers = {key for key in graph.get_all_asset_keys() if key.path[0] == "answers"}
    assert answers == set(alone.get_all_asset_keys())
    assert definitions.resolve_job_def("answers__release")
    (key,) = graph.get_all_asset_keys() - answers
    node = graph.get(key)
    assert key.path[-1] == "not_loaded"
    assert f"{path}:" in str(node.description)
    assert "is not loaded" in caplog.text
    if mistake != "owner is no address":
        assert node.owners == ["team:products"]


@pytest.mark.slow
def test_what_stands_for_it_fails_with_what_is_wrong_until_it_is_mended(tmp_path: Path) -> None:
    path = mistaken(tmp_path, "unknown key")
    definitions = project_definitions(path)
    assets = [definitions.resolve_assets_def(NOT_LOADED)]
    failed = dg.materialize(assets, raise_on_error=False)
    assert not failed.success
    (failure,) = failed.get_step_failure_events()
    assert "shads: unknown key" in str(failure.step_failure_data.user_failure_data)
    path.write_text(path.read_text().replace("shads", "shards"))
    assert dg.materialize(assets).success
    with pytest.raises(ConfigError, match="cannot be loaded"):
        project_definitions(mistaken(tmp_path / "again", "unknown key"), only="products")


def test_one_that_is_broken_stands_beside_one_that_is_not(tmp_path: Path) -> None:
    graph = project_definitions(mistaken(tmp_path, "unknown embedder")).resolve_asset_graph()
    assert graph.get(NOT_LOADED).owners == ["team:products"]
    assert "kind: must be" in str(graph.get(NOT_LOADED).description)
    assert dg.AssetKey(["answers", "production_index"]) in graph.get_all_asset_keys()


@pytest.mark.parametrize("names", [("help-desk", "help.desk"), ("справка", "задание")])
def test_several_that_are_broken_stand_beside_each_other(tmp_path: Path, names: tuple[str, str]) -> None:
    path = write_teams(tmp_path, products="".join(map(dataset, names)))
    definitions = project_definitions(path)
    graph = definitions.resolve_asset_graph()
    stand = [graph.get(key) for key in graph.get_all_asset_keys() if key.path[-1] == "not_loaded"]
    assert {str(one.description).count("dataset is not loaded") for one in stand} == {1}
    assert len({one.group_name for one in stand}) == 2
    dg.Definitions.validate_loadable(definitions)


MISSING: dict[str, tuple[Callable[[Path], object], str]] = {
    "canaries are not there": (lambda at: (at / "products/canaries.yaml").unlink(), "which does not exist"),
    "canaries are none": (
        lambda at: (at / "products/canaries.yaml").write_text("canaries:\n  - {quary: x}\n"),
        "canaries.yaml:2",
    ),
    "the source is not there": (lambda at: (at / "products/documents").rename(at / "gone"), "the source's folder"),
}


@pytest.mark.parametrize("missing", MISSING)
def test_a_dataset_whose_files_are_not_there_says_so_and_keeps_its_past(
    tmp_path: Path, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, says = MISSING[missing]
    path = write_teams(tmp_path)
    spoil(tmp_path)
    graph = project_definitions(path).resolve_asset_graph()
    theirs = str(graph.get(dg.AssetKey(["products", "raw_documents"])).description)
    assert "cannot be built as it is" in theirs
    assert says in theirs
    assert "cannot be built" not in str(graph.get(dg.AssetKey(["answers", "raw_documents"])).description)
    assert "dataset products cannot be built as it is" in caplog.text


def test_a_dataset_whose_code_raises_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vector_pipeline.assets.loading as loading

    build = build_vector_dataset

    def plugged(name: str, *args: object, **options: object) -> dg.Definitions:
        if name == "products":
            raise ImportError("No module named 'parsers_of_products'")
        return build(name, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "build_vector_dataset", plugged)
    graph = project_definitions(write_teams(tmp_path)).resolve_asset_graph()
    assert "No module named 'parsers_of_products'" in str(graph.get(NOT_LOADED).description)
    assert graph.get(NOT_LOADED).owners == ["team:products"]
    assert dg.AssetKey(["answers", "production_index"]) in graph.get_all_asset_keys()


@pytest.mark.slow
def test_the_verbs_of_the_others_work(tmp_path: Path, vp: RunCommand) -> None:
    path = mistaken(tmp_path, "unknown key")
    project = ("--project", path)
    checked = vp(*project, "check")
    assert checked.code == 1
    assert "✗ products: configuration: " in checked.out
    assert "(owners: team:products)" in checked.out
    for verb in ("build", "push", "verify", "promote"):
        assert vp(*project, verb, "answers").code == 0, verb
        refused = vp(*project, verb, "products")
        assert refused.code == 1
        assert "shads: unknown key" in refused.err
    assert "item2" in vp(*project, "query", "answers", "item2").out
    told = vp(*project, "status")
    assert told.code == 0
    assert "not loaded: " in told.out
    (mine, theirs) = vp(*project, "status", "--json").json
    assert (mine["error"], mine["production"]["version"]) == (None, 1)
    assert "shads" in theirs["error"]
    assert mine.keys() == theirs.keys()
    # A name that may be left out where there is one dataset may not be here: which one is meant is not guessed.
    assert "several datasets: answers, products" in vp(*project, "build").err
    assert vp(*project, "ci", "datasets").json == {"dataset": ["answers", "products"]}
    for verb in ("expire", "collect"):
        assert vp(*project, verb).code == 0, verb


@pytest.mark.slow
def test_those_whose_it_is_are_told(tmp_path: Path, receiver: Received) -> None:
    path = mistaken(tmp_path, "unknown key")
    told = f"    alerts: [{{kind: webhook, url: '{receiver.url}', datasets: [products]}}]\n"
    path.write_text(path.read_text() + told)
    assert load_config(path).environments["dev"].alerts[0].datasets == ["products"], "its name is known all the same"
    sensor = project_definitions(path).get_repository_def().get_sensor_def("alerts")
    with dg.instance_for_test() as instance, closed_projects():
        cursor = None
        for _ in range(3):
            result = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))
            cursor = result.cursor
    ((_, _, body),) = receiver.requests
    assert (body["event"], body["dataset"], body["owners"]) == ("not-loaded", "products", ["team:products"])
    assert "shads: unknown key" in body["what"]
    assert "Owners: team:products" in body["text"]
