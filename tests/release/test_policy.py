"""Block, warn, off: from the configuration to what readers get."""

import pytest

from tests.conftest import MakeProject, page
from tests.support.gates import say_passed
from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.verify.outcome import CheckResult, Status

BAD = "canaries: [{query: 'page 1', expect: [nowhere.md], k: 3}]\n"
CANARIES, COVERAGE = "canary retrieval", "coverage"
LOOKED = (COVERAGE, CANARIES)


def staged(make_project: MakeProject, modes: str, canaries: str | None = BAD) -> Project:
    """Version 1 on staging; what looks at its data is said to have passed."""
    project = make_project(3, shards=2, gates=f"canaries: canaries.yaml, modes: {{{modes}}}")
    if canaries is not None:
        (project.base / "canaries.yaml").write_text(canaries, encoding="utf-8")
    project.build("handbook")
    say_passed(project, project.push("handbook").deployment, index=True)
    return project


def judged(project: Project) -> dict[str, CheckResult]:
    """Coverage and canaries of what staging holds, for real."""
    demanded = project.gates_of("handbook", "local")
    _, results = project.verify("handbook", only=[name for name in LOOKED if name in demanded])
    return {one.name: one for one in results}


@pytest.mark.slow
def test_what_fails_under_warn_is_told_and_lets_through_to_the_end(make_project: MakeProject) -> None:
    project = staged(make_project, "canary_retrieval: warn")
    found = judged(project)[CANARIES]
    assert (found.status, found.detail["judged"]) == (Status.WARNED, "failed")
    assert found.summary.endswith("(warns only: modes.canary_retrieval)")
    assert found.examples
    status = project.status("handbook")
    assert status.modes[CANARIES] == "warn"
    assert {one.name: one.status for one in status.said}[CANARIES] is Status.WARNED
    assert [stage.kind.value for stage in project.plan("handbook", goal="production").stages] == ["move-alias"]
    alias, moved = project.promote("handbook", by="ann")
    assert moved
    checked = project.settle(alias, by="ann")
    assert checked.error is None, "its own check warns too"
    assert [one.status for one in checked.results] == [Status.PASSED, Status.WARNED]


@pytest.mark.slow
def test_what_is_off_does_not_run_and_nobody_waits_for_it(make_project: MakeProject) -> None:
    project = staged(make_project, "canary_retrieval: off, coverage: off")
    assert not {CANARIES, COVERAGE} & set(project.gates_of("handbook", "local"))
    assert judged(project) == {}
    status = project.status("handbook")
    assert [name for name, mode in status.modes.items() if mode == "off"] == [COVERAGE, CANARIES]
    assert not {CANARIES, COVERAGE} & {one.name for one in status.said}
    alias, _ = project.promote("handbook", by="ann")
    assert project.settle(alias, by="ann").results == ()
    with pytest.raises(InputError, match="coverage is off in environment dev: it stops nothing"):
        project.gates_to_override("handbook", ["coverage"], "why")


@pytest.mark.slow
def test_what_could_not_run_blocks_and_under_warn_does_not(make_project: MakeProject) -> None:
    project = staged(make_project, "", canaries=None)
    assert judged(project)[CANARIES].status is Status.UNKNOWN
    with pytest.raises(RefusedError, match="has not passed: canary retrieval"):
        project.promote("handbook", by="ann")
    assert "to be checked first: canary retrieval" in project.plan("handbook", goal="production").notes
    soft = staged(make_project, "canary_retrieval: warn", canaries=None)
    found = judged(soft)[CANARIES]
    assert (found.status, found.detail["judged"]) == (Status.WARNED, "unknown")
    assert soft.promote("handbook", by="ann")[1]


@pytest.mark.slow
def test_a_verdict_ends_with_the_policy_that_it_was_made_under(make_project: MakeProject) -> None:
    project = staged(make_project, "canary_retrieval: warn")
    judged(project)
    config = project.base / "vector_pipeline.yaml"
    config.write_text(config.read_text().replace("modes: {canary_retrieval: warn}", "modes: {}"), encoding="utf-8")
    with Project.load(config) as stricter:
        said = {one.name: one for one in stricter.status("handbook").said}
        assert {one.status for one in said.values()} == {Status.UNKNOWN}
        assert said[CANARIES].summary == "judged under other settings: verify again"
        with pytest.raises(RefusedError, match="the gates' settings have changed"):
            stricter.promote("handbook", by="ann")


@pytest.mark.slow
def test_an_environment_is_stricter_than_its_dataset(make_project: MakeProject) -> None:
    project = staged(make_project, "canary_retrieval: warn")
    config = project.base / "vector_pipeline.yaml"
    strict = "environments: {dev: {}, prod: {gates: {modes: {canary_retrieval: block}}}}\n"
    config.write_text(config.read_text() + strict, encoding="utf-8")
    with Project.load(config, environment="dev") as here, Project.load(config, environment="prod") as there:
        assert (here.modes("handbook")[CANARIES], there.modes("handbook")[CANARIES]) == ("warn", "block")
        assert there.gates_to_override("handbook", ["canary_retrieval"], "why") == (CANARIES,)


@pytest.mark.slow
def test_what_has_not_run_is_said_of_every_gate_in_order(make_project: MakeProject) -> None:
    project = make_project({"page1.md": page(1)}, shards=2)
    project.build("handbook")
    project.push("handbook")
    said = project.status("handbook").said
    assert [one.name for one in said] == list(project.gates_of("handbook", "local"))
    assert {(one.status, one.summary) for one in said} == {(Status.UNKNOWN, "has not run")}
