"""The workflows: what they may, and their steps run for real, as far as that goes without GitHub."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.ci.conftest import DATASET, change, traces
from tests.ci.github import PROJECT, PULL_REQUEST, REPOSITORY, RUN, TOKEN, GitHub, serving
from tests.ci.workflows import GITHUB, GITLAB, Runner, Step, read, step, steps
from vector_pipeline.project import Project
from vector_pipeline.project.previewing import Previews

PREVIEW, REAPER, ONE, RELEASE = GITHUB
PINNED = re.compile(r"^actions/[a-z-]+@[0-9a-f]{40}$")
STAGES_ENV = "VECTOR_PIPELINE_ENV"


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_it_has_the_least_that_it_needs(path: Path) -> None:
    whole = read(path)
    assert whole["permissions"] == {}
    assert "pull_request_target" not in path.read_text()
    for name, job in whole["jobs"].items():
        assert "contents" in job["permissions"], name
        writes = {key for key, value in job["permissions"].items() if value == "write"}
        assert writes <= ({"pull-requests"} if (path.name, name) == ("vector-preview.yml", "preview") else set())
        if "uses" in job:
            assert job["uses"].startswith("./")
            continue
        assert job["timeout-minutes"] <= 180
        for one in job["steps"]:
            if "uses" in one:
                assert PINNED.match(one["uses"]), one["uses"]
            if one.get("uses", "").startswith("actions/checkout@"):
                assert one["with"]["persist-credentials"] is False
    for line in path.read_text().splitlines():
        if "uses: actions/" in line:
            assert re.search(r"# v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_no_expression_stands_in_a_shell(path: Path) -> None:
    for one in steps(path):
        assert "${{" not in one.run, one


@pytest.mark.parametrize("path", [*GITHUB, GITLAB], ids=lambda path: path.name)
def test_every_shell_is_one(path: Path) -> None:
    scripts = [one.run for one in steps(path)] if path != GITLAB else gitlab_scripts()
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        if linter := shutil.which("shellcheck"):
            subprocess.run([linter, "--shell=bash", "-"], input=script, text=True, check=True)


def gitlab_scripts() -> list[str]:
    whole = yaml.safe_load(GITLAB.read_text())
    return [
        line
        for job in whole.values()
        if isinstance(job, dict)
        for key in ("before_script", "script", "after_script")
        for line in job.get(key, [])
    ]


def test_previews_take_each_others_place_and_releases_wait() -> None:
    assert read(PREVIEW)["jobs"]["preview"]["concurrency"]["cancel-in-progress"] is True
    for job in read(ONE)["jobs"].values():
        assert job["concurrency"]["cancel-in-progress"] is False
    assert read(ONE)["jobs"]["production"]["environment"] == "production"
    assert (
        next(one for one in read(PREVIEW)["jobs"]["preview"]["steps"] if one.get("name") == "Take down")["if"]
        == "always()"
    )


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving() as running:
        yield running


@pytest.fixture
def repository(released: Project) -> Project:
    """The project as a repository: what is released is its main branch, and the working tree a pull request of it."""
    git(released.base, "init", "--quiet", "--initial-branch", "main")
    (released.base / ".gitignore").write_text(".vector_pipeline/\n")
    (released.base / "requirements.txt").write_text("vector-pipeline\n")
    git(released.base, "add", "--all")
    commit(released.base, "as it is on main")
    change(released, 1)
    git(released.base, "add", "--all")
    commit(released.base, "zebras")
    return released


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, message: str) -> None:
    git(folder, "-c", "user.name=ann", "-c", "user.email=ann@example.com", "commit", "--quiet", "--message", message)


def runner(project: Project, temp: Path, github: GitHub, environment: str = "dev") -> Runner:
    """Of the checked-out head. The workflows' environment is called ``dev`` here."""
    found = Runner(
        project.base, temp,
        {
            "github.event.pull_request.base.sha": git(project.base, "rev-parse", "HEAD~1"),
            "github.event.pull_request.head.sha": git(project.base, "rev-parse", "HEAD"),
            "github.event.pull_request.number": PULL_REQUEST, "github.event.before": git(project.base, "rev-parse", "HEAD~1"),
            "github.sha": git(project.base, "rev-parse", "HEAD"), "matrix.dataset": DATASET, "inputs.dataset": DATASET,
            "github.token": TOKEN,
        },
    )  # fmt: skip
    found.environment |= {
        "GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_RUN_ID": RUN, "GITHUB_SHA": "HEAD",
        "GITHUB_SERVER_URL": "https://github.example",
    }  # fmt: skip
    return found


@pytest.mark.slow
def test_a_pull_request_is_built_judged_told_and_taken_down(
    repository: Project, github: GitHub, tmp_path: Path
) -> None:
    at = runner(repository, tmp_path / "runner", github)
    at.ok(in_dev(step(PREVIEW, "datasets", "Which datasets the change concerns")))
    assert json.loads(at.outputs()["datasets"]) == [DATASET]
    github.add("a person's words", kind="User")
    github.add(f"<!-- vector-pipeline preview of {DATASET} in dev -->\nno bot's", kind="User")
    for _ in range(120):
        github.add("of another bot")
    for _ in range(2):  # The second time it writes over its own comment.
        for name in ("Build", "Verify", "Report", "Comment"):
            at.ok(in_dev(step(PREVIEW, "preview", name)))
        held_as = Previews(repository).standing(DATASET)[0].held_as
        at.ok(in_dev(step(PREVIEW, "preview", "Take down")))
        assert traces(repository, held_as) == {}
    mine = github.comments[122:]
    assert len(mine) == 1
    assert "### handbook: ✅ Would be promoted" in mine[0]["body"]
    assert "`page91.md`" in mine[0]["body"]
    assert f"https://github.example/{REPOSITORY}/actions/runs/{RUN}" in mine[0]["body"]
    assert github.comments[1]["body"].endswith("no bot's")
    assert at.summary.read_text().startswith("<!-- vector-pipeline preview")
    at.ok(in_dev(step(PREVIEW, "closed", "Take down")))
    at.ok(in_dev(step(REAPER, "reap", "Reap")))


