"""The mass-change guard: off by default, refused before anything is written, let through by hand."""

import pytest

from tests.conftest import MakeProject, page
from tests.release.test_release import mark, release
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project


def rewrite(project: Project, pages: range) -> None:
    for number in pages:
        (project.base / "documents" / f"page{number}.md").write_text(page(number + 100), encoding="utf-8")
    project.build("handbook")


@pytest.mark.slow
def test_a_push_that_replaces_too_much_is_refused_unless_allowed(make_project: MakeProject) -> None:
    project = make_project(4, shards=1, gates="max_removed_share: 0.5, max_changed_share: 0.4")
    release(project)
    rewrite(project, range(1))
    project.push("handbook")
    rewrite(project, range(1, 3))
    before = mark(project)
    says = r"would replace or remove \d+ of \d+ of what is served, more than gates\.max_changed_share allows \(40%\)"
    with pytest.raises(RefusedError, match=says):
        project.push("handbook")
    assert any("gates.max_changed_share" in note for note in project.plan("handbook").notes)
    with pytest.raises(RefusedError, match=r"gates\.max_changed_share"):
        project.push("handbook", max_removed_share=1.0, over_budget=True)
    with pytest.raises(RefusedError, match=r"gates\.max_changed_share"):
        project.push("handbook", max_changed_share=float("nan"))
    assert mark(project) == before
    assert project.push("handbook", max_changed_share=1.0).deployment.version == 3


@pytest.mark.slow
def test_it_is_off_unless_asked_for(make_project: MakeProject) -> None:
    project = make_project(2, shards=1, gates="max_removed_share: 0.5")
    release(project)
    rewrite(project, range(2))
    assert project.push("handbook").deployment.version == 2
