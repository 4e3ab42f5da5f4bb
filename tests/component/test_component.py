"""The component in YAML: loaded from a real `defs` folder, templated, scaffolded, and its mistakes."""

import re
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.testing.utils import create_defs_folder_sandbox

from tests.component.conftest import Existing
from vector_pipeline.dagster import VectorIndexComponent
from vector_pipeline.errors import ConfigError

# Dagster's own reading of YAML.
pytestmark = pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated", "ignore:.*is currently in beta")


def test_the_example_is_loaded_from_its_folder(existing: Existing) -> None:
    graph = existing.load().resolve_asset_graph()
    landed = graph.get(dg.AssetKey(["search", "support_articles", "upstream"]))
    assert landed.parent_keys == {dg.AssetKey("support_articles")}
    assert landed.group_name == "support"


def test_the_environment_fills_templates(existing: Existing, monkeypatch: pytest.MonkeyPatch) -> None:
    other = existing.folder / "other.yaml"
    existing.config.rename(other)
    monkeypatch.setenv("SEARCH_CONFIG", str(other))
    resource = (existing.load().resources or {})["vector_pipeline__support_articles"]
    assert resource.config_path == str(other)


@pytest.mark.parametrize(
    ("find", "write", "says"),
    [
        (
            "  dataset: support_articles",
            "  datasett: support_articles",
            "3: attributes.datasett: unknown key; did you mean dataset?",
        ),
        ("  upstream: support_articles\n", "", "2: attributes.upstream: missing key: add it"),
        ("  group_name: support", "  group_name: [support]", "7: attributes.group_name: must be text"),
        ("  group_name: support", "  read: everything", "7: attributes.read: must be 'value' or 'source'"),
        ("'../../../../vector_pipeline.yaml'", "'nowhere.yaml'", "2: .*nowhere.yaml cannot be read"),
        (
            "env('SEARCH_CONFIG', '../../../../vector_pipeline.yaml')",
            "env('SEARCH_CONFIG')",
            "5: attributes.config: .*SEARCH_CONFIG",
        ),
        (
            "  dataset: support_articles",
            "  dataset: articles",
            "2: .*no dataset 'articles'; there are: support_articles",
        ),
        ("  group_name: support", "  value_type: pandas.Frame", "2: .*no type pandas.Frame. Write one as"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_line(existing: Existing, find: str, write: str, says: str) -> None:
    text = existing.attributes.read_text()
    assert find in text
    existing.attributes.write_text(text.replace(find, write))
    with pytest.raises(Exception, match=r"defs\.yaml") as caught:
        existing.load().resolve_asset_graph()
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, ConfigError):
        error = error.__cause__ or error.__context__
    assert error is not None
    assert re.search(rf"defs\.yaml:{says}", str(error)), str(error)
    assert "\n" not in str(error)


def test_every_attribute_is_documented() -> None:
    model = VectorIndexComponent.get_model_cls()
    assert model is not None
    schema = model.model_json_schema()
    assert set(schema["required"]) == {"dataset", "upstream"}
    assert all(len(one["description"]) > 10 for one in schema["properties"].values())


def test_a_scaffold_can_be_loaded(tmp_path: Path) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            VectorIndexComponent, "search", {"dataset": "faq", "upstream": "raw/faq", "text": "question, answer"}
        )
        assert sorted(one.name for one in path.iterdir()) == ["defs.yaml", "vector_pipeline.yaml"]
        assert "text: [question, answer]" in (path / "vector_pipeline.yaml").read_text()
        with sandbox.load_component_and_build_defs(path) as (component, defs):
            assert isinstance(component, VectorIndexComponent)
            whole = dg.Definitions.merge(defs, dg.Definitions(assets=[dg.AssetSpec(["raw", "faq"])]))
            keys = {key.to_user_string() for key in whole.resolve_asset_graph().get_all_asset_keys()}
            assert {"faq/upstream", "faq/production_index", "raw/faq"} <= keys