@pytest.mark.slow
def test_one_that_does_not_pass_says_so_and_is_taken_down(repository: Project, github: GitHub, tmp_path: Path) -> None:
    for number in range(12):
        (repository.base / f"documents/page{number}.md").unlink(missing_ok=True)
    at = runner(repository, tmp_path / "runner", github)
    at.ok(in_dev(step(PREVIEW, "preview", "Build")))
    assert at.run(in_dev(step(PREVIEW, "preview", "Verify"))).returncode == 1
    for name in ("Report", "Comment", "Take down"):
        at.ok(in_dev(step(PREVIEW, "preview", name)))
    assert "❌ Would not be promoted" in github.comments[0]["body"]
    assert Previews(repository).standing() == []


@pytest.mark.slow
def test_one_that_cannot_be_built_has_its_comment_too(repository: Project, github: GitHub, tmp_path: Path) -> None:
    config = repository.base / "vector_pipeline.yaml"
    config.write_text(config.read_text() + "environments: {dev: {previews: {max_records: 1}}}\n")
    at = runner(repository, tmp_path / "runner", github)
    assert at.run(in_dev(step(PREVIEW, "preview", "Build"))).returncode == 1
    assert at.run(in_dev(step(PREVIEW, "preview", "Report"))).returncode == 1
    for name in ("Comment", "Take down"):
        at.ok(in_dev(step(PREVIEW, "preview", name)))
    assert "more than its budget allows" in github.comments[0]["body"]
    assert Previews(repository).standing() == []


@pytest.mark.slow
@pytest.mark.timeout(900)  # Ten processes that import everything.
def test_a_merge_is_released_and_goes_back_when_production_is_not_right(
    repository: Project, github: GitHub, tmp_path: Path
) -> None:
    github.approvals = [
        {"state": "approved", "user": {"login": "bob"}},
        {"state": "rejected", "user": {"login": "eve"}},
    ]
    at = runner(repository, tmp_path / "runner", github)
    at.ok(in_dev(step(RELEASE, "datasets", "Which datasets the merge concerns")))
    for name in ("Build", "Plan", "Push to staging", "Gates", "Where it stands"):
        at.ok(in_dev(step(ONE, "staging", name)))
    outputs = at.outputs()
    assert (outputs["version"], outputs["changed"]) == ("2", "true")
    assert "### The plan for handbook" in at.summary.read_text()
    at.values |= {"needs.staging.outputs.version": outputs["version"]}
    at.ok(in_dev(step(ONE, "production", "Who approved")))
    at.values["steps.who.outputs.names"] = at.outputs()["names"]
    for name in ("Promote", "Look at production"):
        at.ok(in_dev(step(ONE, "production", name)))
    production = repository.registry(read_only=True).alias(DATASET, "dev", "production")
    assert production is not None
    assert production.deployment.version == 2
    assert "approved by bob, run 4711" in production.reason
    at.ok(in_dev(step(ONE, "production", "Go back")))
    assert repository.status(DATASET).production.deployment.version == 1  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_gitlabs_jobs_do_the_same(repository: Project, github: GitHub, tmp_path: Path) -> None:
    at, head = runner(repository, tmp_path / "runner", github), git(repository.base, "rev-parse", "HEAD")
    before = git(repository.base, "rev-parse", "HEAD~1")
    at.environment |= {
        "CI_API_V4_URL": github.url, "CI_PROJECT_ID": PROJECT, "CI_MERGE_REQUEST_IID": PULL_REQUEST, "CI_COMMIT_SHA": head,
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": before, "GITLAB_COMMENT_TOKEN": TOKEN, "CI_JOB_URL": "https://gitlab.example/1",
        "CI_COMMIT_BEFORE_SHA": before, "CI_JOB_ID": "1", "GITLAB_USER_LOGIN": "bob",
    }  # fmt: skip
    whole = yaml.safe_load(GITLAB.read_text())

    def job(name: str, part: str = "script") -> None:
        at.ok(Step(GITLAB.name, name, part, "\n".join(whole[name][part]), {STAGES_ENV: "dev"}))

    for _ in range(2):
        job("vector-preview")
        job("vector-preview", "after_script")
    assert len(github.comments) == 1
    assert "### handbook: ✅ Would be promoted" in github.comments[0]["body"]
    assert Previews(repository).standing() == []
    job("vector-staging")
    assert (repository.base / "versions.txt").read_text() == "handbook 2\n"
    job("vector-production")
    production = repository.registry(read_only=True).alias(DATASET, "dev", "production")
    assert production is not None
    assert (production.deployment.version, "started by bob" in production.reason) == (2, True)
    job("vector-reaper")


def in_dev(one: Step) -> Step:
    """The step in this project's only environment."""
    return replace(one, env={**one.env, STAGES_ENV: "dev"})
