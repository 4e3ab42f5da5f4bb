"""``deploy/pulumi``, offline, with Pulumi's own mocks: what it would make, with which rights, and the same outputs as Terraform."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.provision.test_terraform import INDEX, ROOT, VALUES, named, resources
from tests.support.configuration import with_piece
from vector_pipeline.provision import access

# The packages of providers say of their own parts that they are old.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi")]
_HOW = "pip install -r tests/provision/requirements.txt"
pulumi = pytest.importorskip("pulumi", reason=f"the package pulumi is not installed: {_HOW}")
for _name in ("pulumi_aws", "pulumi_postgresql", "pinecone_pulumi"):
    pytest.importorskip(_name, reason=f"the package {_name} is not installed: {_HOW}")
FOLDER = ROOT.parent / "pulumi"


class Recorded(pulumi.runtime.Mocks):  # type: ignore[misc,name-defined]
    """What was asked for; every resource gets an id and what its service would say."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, str], dict[str, Any]] = {}

    def new_resource(self, args: Any) -> tuple[str, dict[str, Any]]:
        self.made[args.typ, args.name] = dict(args.inputs)
        said = {"arn": f"arn:aws:test:::{args.name}", "host": f"{args.name}.svc.pinecone.io"}
        return f"{args.name}-id", {**args.inputs, **said}

    def call(self, args: Any) -> dict[str, Any]:
        return {}

    def kind(self, kind: str) -> dict[str, dict[str, Any]]:
        """Inputs by name of all resources of a kind, such as ``Grant``."""
        return {name: one for (typ, name), one in self.made.items() if typ.rpartition(":")[2] == kind}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The program's modules, as Pulumi imports them: from their folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import environment
    import settings

    yield environment, settings
    for name in ("environment", "settings"):
        sys.modules.pop(name, None)


def made(program: Any, **values: Any) -> tuple[Recorded, Any, dict[str, Any]]:
    """Everything that a stack with these settings makes, and its outputs."""
    environment, settings = program
    recorded, seen = Recorded(), dict[str, Any]()
    pulumi.runtime.set_mocks(recorded, preview=False)

    @pulumi.runtime.test  # type: ignore[misc]
    def run() -> Any:
        seen["of"] = environment.VectorEnvironment("vectors", settings.from_mapping(values))
        return pulumi.Output.all(**seen["of"].outputs()).apply(lambda outputs: seen.update(outputs=outputs))

    run()
    return recorded, seen["of"], seen["outputs"]


def test_the_outputs_are_terraforms(program: Any) -> None:
    _, _, outputs = made(program, **VALUES)
    assert outputs.keys() == named(ROOT, "output").keys()


def test_the_settings_are_terraforms_variables(program: Any) -> None:
    from dataclasses import fields

    assert {one.name for one in fields(program[1].Settings)} == set(named(ROOT, "variable"))


def test_all_that_terraform_makes(program: Any) -> None:
    principals = {"writer_principals": ["arn:aws:iam::1:role/w"], "reader_principals": ["arn:aws:iam::1:role/r"]}
    recorded, _, outputs = made(
        program, **VALUES, **principals, dagster_database="dagster", writer_password="w", reader_password="r"
    )
    kinds = {typ for typ, _ in recorded.made if not typ.startswith(("vector-pipeline", "pulumi:"))}
    folders = [one for one in (ROOT / "modules").iterdir() if one.is_dir()]
    declared = {kind for folder in folders for kind, _ in resources(folder)}
    assert {_in_terraform(one) for one in kinds} == declared
    assert outputs["index_hosts"] == {"team-docs-1a2b3c4d": "team-docs-1a2b3c4d.svc.pinecone.io"}
    index = recorded.kind("Index")["team-docs-1a2b3c4d"]
    assert (index["dimension"], index["metric"], index["deletionProtection"]) == (384, "cosine", "enabled")
    assert index["tags"] == INDEX["tags"]
    assert index["spec"] == {"serverless": {"cloud": "aws", "region": "eu-west-1"}}
    assert "'w'" not in str(outputs)


def _in_terraform(typ: str) -> str:
    """``aws:s3/bucketVersioning:BucketVersioning`` → ``aws_s3_bucket_versioning``."""
    package, module, kind = typ.split(":")
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)
    family = f"_{module.partition('/')[0]}" if package == "aws" else ""
    return f"{package}{family}{words}"


