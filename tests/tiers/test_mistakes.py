"""Every mistake of configuration is refused before anything of the other environment is written, and says whose it is."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiers.conftest import SEAL, Open, files, tier, write
from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.lake.marking import MARK
from vector_pipeline.project import Project
from vector_pipeline.release.seals import breaking

Sealed = Callable[[str | None], None]
REFERENCE = f"${{env:{SEAL}}}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed production with a version pushed, in ``prod``; the team's configuration of it in ``team``."""
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SEAL, "deployment only")
        file = write(folder / "team", {"prod": tier("../prod", sealed=REFERENCE)})
        with Project.load(file, environment="prod") as project:
            project.build("handbook")
            project.push("handbook")
    return folder


@pytest.fixture
def prod(tmp_path: Path, template: Path, sealed: Sealed) -> Path:
    """A copy of all of it for one test. The seal is not here."""
    sealed(None)
    for name in ("team", "prod"):
        shutil.copytree(template / name, tmp_path / name)
    return tmp_path / "prod"


def refused(prod: Path, verb: Callable[[], object], *said: str) -> str:
    """What the refusal said: one line, and nothing of production was written."""
    before = files(prod)
    with pytest.raises(RefusedError) as caught:
        verb()
    assert files(prod) == before
    line = str(caught.value)
    assert "\n" not in line
    for word in said:
        assert word in line
    return line


def test_production_on_a_laptop(tmp_path: Path, prod: Path, opened: Open, sealed: Sealed) -> None:
    project = opened(tmp_path / "team" / "vector_pipeline.yaml", "prod")
    for verb in (
        lambda: project.build("handbook"), lambda: project.push("handbook"), lambda: project.pin("handbook", 1, True),
        lambda: project.promote("handbook", by="me"), lambda: project.collect("handbook", dry_run=False, grace_s=0),
        lambda: project.target("handbook").drop_namespace(project.target("handbook").namespaces()[0]),
    ):  # fmt: skip
        refused(prod, verb, "environment prod is sealed since", f"{SEAL} is not set here", "--break-seal")
    source = tmp_path / "team" / "documents"
    before = files(source)
    note = tmp_path / "note.md"
    note.write_text("# Note\n\nTest data from a laptop.\n")
    refused(prod, lambda: project.put("handbook", [note]), "environment prod is sealed since", "--break-seal")
    assert files(source) == before
    sealed("of another environment")
    refused(prod, lambda: project.build("handbook"), "it may be the seal of another environment")
    # Readers need no seal.
    assert project.versions("handbook")[0].number == 1
    assert project.target("handbook", read_only=True).namespaces()


def test_the_wrong_variable(tmp_path: Path, prod: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"dev": tier(tmp_path / "dev"), "prod": tier(prod, sealed=REFERENCE)}
    file = write(tmp_path / "mine", both)
    monkeypatch.setenv("VECTOR_PIPELINE_ENV", "prod")
    refused(prod, lambda: opened(file, None).build("handbook"), "environment prod is sealed", "by ")


def test_the_registry_of_production(tmp_path: Path, prod: Path, opened: Open) -> None:
    mine = tier(tmp_path / "dev", registry=f"sqlite:///{prod}/registry.sqlite")
    file = write(tmp_path / "mine", {"dev": mine})
    said = refused(
        prod,
        lambda: opened(file, "dev").build("handbook"),
        "belongs to environment prod, which is sealed",
        "dev does not",
    )
    assert str(prod / "registry.sqlite") in said
    assert not (tmp_path / "dev").exists()


def test_a_copied_file_that_says_nothing_of_a_seal(tmp_path: Path, prod: Path, opened: Open) -> None:
    file = write(tmp_path / "copy", {"prod": tier(prod)})
    refused(
        prod, lambda: opened(file, "prod").build("handbook"), "environment prod is sealed", "says nothing of a seal"
    )


def test_the_same_index(tmp_path: Path, prod: Path, opened: Open) -> None:
    mine = tier(tmp_path / "dev", targets={"local": {"path": str(prod / "index")}})
    project = opened(write(tmp_path / "mine", {"dev": mine}), "dev")
    project.build("handbook")
    whose = opened(tmp_path / "team" / "vector_pipeline.yaml", "prod").registry(read_only=True).id
    told = ("belongs to another registry", whose, "environment prod there", str(prod / "index"))
    refused(prod, lambda: project.push("handbook"), *told)
    refused(prod, lambda: project.push("handbook", strategy="blue-green"), *told)
    # Whoever only looks hears it too.
    refused(prod, lambda: project.plan("handbook"), *told)
    namespace = project.target("handbook").namespaces()[0]
    refused(prod, lambda: project.target("handbook").drop_namespace(namespace), *told)
    refused(prod, lambda: project.target("handbook").purge(namespace), *told)


