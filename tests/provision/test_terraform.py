"""``deploy/terraform``: formatted, every reference declared, rights as ours; what needs no provider is applied by a real Terraform.

``terraform validate`` wants the providers, which come from HashiCorp's registry: that test runs where they can be had.
"""

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.provision.conftest import Work
from tests.provision.terraform import ROOT, applied, terraform
from tests.support.configuration import with_piece
from tests.tiers.conftest import tier
from vector_pipeline.provision import access
from vector_pipeline.provision.variables import variables as tfvars

hcl2 = pytest.importorskip("hcl2", reason="the package python-hcl2 parses Terraform's files")
FOLDERS = [ROOT, *sorted(one for one in (ROOT / "modules").iterdir() if one.is_dir())]
INDEX = {
    "dimension": 384, "metric": "cosine", "cloud": "aws", "region": "eu-west-1", "deletion_protection": True,
    "tags": {"vp-space": "0123456789abcdef"},
}  # fmt: skip
VALUES = {
    "environment": "prod", "bucket": "company-vectors", "database": "vectors", "reader": "onlooker",
    "postgres_host": "db.internal", "vector_schemas": ["vector_pipeline"], "indexes": {"team-docs-1a2b3c4d": INDEX},
}  # fmt: skip


def bare(value: Any) -> Any:
    """What the parser read, without the quotes that it keeps around names and texts."""
    if isinstance(value, dict):
        return {bare(key): bare(one) for key, one in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [bare(one) for one in value]
    return value[1:-1] if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"' else value


@cache
def blocks(folder: Path) -> dict[str, list[Any]]:
    """All blocks of a folder's files, by kind."""
    found: dict[str, list[Any]] = {}
    for file in sorted(folder.glob("*.tf")):
        with file.open() as text:
            for kind, values in hcl2.load(text).items():
                found.setdefault(kind, []).extend(bare(values) if isinstance(values, list) else [bare(values)])
    return found


def named(folder: Path, kind: str) -> dict[str, Any]:
    return {name: body for one in blocks(folder).get(kind, []) for name, body in one.items()}


def resources(folder: Path) -> dict[tuple[str, str], Any]:
    return {
        (kind, name): body
        for one in blocks(folder).get("resource", []) for kind, made in one.items() for name, body in made.items()
    }  # fmt: skip


def text_of(folder: Path) -> str:
    """Its files without comments and texts for people."""
    files = "\n".join(one.read_text(encoding="utf-8") for one in sorted(folder.glob("*.tf")))
    return re.sub(r"^\s*(#.*|description\s*=.*|error_message\s*=.*)$", "", files, flags=re.MULTILINE)


def test_it_is_formatted() -> None:
    done = terraform(ROOT, "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda one: one.name)
def test_what_is_used_is_declared_and_what_is_declared_is_used(folder: Path) -> None:
    text, declared = text_of(folder), set(named(folder, "variable"))
    assert set(re.findall(r"\bvar\.(\w+)", text)) == declared
    given = {name for one in blocks(folder).get("locals", []) for name in one}
    assert set(re.findall(r"\blocal\.(\w+)", text)) == given
    there = {f"{kind}.{name}" for kind, name in resources(folder)}
    used = set(re.findall(r"\b((?:aws|pinecone|postgresql)_\w+\.\w+)", text))
    assert used <= there
    for name, one in named(folder, "variable").items():
        assert {"type", "description"} <= one.keys(), name
    assert all("description" in one for one in named(folder, "output").values())


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda one: one.name)
def test_modules_get_what_they_want(folder: Path) -> None:
    text = text_of(folder)
    for name, call in named(folder, "module").items():
        module = folder / call["source"]
        wanted, given = (
            named(module, "variable"),
            call.keys() - {"source", "count", "for_each", "depends_on", "providers"},
        )
        assert given <= wanted.keys(), f"module {name} has no {given - wanted.keys()}"
        assert {one for one, body in wanted.items() if "default" not in body} <= given
        used = set(re.findall(rf"\bmodule\.{name}(?:\[\*\])?\.(\w+)", text))
        assert used <= named(module, "output").keys()


@pytest.mark.slow
def test_each_provider_is_pinned_once() -> None:
    pinned: dict[str, set[tuple[str, str]]] = {}
    for folder in FOLDERS:
        for block in blocks(folder).get("terraform", []):
            for one in block.get("required_providers", []):
                for name, said in one.items():
                    pinned.setdefault(name, set()).add((said["source"], said["version"]))
    assert pinned.keys() == {"aws", "pinecone", "postgresql"}
    assert all(len(one) == 1 for one in pinned.values()), pinned
    assert all(version.startswith("~> ") for one in pinned.values() for _, version in one)


@pytest.mark.parametrize("file", sorted((ROOT / "environments").iterdir()), ids=lambda one: one.name)
def test_an_environments_file_names_variables(file: Path) -> None:
    with file.open() as text:
        said = hcl2.load(text)
    assert said.keys() - {"__comments__"} <= named(ROOT, "variable").keys()
    assert bare(said["environment"]) == file.stem


def test_the_rights_of_a_reader_are_ours() -> None:
    found = resources(ROOT / "modules" / "postgresql")
    kinds = ("postgresql_grant", "postgresql_default_privileges")
    grants = {key: body for key, body in found.items() if key[0] in kinds}
    assert all("reader" in name for _, name in grants)
    rights = [(one["object_type"], tuple(one["privileges"])) for one in grants.values()]
    assert sorted(rights) == sorted(
        [("database", access.READER_DATABASE), ("schema", access.READER_SCHEMA), ("table", access.READER_TABLES),
         ("table", access.READER_TABLES)]
    )  # fmt: skip
    assert ("postgresql_default_privileges", "reader_tables") in found


@pytest.mark.slow
def test_nothing_that_holds_data_is_destroyed() -> None:
    holding = ("aws_s3_bucket", "pinecone_index", "postgresql_database")
    found = [(kind, body) for folder in FOLDERS for (kind, _), body in resources(folder).items() if kind in holding]
    assert len(found) == 4
    for kind, body in found:
        assert body["lifecycle"][0]["prevent_destroy"] is True, kind


@pytest.mark.slow
def test_the_project_gives_the_variables(tmp_path: Path, opened: Work, cloud: Any) -> None:
    work = opened(tier(tmp_path / "prod", targets={"local": cloud()}))
    given = tfvars(work)
    assert given.keys() <= named(ROOT, "variable").keys()
    (index,) = given["indexes"].values()
    assert index["tags"]["vp-space"] == work.space("handbook").fingerprint
    assert index.keys() == INDEX.keys()


@pytest.mark.slow
def test_what_it_says_of_the_configuration_is_true(tmp_path: Path) -> None:
    made = shutil.copytree(ROOT / "modules" / "configuration", tmp_path / "configuration")
    said = applied(made, VALUES)
    assert json.loads(said["writer_policy"]) == access.writer_policy(
        "company-vectors", ("lake", "dagster"), ("documents",)
    )
    assert json.loads(said["reader_policy"]) == access.reader_policy("company-vectors", "lake")
    for key in ("1234-abcd", "arn:aws:kms:eu-central-1:123456789012:key/1234-abcd"):
        made = shutil.copytree(ROOT / "modules" / "configuration", tmp_path / key[-4:] / key[:3])
        keyed = applied(made, {**VALUES, "kms_key": key})
        assert json.loads(keyed["writer_policy"]) == access.writer_policy(
            "company-vectors", ("lake", "dagster"), ("documents",), key
        )
        assert json.loads(keyed["reader_policy"]) == access.reader_policy("company-vectors", "lake", key)
    # The targets that it names are those of the file.
    with_local = said["configuration"].replace('"team_docs"', '"local"')
    environment = with_piece(with_local, tmp_path).environments["prod"]
    assert environment.lake.data == "s3://company-vectors/lake"
    assert environment.targets["local"].index == "team-docs"  # type: ignore[union-attr]
    assert environment.targets["vector_pipeline"].db_schema == "vector_pipeline"  # type: ignore[union-attr]
    assert set(environment.registry.names()) <= {*said["variables"], "VECTORS_PASSWORD"}
    with pytest.MonkeyPatch.context() as shell:
        for name, value in {**said["reader_variables"], "VECTORS_PASSWORD": "p/w d"}.items():
            shell.setenv(name, value)
        url = environment.registry.resolve_url()
    assert url == "postgresql://onlooker:p%2Fw%20d@db.internal:5432/vectors?sslmode=require"


@pytest.mark.slow
def test_without_anything_but_a_name(tmp_path: Path) -> None:
    made = shutil.copytree(ROOT / "modules" / "configuration", tmp_path / "configuration")
    said = applied(made, {"environment": "dev"})
    assert said["variables"] == {"VECTOR_PIPELINE_ENV": "dev"}
    assert said.get("writer_policy") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"environment": "Prod"}, "An environment is lower-case"),
        ({"bucket": "No_Bucket"}, "A bucket has 3 to 63"),
        ({"indexes": {"docs-1": {**INDEX, "tags": {}}}}, "vp-space"),
        ({"indexes": {"docs-1": {**INDEX, "metric": "l2"}}}, "A metric is"),
        ({"noncurrent_days": 0}, "At least a day"),
    ],
)
def test_wrong_variables_are_refused(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    shutil.copy(ROOT / "variables.tf", tmp_path)
    (tmp_path / "terraform.tfvars.json").write_text(json.dumps({**VALUES, **wrong}))
    assert terraform(tmp_path, "init", "-input=false").returncode == 0
    done = terraform(tmp_path, "plan", "-input=false", "-no-color")
    assert done.returncode == 1
    assert said in " ".join(done.stderr.split()).replace("│ ", "")


@pytest.mark.slow
def test_it_validates(tmp_path: Path) -> None:
    made = shutil.copytree(ROOT, tmp_path / "terraform", ignore=shutil.ignore_patterns(".terraform"))
    if terraform(made, "init", "-backend=false", "-input=false").returncode:
        pytest.skip("the providers cannot be had from registry.terraform.io here: terraform init failed")
    done = terraform(made, "validate", "-json")
    assert json.loads(done.stdout)["valid"], done.stdout
