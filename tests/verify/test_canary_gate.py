"""The gate on a real project: beside production, and where production cannot be asked."""

from pathlib import Path

import pytest

from tests.conftest import MakeProject
from tests.support.gates import say_passed
from vector_pipeline.project import Project
from vector_pipeline.verify.canaries.gate import NAME
from vector_pipeline.verify.outcome import CheckResult, Status

CANARIES = "canaries:\n" + "".join(
    f'  - {{query: "Paragraph 2 of page {n} speaks of item{n}x2", expect: [page{n}.md], k: 3}}\n' for n in range(10)
)


def promoted(make_project: MakeProject) -> Project:
    """Version 1 in production, whose canaries all pass."""
    project = make_project(10, gates="canaries: canaries.yaml, canary_pass_rate: 0.1, max_removed_share: 1")
    (project.base / "canaries.yaml").write_text(CANARIES, encoding="utf-8")
    project.build("handbook")
    project.push("handbook")
    deployment, results = project.verify("handbook", only=project.index_gates_of("handbook", "local"))
    assert {result.status for result in results} <= {Status.PASSED}, results
    say_passed(project, deployment)
    project.promote("handbook", by="tester", reason="first")
    return project


def judged(project: Project) -> CheckResult:
    project.build("handbook")
    project.push("handbook")
    return project.verify("handbook", only=[NAME])[1][0]


@pytest.mark.slow
def test_what_production_answers_and_the_candidate_does_not(make_project: MakeProject) -> None:
    project = promoted(make_project)
    for n in range(8):
        (project.base / f"documents/page{n}.md").unlink()
    result = judged(project)
    assert result.status is Status.FAILED, "2 of 10 pass, and 10% are demanded: the comparison stops it"
    assert result.summary.startswith("2/10 canary queries passed")
    assert "8 newly failing that version 1 in production passes" in result.summary
    assert result.detail["against"]["version"] == 1
    assert [one["absent"] for one in result.examples] == [[f"page{n}.md"] for n in range(8)]
    assert "expects page0.md, which version 2 does not have" in result.examples[0]["why"]
    assert result.detail["answers"][0]["production"][0][0] == "page0.md"


@pytest.mark.slow
def test_production_of_another_model_is_not_asked(make_project: MakeProject) -> None:
    project = promoted(make_project)
    config = Path(project.base) / "vector_pipeline.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("model: seed", "model: other"), encoding="utf-8")
    with Project.load(config) as changed:
        result = judged(changed)
    assert result.status is Status.WARNED
    assert result.summary.startswith("10/10 canary queries passed")
    assert "not compared with version 1 in production: handbook: version 1 is served in another space" in result.summary
    assert "against" not in result.detail