def test_the_same_lake(tmp_path: Path, prod: Path, opened: Open) -> None:
    theirs = tier(prod)["lake"]
    file = write(tmp_path / "mine", {"dev": tier(tmp_path / "dev", lake=theirs)}, pages=1)
    refused(
        prod, lambda: opened(file, "dev").build("handbook"), "belongs to another registry", "environment prod there"
    )


def old(folder: Path, days: int = 40) -> None:
    """As if all of it had been written so long ago."""
    then = time.time() - days * 86_400
    for one in folder.rglob("*"):
        os.utime(one, (then, then))


@pytest.mark.parametrize("data", ["prod/data", "prod", "prod/data/mine"])
def test_only_the_data_of_production(tmp_path: Path, prod: Path, opened: Open, data: str) -> None:
    old(prod / "data")
    lake = {"catalog": f"sqlite:///{tmp_path}/dev/catalog.sqlite", "data": str(tmp_path / data)}
    project = opened(write(tmp_path / "mine", {"dev": tier(tmp_path / "dev", lake=lake)}, pages=1), "dev")
    said = refused(prod, lambda: project.build("handbook"), "`lake: data:`", str(prod / "data"))
    assert ("belongs to another registry" in said) == (data == "prod/data")
    refused(prod, lambda: project.collect("handbook", dry_run=False, grace_s=0), str(prod / "data"))


@pytest.mark.parametrize("data", ["prod/data", "prod"])
def test_data_of_production_from_before_there_were_marks(tmp_path: Path, prod: Path, opened: Open, data: str) -> None:
    (prod / "data" / MARK).unlink()
    old(prod / "data")
    lake = {"catalog": f"sqlite:///{tmp_path}/dev/catalog.sqlite", "data": str(tmp_path / data)}
    project = opened(write(tmp_path / "mine", {"dev": tier(tmp_path / "dev", lake=lake)}, pages=1), "dev")
    refused(prod, lambda: project.build("handbook"), "data files that this catalog does not know")


def test_another_catalog_of_the_same_registry(tmp_path: Path, opened: Open) -> None:
    one = tier(tmp_path / "store")
    two = {**one, "lake": {"catalog": f"sqlite:///{tmp_path}/two.sqlite", "data": f"{tmp_path}/store/data"}}
    opened(write(tmp_path / "one", {"dev": one}), "dev").build("handbook")
    with pytest.raises(RefusedError, match="belong to another catalog of this registry, made by dev"):
        opened(write(tmp_path / "two", {"test": two}), "test").build("handbook")


def test_a_seal_is_broken_once_and_for_good_in_the_history(tmp_path: Path, prod: Path, opened: Open) -> None:
    project = opened(tmp_path / "team" / "vector_pipeline.yaml", "prod")
    with breaking("pin", "ann@laptop", "the deployment is down"):
        project.pin("handbook", 1, True)
        project.pin("handbook", 1, False)
    refused(prod, lambda: project.pin("handbook", 1, True), "is sealed")
    (broken,) = project.broken_seals()
    assert (broken.environment, broken.verb, broken.by, broken.reason) == (
        "prod", "pin", "ann@laptop", "the deployment is down",
    )  # fmt: skip
    told = [one for one in project.timeline("handbook") if one.kind == "seal broken for pin"]
    assert [(one.by, one.reason) for one in told] == [("ann@laptop", "the deployment is down")]


def test_who_puts_what_past_a_seal_is_in_the_history(tmp_path: Path, prod: Path, opened: Open) -> None:
    project = opened(tmp_path / "team" / "vector_pipeline.yaml", "prod")
    note = tmp_path / "note.md"
    note.write_text("# Note\n\nIt is urgent.\n")
    with breaking("put", "ann@laptop", "the deployment is down"):
        assert project.put("handbook", [note], by="ann@laptop")[0].changed
        assert not project.put("handbook", [note], by="ann@laptop")[0].changed
    told = [(one.kind, one.by, one.reason) for one in project.timeline("handbook") if "put" in one.kind]
    assert told == [
        ("put", "ann@laptop", "note.md"),
        ("seal broken for put", "ann@laptop", "the deployment is down"),
    ]


