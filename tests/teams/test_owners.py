"""Whose a dataset is: what the file takes, Dagster takes."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.utils import is_valid_owner
from dagster._utils.tags import normalize_tags
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.cli.conftest import RunCommand
from tests.teams.conftest import dataset, write_teams
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.config import load_config
from vector_pipeline.config.people import Owner, TagKey, TagValue, owners_in
from vector_pipeline.errors import ConfigError

OWNER: TypeAdapter[str] = TypeAdapter(Owner)
TAGS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[TagKey, TagValue])


def taken(adapter: TypeAdapter[object], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("owner", "right"),
    [
        ("team:search", True), ("team:search and answers", True), ("mira@kettle.example", True), ("a.b+c@d.co", True),
        ("team:", False), ("team: ", False), ("search", False), ("mira@kettle", False), ("", False), ("team:a\nb", False),
    ],
)  # fmt: skip
def test_owners_are_addresses_or_teams(owner: str, right: bool) -> None:
    assert taken(OWNER, owner) is right
    assert is_valid_owner(owner) or not right
    assert owners_in({"owners": [owner, 7]}) == ((owner,) if right else ())


@settings(max_examples=60, deadline=None)
@given(
    owner=st.text("team:ab.@-_ A", max_size=14), key=st.text("ab./-_", max_size=8), value=st.text("ab./ é", max_size=5)
)
def test_what_is_taken_here_dagster_takes(owner: str, key: str, value: str) -> None:
    if taken(OWNER, owner):
        assert is_valid_owner(owner)
    if taken(TAGS, {key: value}):
        normalize_tags({key: value}, strict=True)


@pytest.mark.parametrize(
    ("wrong", "line", "says"),
    [
        ('owners: ["search"]', 4, "an owner is an e-mail address, or team:name: 'search' is neither"),
        ("owners: search", 4, "must be a list"),
        ("tags: {cost center: x}", 4, "a tag's name has letters"),
        ("tags: {cost: 4711}", 4, "must be text: put it between quotes"),
        ("tags: {dagster/kind: x}", 4, "tags that begin with dagster/ are set by the program"),
        ("tags: {cost: a b}", 4, "a tag's value has letters"),
    ],
)
def test_a_mistake_names_its_line(tmp_path: Path, wrong: str, line: int, says: str) -> None:
    path = tmp_path / "vector_pipeline.yaml"
    path.write_text(
        "datasets:\n  answers:\n    source: {root: documents}\n"
        f"    {wrong}\n    spaces: {{tiny: {{}}}}\n    target: local\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert says in str(caught.value)


def test_every_asset_of_a_dataset_has_its_owners_and_tags(teams: Path) -> None:
    graph = project_definitions(teams).resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners == [f"team:{key.path[0]}"], key
        assert node.tags["domain"] == key.path[0], key
        assert node.group_name == key.path[0]
    assert dg.AssetKey(["answers", "production_index"]) in graph.get_all_asset_keys()


def test_status_names_them(teams: Path, vp: RunCommand) -> None:
    assert "Owners: team:products" in vp("--project", teams, "status", "products").out
    assert [one["owners"] for one in vp("--project", teams, "status", "--json").json] == [
        ["team:answers"], ["team:products"],
    ]  # fmt: skip


def test_a_dataset_of_nobody_has_none(tmp_path: Path) -> None:
    free = dataset("answers").replace('    owners: ["team:answers"]\n', "")
    config = load_config(write_teams(tmp_path, answers=free))
    assert config.owners_of("answers") == ()
    assert config.owners_of("unheard_of") == ()
