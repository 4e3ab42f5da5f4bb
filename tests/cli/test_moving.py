"""Promote and rollback as a job calls them: what did this very run do, and from where."""

import pytest

from tests.cli.conftest import RunCommand
from tests.conftest import page
from vector_pipeline.project import Project


@pytest.mark.slow
def test_a_job_takes_back_what_it_promoted_and_nothing_else(vp: RunCommand, fresh_released: Project) -> None:
    project = fresh_released
    here = ("handbook", "--project", project.base)
    (project.base / "documents/page9.md").write_text(page(9))
    project.build("handbook")
    project.push("handbook")
    project.verify("handbook")
    project.close()
    mine = vp("promote", *here, "--version", 2, "--reason", "approved", "--json")
    assert mine.code == 0, mine
    assert {key: mine.json[key] for key in ("moved", "version", "before")} == {"moved": True, "version": 2, "before": 1}
    assert mine.json["places"][0]["target"] == "local"
    again = vp("promote", *here, "--version", 2, "--json")
    assert (again.code, again.json["moved"], again.json["version"]) == (0, False, 2)

    other = vp("rollback", *here, "--from", "v3", "--reason", "a check failed")
    assert other.code == 0
    assert "production serves v2, not v3: nothing moved." in other.out
    assert vp("rollback", *here, "--from", 3, "--json").json["moved"] is False
    back = vp("rollback", *here, "--from", 2, "--reason", "a check failed", "--json")
    assert {key: back.json[key] for key in ("moved", "version", "before")} == {"moved": True, "version": 1, "before": 2}
    assert vp("history", *here, "--json").json[0]["kind"] == "rollback"
    # Run again, it undoes no older release.
    assert "serves v1, not v2: nothing moved" in vp("rollback", *here, "--from", 2).out