def test_a_reader_reads(program: Any) -> None:
    recorded, component, _ = made(program, **VALUES)
    grants = recorded.kind("Grant")
    assert {tuple(one["privileges"]) for name, one in grants.items() if "tables" in name} == {access.READER_TABLES}
    assert {tuple(one["privileges"]) for name, one in grants.items() if "schema" in name} == {access.READER_SCHEMA}
    assert tuple(grants["reader_database"]["privileges"]) == access.READER_DATABASE
    later = recorded.kind("DefaultPrivileges")
    assert {(one["schema"], one["owner"], tuple(one["privileges"])) for one in later.values()} == {
        (schema, "pipeline", access.READER_TABLES) for schema in ("public", "vector_pipeline")
    }
    assert {one["role"] for one in (*grants.values(), *later.values())} == {"onlooker"}
    assert component.writer_policy() == access.writer_policy("company-vectors", ("lake", "dagster"), ("documents",))
    assert component.reader_policy() == access.reader_policy("company-vectors", "lake")
    _, keyed, _ = made(program, **VALUES, kms_key="1234-abcd")
    documents = ("documents",)
    assert keyed.writer_policy() == access.writer_policy("company-vectors", ("lake", "dagster"), documents, "1234-abcd")
    assert keyed.reader_policy() == access.reader_policy("company-vectors", "lake", "1234-abcd")
    policies = {name: json.loads(one["policy"]) for name, one in recorded.kind("Policy").items()}
    assert policies == {"writer": component.writer_policy(), "reader": component.reader_policy()}


def test_the_bucket(program: Any) -> None:
    recorded, _, _ = made(program, **VALUES, noncurrent_days=3)
    (rule,) = recorded.kind("BucketLifecycleConfiguration")["lake"]["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 3}
    assert "expiration" not in rule
    assert recorded.kind("BucketPublicAccessBlock")["lake"]["restrictPublicBuckets"] is True
    assert recorded.kind("BucketVersioning")["lake"]["versioningConfiguration"] == {"status": "Enabled"}


def test_the_configuration_is_one(program: Any, tmp_path: Path) -> None:
    _, _, outputs = made(program, **VALUES)
    environment = with_piece(outputs["configuration"].replace('"team_docs"', '"local"'), tmp_path).environments["prod"]
    assert environment.targets["local"].index == "team-docs"  # type: ignore[union-attr]
    assert set(environment.registry.names()) <= {*outputs["variables"], "VECTORS_PASSWORD"}


def test_without_anything_but_a_name(program: Any) -> None:
    recorded, _, outputs = made(program, environment="dev")
    assert [typ for typ, _ in recorded.made] == ["vector-pipeline:index:Environment"]
    assert outputs["variables"] == {"VECTOR_PIPELINE_ENV": "dev"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"environment": "Prod"}, "environment is lower-case"),
        ({"bucket": "No_Bucket"}, "bucket has 3 to 63"),
        ({"indexes": {"docs-1": {**INDEX, "tags": {}}}}, "vp-space"),
        ({"indexes": {"docs-1": {**INDEX, "metric": "l2"}}}, "a metric is"),
        ({"noncurrent_days": 0}, "at least a day"),
        ({"colour": "red"}, "there are no settings colour"),
    ],
)
def test_wrong_settings_are_refused(program: Any, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        program[1].from_mapping({**VALUES, **wrong})


def test_arguments_of_terraform_are_those_of_its_providers() -> None:
    """Pulumi's packages are made from the same providers: what they know, those know."""
    import inspect

    import pinecone_pulumi
    import pulumi_aws
    import pulumi_postgresql

    owners = {"pinecone_index": pinecone_pulumi.Index}
    for folder in (ROOT / "modules").iterdir():
        for (kind, name), body in resources(folder).items():
            package, _, rest = kind.partition("_")
            words = rest.split("_")
            if package == "aws":
                owner = getattr(getattr(pulumi_aws, words[0]), "".join(one.title() for one in words[1:]))
            else:
                owner = owners.get(kind) or getattr(pulumi_postgresql, "".join(one.title() for one in words))
            known = set(inspect.signature(owner._internal_init).parameters) | {
                "lifecycle",
                "count",
                "for_each",
                "depends_on",
                "dynamic",
            }
            given = {one + "s" if one == "rule" else one for one in body}
            assert given <= known, f"{kind}.{name}: {given - known}"