def test_sharing_is_said(tmp_path: Path, prod: Path, opened: Open, sealed: Sealed) -> None:
    team = tmp_path / "team" / "vector_pipeline.yaml"
    shared = tier(prod)
    file = write(tmp_path / "mine", {"staging": shared})
    staging = opened(file, "staging")
    refused(prod, lambda: staging.build("handbook"), "belongs to environment prod")
    sealed("deployment only")
    with opened(team, "prod") as project:
        project.share("staging")
    sealed(None)
    staging.build("handbook")
    sealed("deployment only")
    with opened(team, "prod") as project:
        project.share("staging", on=False)
    sealed(None)
    with pytest.raises(RefusedError, match="belongs to environment prod"):
        opened(file, "staging").build("handbook")


def test_who_was_let_in_lets_in_nobody(tmp_path: Path, prod: Path, opened: Open, sealed: Sealed) -> None:
    sealed("deployment only")
    with opened(tmp_path / "team" / "vector_pipeline.yaml", "prod") as project:
        project.share("staging")
    sealed(None)
    file = write(tmp_path / "mine", {"staging": tier(prod), "dev": tier(prod)})
    for on in (True, False):
        with opened(file, "staging") as staging:
            refused(prod, lambda: staging.share("dev", on=on), "staging is not sealed", "ENV=prod")  # noqa: B023
    refused(prod, lambda: opened(file, "dev").build("handbook"), "belongs to environment prod")


def test_a_registry_that_others_use_is_not_sealed_by_the_way(tmp_path: Path, opened: Open, sealed: Sealed) -> None:
    open_ = write(tmp_path / "one", {"dev": tier(tmp_path / "store")})
    opened(open_, "dev").registry()
    sealed("s")
    closed = write(tmp_path / "two", {"prod": tier(tmp_path / "store", sealed=REFERENCE)})
    prod = opened(closed, "prod")
    with pytest.raises(RefusedError, match=r"is also environment dev's.*seal --share dev"):
        prod.registry()
    prod.share("dev")
    assert prod.tiers()[0].sealed == "open"
    opened(open_, "dev").registry()


@pytest.mark.slow
def test_a_lost_registry_is_stood_for(tmp_path: Path, opened: Open) -> None:
    file = write(tmp_path / "team", {"dev": tier(tmp_path / "dev")})
    with opened(file, "dev") as project:
        project.build("handbook")
        project.push("handbook")
        lost = project.registry().id
    for one in (tmp_path / "dev").glob("registry.sqlite*"):
        one.unlink()
    project = opened(file, "dev")
    with pytest.raises(RefusedError, match=f"belongs to another registry, {lost}"):
        project.build("handbook")
    with pytest.raises(InputError, match="wants a reason"):
        project.stand_for(lost, reason=" ")
    project.stand_for(lost, reason="the disk  is gone")
    assert [(one.verb, one.reason) for one in project.broken_seals()] == [(f"stand-for {lost}", "the disk is gone")]
    project.build("handbook")
    project.push("handbook")
    with pytest.raises(RefusedError, match="has deployments of its own"):
        project.stand_for(lost, reason="again")


def test_nobody_stands_for_production_that_is_alive(tmp_path: Path, prod: Path, opened: Open, sealed: Sealed) -> None:
    lost = opened(tmp_path / "team" / "vector_pipeline.yaml", "prod").registry(read_only=True).id
    theirs = tier(prod)
    index = opened(write(tmp_path / "index", {"dev": tier(tmp_path / "a", targets=theirs["targets"])}), "dev")
    refused(prod, lambda: index.stand_for(lost, reason="mine"), "has no lake that says whose it is")
    index.lake()
    refused(prod, lambda: index.stand_for(lost, reason="mine"), f"does not belong to {lost}")
    assert index.registry().id != lost
    # Its lake too: then its seal is asked, and breaking the seal of dev is no way.
    both = tier(tmp_path / "b", targets=theirs["targets"], lake=theirs["lake"])
    lake = opened(write(tmp_path / "lake", {"dev": both}), "dev")
    refused(prod, lambda: lake.stand_for(lost, reason="mine"), "is sealed (environment prod), and its seal is not here")
    with breaking("seal", "ann@laptop", "no"):
        refused(prod, lambda: lake.stand_for(lost, reason="mine"), "its seal is not here")
    beside = write(tmp_path / "beside", {"dev": tier(tmp_path / "c"), "prod": tier(prod, sealed=REFERENCE)})
    refused(prod, lambda: opened(beside, "dev").stand_for(lost, reason="mine"), "is the registry of environment prod")
    # Who has the seal may: production's own deployment, on a registry that is new.
    sealed("deployment only")
    again = tier(prod, registry=f"sqlite:///{tmp_path}/new.sqlite", sealed=REFERENCE)
    project = opened(write(tmp_path / "again", {"prod": again}), "prod")
    project.stand_for(lost, reason="the disk is gone")
    assert project.lake().owner() == f"{lost}/prod"
