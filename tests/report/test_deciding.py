"""What a report says of the decision agrees with what a promotion does: with overrides, and with gates that say nothing now."""

import pytest

from tests.conftest import MakeProject, page
from tests.support.gates import FEW, say_passed
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.project.gating import SETTINGS
from vector_pipeline.release.registry import VerdictStatus
from vector_pipeline.report.page.facts import Facts, Outlook

CANARIES, COVERAGE = "canary retrieval", "coverage"


def stage(project: Project, number: int) -> int:
    """Another version on staging; every gate is said to have passed."""
    (project.base / f"documents/page{number}.md").write_text(page(number), encoding="utf-8")
    version = project.build("handbook").version.number
    say_passed(project, project.push("handbook").deployment, index=True)
    return version


def say(project: Project, version: int, gate: str, status: VerdictStatus) -> None:
    """Record what a gate says of a version where it stands."""
    held = project.deployment_of(project.version("handbook", version))
    detail = {"status": status.value, "summary": "made up", SETTINGS: project.gate_settings("handbook")}
    project.registry().record_verdict(
        held.id, gate, status, digest=str(held.digest), detail=detail, mark=project.mark_of(held)
    )


def override_of(facts: Facts) -> list[str]:
    return [command for _, command in facts.commands if "--override" in command]


@pytest.mark.slow
def test_an_override_ends_with_a_rollback(make_project: MakeProject) -> None:
    project = make_project(3, shards=1, gates=FEW)
    first = stage(project, 10)
    project.promote("handbook", by="ann")
    second = stage(project, 11)
    say(project, second, CANARIES, VerdictStatus.FAILED)
    project.promote("handbook", by="ann", reason="it comes tomorrow", overrides=[CANARIES])
    served = project.report_facts("handbook", second)
    assert (served.outlook, served.blocking) == (Outlook.SERVING, [])
    project.rollback("handbook", by="ann", reason="it did not come")
    assert project.report_facts("handbook", first).outlook is Outlook.SERVING

    facts = project.report_facts("handbook", second)
    assert (facts.outlook, [one.name for one in facts.blocking]) == (Outlook.BLOCKED, [CANARIES])
    (blocked,) = facts.blocking
    assert "it comes tomorrow" in blocked.override
    assert not blocked.in_force
    assert override_of(facts)
    with pytest.raises(RefusedError, match="has not passed: canary retrieval"):
        project.promote("handbook", version=second, by="ann", reason="again")


@pytest.mark.slow
def test_the_override_that_is_offered_is_taken(make_project: MakeProject) -> None:
    project = make_project(3, shards=1, gates=FEW)
    version = stage(project, 10)
    say(project, version, CANARIES, VerdictStatus.FAILED)
    say(project, version, COVERAGE, VerdictStatus.UNKNOWN)
    (command,) = override_of(project.report_facts("handbook", version))
    named = [word for before, word in zip(command.split(), command.split()[1:], strict=False) if before == "--override"]
    assert named == ["coverage", "canary_retrieval"]
    project.promote("handbook", by="ann", reason="why", overrides=named)


def test_what_has_not_looked_at_what_is_there_now_is_looked_at_first(make_project: MakeProject) -> None:
    project = make_project(3, shards=1, gates=FEW)
    version = stage(project, 10)
    say(project, version, CANARIES, VerdictStatus.FAILED)
    held = project.deployment_of(project.version("handbook", version))
    project.registry().record_verdict(
        held.id, COVERAGE, VerdictStatus.PASSED, digest=str(held.digest), mark="another",
        detail={"status": "passed", "summary": "", SETTINGS: project.gate_settings("handbook")},
    )  # fmt: skip
    facts = project.report_facts("handbook", version)
    assert facts.outlook is Outlook.BLOCKED
    assert override_of(facts) == []
    assert ("Run the gates again", "vector-pipeline verify --version 1") in facts.commands
