"""Targets: indexes on our Pinecone-protocol server, Chroma, folders; and whose the environment is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pinecone import ServerlessSpec

from tests.provision.conftest import Place, Work, actions
from tests.support.pinecone import pinecone_config
from tests.tiers.conftest import SEAL, files, tier
from vector_pipeline.errors import ConfigError, RefusedError
from vector_pipeline.provision.things import Action
from vector_pipeline.release.seals import breaking
from vector_pipeline.targets.pinecone.provisioning import IndexProvisioning
from vector_pipeline.targets.pinecone.service import Service
from vector_pipeline.testing.pinecone_server import PineconeServer

Cloud = Callable[..., dict[str, Any]]


def in_cloud(folder: Path, target: dict[str, Any]) -> dict[str, Any]:
    return tier(folder, targets={"local": target})


def test_an_index_a_space_and_a_push_finds_it(tmp_path: Path, opened: Work, cloud: Cloud) -> None:
    from vector_pipeline.project import Project

    target = cloud()
    environment = in_cloud(tmp_path / "prod", target)
    work = opened(environment)
    plan = work.provision_plan()
    (index,) = (one for one in plan.pending if one.kind == "pinecone index")
    assert dict(index.facts) | {"space": ""} == {
        "space": "", "dimension": "16", "metric": "cosine", "cloud": "aws", "region": "us-east-1", "deletion protection": "on",
    }  # fmt: skip
    work.provision(plan)
    assert opened(environment).provision_plan().empty
    with Project(work.config, work.base, "prod") as project:
        project.build("handbook")
        project.push("handbook")
    assert opened(environment).provision_plan().empty


def make(server: PineconeServer, target: dict[str, Any], work: Any, **more: Any) -> str:
    """The index that a space would get, made by another hand."""
    space = work.space("handbook")
    from vector_pipeline.targets.base import NamespaceSpec

    indexes = IndexProvisioning("any", pinecone_config(server, index=target["index"]))
    name = indexes.name_of(NamespaceSpec("", space.dimension, space.metric, space.fingerprint))
    indexes.close()
    service = Service("any", pinecone_config(server))
    values = {"dimension": 16, "metric": "cosine", "tags": {"vp-space": space.fingerprint}, **more}
    service.control(
        lambda control: control.indexes.create(
            name=name, spec=ServerlessSpec(cloud="aws", region="us-east-1"), timeout=-1, **values
        ),
        "make it",
    )
    service.close()
    return name


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"dimension": 8}, "dimension is 8, not 16"),
        ({"metric": "dotproduct"}, "metric is dotproduct, not cosine"),
        ({"tags": None}, "tag vp-space is not set, not "),
    ],
)
def test_an_index_that_is_another_is_in_the_way(
    tmp_path: Path, opened: Work, cloud: Cloud, pinecone: PineconeServer, other: dict[str, Any], said: str
) -> None:
    target = cloud()
    work = opened(in_cloud(tmp_path / "prod", target))
    name = make(pinecone, target, work, **other)
    plan = work.provision_plan()
    (one,) = plan.blocked
    assert one.name == name
    assert one.note.startswith(said)
    with pytest.raises(RefusedError, match="delete that index yourself"):
        work.provision(plan)
    assert not (tmp_path / "prod").exists()


def test_protection_is_put_on(tmp_path: Path, opened: Work, cloud: Cloud, pinecone: PineconeServer) -> None:
    target = cloud()
    environment = in_cloud(tmp_path / "prod", target)
    work = opened(environment)
    make(pinecone, target, work, deletion_protection="disabled")
    plan = work.provision_plan()
    assert actions(plan)["pinecone index"] == "change"
    work.provision(plan)
    assert opened(environment).provision_plan().empty


def test_a_key_that_is_none(tmp_path: Path, opened: Work, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG_KEY", "pc-wrong-key")
    work = opened(in_cloud(tmp_path / "prod", cloud(api_key="${env:WRONG_KEY}")))
    with pytest.raises(ConfigError, match="not accepted") as caught:
        work.provision_plan()
    assert "pc-wrong-key" not in str(caught.value)


def test_a_space_whose_model_is_not_here_stops_nothing(tmp_path: Path, opened: Work, cloud: Cloud) -> None:
    environment = in_cloud(tmp_path / "prod", cloud())
    absent = {"far": {"embedder": {"kind": "sentence-transformers", "model": "nobody/has-this", "revision": "a" * 40}}}
    work = opened(environment, spaces=absent)
    plan = work.provision_plan()
    (one,) = (one for one in plan.things if one.action is Action.UNKNOWN)
    assert "a push makes the index on demand" in one.fix
    work.provision(plan)
    assert opened(environment, spaces=absent).provision_plan().empty


def test_a_folder_of_chroma(tmp_path: Path, opened: Work) -> None:
    environment = tier(
        tmp_path / "prod",
        targets={
            "local": {"kind": "chroma", "path": str(tmp_path / "chroma"), "database": "vectors", "tenant": "team"}
        },
    )
    work = opened(environment)
    plan = work.provision_plan()
    assert actions(plan)["chroma database"] == "create"
    assert not (tmp_path / "chroma").exists()
    work.provision(plan)
    assert opened(environment).provision_plan().empty
    with_default = opened(environment).target("handbook")
    assert with_default.namespaces() == []


@pytest.mark.slow
def test_a_server_of_chroma(tmp_path: Path, opened: Work) -> None:
    from tests.chroma.server import chroma_server

    with chroma_server(tmp_path / "served") as url:
        target = {"kind": "chroma", "url": url, "tenant": "team", "database": "vectors"}
        environment = tier(tmp_path / "prod", targets={"local": target})
        work = opened(environment)
        with pytest.raises(ConfigError, match="no database vectors of tenant team"):
            work.target("handbook").namespaces()
        plan = work.provision_plan()
        work.provision(plan)
        assert opened(environment).provision_plan().empty
        assert opened(environment).target("handbook").namespaces() == []


@pytest.mark.slow
def test_a_sealed_environment_is_made_by_who_has_the_seal(
    place: Place, opened: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    environment = place.environment(sealed=f"${{env:{SEAL}}}")
    monkeypatch.delenv(SEAL, raising=False)
    work = opened(environment)
    plan = work.provision_plan()
    with pytest.raises(RefusedError, match=f"{SEAL} is not set"):
        work.provision(plan)
    with psycopg.connect(place.postgres) as connection:
        assert connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [place.writer]).fetchone() is None
    with breaking("provision", "somebody", "the first day"):
        work.provision(plan)
        assert opened(environment).provision_plan().empty
    (broken,) = work.registry(read_only=True).broken_seals("prod")
    assert (broken.verb, broken.reason) == ("provision", "the first day")
    monkeypatch.setenv(SEAL, "the-secret")
    with_seal = opened(environment)
    with_seal.provision(with_seal.provision_plan())


def test_what_is_anothers_is_in_the_way(tmp_path: Path, opened: Work) -> None:
    theirs = opened(tier(tmp_path / "theirs"), folder=tmp_path / "a")
    theirs.provision(theirs.provision_plan())
    before = files(tmp_path / "theirs")
    mixed = tier(tmp_path / "ours") | {"lake": tier(tmp_path / "theirs")["lake"]}
    work = opened(mixed, folder=tmp_path / "b")
    with work.registry():
        pass
    work.close()
    plan = opened(mixed, folder=tmp_path / "b").provision_plan()
    assert any(one.kind == "lake" and "another registry" in one.note for one in plan.blocked)
    assert files(tmp_path / "theirs") == before


@pytest.mark.parametrize("place", ["folder", pytest.param("s3", marks=pytest.mark.slow)])
def test_data_of_anothers_are_in_the_way(
    tmp_path: Path, opened: Work, request: pytest.FixtureRequest, place: str
) -> None:
    if place == "s3":
        request.getfixturevalue("endpoint")
    data = "s3://data-of-theirs/lake" if place == "s3" else str(tmp_path / "theirs/data")
    lake = {"catalog": f"sqlite:///{tmp_path}/theirs/catalog.sqlite", "data": data}
    theirs = opened(tier(tmp_path / "theirs", lake=lake), folder=tmp_path / "a")
    theirs.provision(theirs.provision_plan())
    mixed = tier(tmp_path / "ours", lake={**lake, "catalog": f"sqlite:///{tmp_path}/ours/catalog.sqlite"})
    work = opened(mixed, folder=tmp_path / "b")
    (said,) = work.provision_plan().blocked
    assert (said.kind, "its data belong to another registry" in said.note) == ("lake", True)
    with pytest.raises(RefusedError, match="nothing was made"):
        work.provision(work.provision_plan())
    assert not (tmp_path / "ours").exists()
    # Another catalog of the same registry is refused too.
    beside = tier(tmp_path / "theirs", lake={**lake, "catalog": f"sqlite:///{tmp_path}/theirs/second.sqlite"})
    (said,) = opened(beside, folder=tmp_path / "c").provision_plan().blocked
    assert "another catalog of this registry" in said.note
    assert opened(tier(tmp_path / "theirs", lake=lake), folder=tmp_path / "a").provision_plan().empty
