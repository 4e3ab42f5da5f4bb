"""Blame: ranks are those that the target gives, and each change of answer has its reason."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import RunCommand, vp  # noqa: F401  (a fixture)
from tests.conftest import MakeProject, page, write_project
from vector_pipeline.errors import InputError, NotFoundError
from vector_pipeline.project import Project

QUESTION = "Paragraph 2 of page 3 speaks of item3x2 and more"


def write(project: Project, name: str, text: str | None) -> None:
    path = project.base / "documents" / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")


def release(project: Project) -> int:
    number = project.build("handbook").version.number
    project.push("handbook")
    return number


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
def test_ranks_are_those_of_the_target(make_project: MakeProject, seed: int) -> None:
    chance = random.Random(seed)
    project = make_project(8)
    release(project)
    for _ in range(3):
        for _ in range(chance.randint(1, 3)):
            number = chance.randrange(10)
            path = project.base / "documents" / f"page{number}.md"
            keep = chance.random() < 0.7 or not path.exists() or number == 3
            # A copy of another page ties with it: ties are by id in both.
            write(project, path.name, page(chance.choice([number, 3, 100 + chance.randrange(20)])) if keep else None)
        release(project)
    target, space = project.target("handbook", read_only=True), project.space("handbook")
    vectors = project.embedder("handbook").embed_queries([QUESTION]).astype(np.float32)
    for document in ("page3.md", "page5.md"):
        found = project.blame("handbook", QUESTION, document=document, top_k=4)
        assert len(found.standings) == len(project.versions("handbook"))
        for here in found.standings:
            deployment = project.deployment_of(project.version("handbook", here.version))
            (hits,) = target.query(deployment.namespace, vectors, top_k=1000, version=here.version)
            assert len(hits) == here.records
            ranks = [(rank, hit.score) for rank, hit in enumerate(hits, start=1) if hit.document_id == document]
            assert (here.rank, here.score) == (ranks[0] if ranks else (None, None))
            assert here.inside == (bool(ranks) and ranks[0][0] <= 4)
        top = [(rank, hit.document_id, hit.score) for rank, hit in enumerate(hits[:4], start=1)]
        assert list(found.top) == top
        flips = [
            later.version for now, later in zip(found.standings, found.standings[1:], strict=False)
            if now.inside != later.inside
        ]  # fmt: skip
        assert [change.version for change in found.changes if change.previous is not None] == flips
    assert space.metric == "cosine"


@pytest.mark.slow
def test_every_reason(make_project: MakeProject) -> None:
    project = make_project(6)
    release(project)  # v1: page3 answers
    write(project, "page3.md", None)
    release(project)  # v2: it is gone
    write(project, "page3.md", page(3))
    release(project)  # v3: it is back
    write(project, "page3.md", page(77))
    release(project)  # v4: its text is another
    write(project, "page3.md", page(3))
    release(project)  # v5: its text is the old one
    for number in range(3):
        write(project, f"better{number}.md", f"# Better\n\n{QUESTION}\n")
    release(project)  # v6: others are nearer
    for number in range(3):
        write(project, f"better{number}.md", None)
    release(project)  # v7: they are gone
    found = project.blame("handbook", QUESTION, document="page3.md", top_k=1)
    said = [(change.version, change.entered, change.reason) for change in found.changes]
    assert said == [
        (1, True, "first"), (2, False, "removed"), (3, True, "added"), (4, False, "changed"), (5, True, "changed"),
        (6, False, "others"), (7, True, "others"),
    ]  # fmt: skip
    left = found.changes[5]
    assert left.others[0].document.startswith("better")
    assert (left.others[0].how, left.others[0].before, left.others[0].after) == ("added", None, 1)
    assert "(added) came above it" in left.detail
    assert found.changes[6].others[0].how == "removed"
    assert found.latest.inside


@pytest.mark.slow
def test_another_model_is_a_reason_and_what_cannot_be_embedded_is_named(tmp_path: Path) -> None:
    config = write_project(tmp_path, 6)
    with Project.load(config) as project:
        project.build("handbook")
    write_project(tmp_path, 6, seed="other")
    with Project.load(config) as project:
        project.build("handbook")
        found = project.blame("handbook", QUESTION, document="page3.md")
        assert dict(found.skipped) == {1: "its embedder is not configured or not installed here"}
        assert [one.version for one in found.standings] == [2]
    text = config.read_text(encoding="utf-8")
    old = "      old:\n        embedder: {kind: deterministic, model: seed, dimension: 128}\n    target: local\n    serving: tiny\n"
    config.write_text(text.replace("    target: local\n", old), encoding="utf-8")
    with Project.load(config) as project:
        for top_k in range(1, 30):
            found = project.blame("handbook", QUESTION, document="page4.md", top_k=top_k)
            assert not found.skipped
            if change := next((one for one in found.changes if one.previous), None):
                assert change.reason == "space"
                assert "another embedding" in change.detail
                return
    raise AssertionError("both models rank everything alike")


def test_refusals(project: Project) -> None:
    project.build("handbook")
    with pytest.raises(NotFoundError, match=r"no kept version of handbook in space tiny holds a document 'nope\.md'"):
        project.blame("handbook", QUESTION, document="nope.md")
    with pytest.raises(InputError, match="question is empty"):
        project.blame("handbook", " ", document="page3.md")
    with pytest.raises(InputError, match="top_k is 0"):
        project.blame("handbook", QUESTION, document="page3.md", top_k=0)
    with pytest.raises(NotFoundError, match="has no space 'nope'"):
        project.blame("handbook", QUESTION, document="page3.md", space="nope")


@pytest.mark.slow
def test_on_the_command_line(make_project: MakeProject, vp: RunCommand) -> None:  # noqa: F811
    project = make_project(6)
    project.build("handbook")
    write(project, "page3.md", None)
    project.build("handbook")
    project.close()
    words = ("blame", "handbook", QUESTION, "--document", "page3.md", "--project", project.base)
    ran = vp(*words, "-k", 3)
    assert ran.code == 0
    assert "v2" in ran.out
    assert "the document left the corpus" in ran.out
    assert "Next: vector-pipeline diff 1 2" in ran.out
    found = vp(*words, "--json").json
    assert [change["reason"] for change in found["changes"]] == ["first", "removed"]
    assert found["standings"][1] == {
        "version": 2, "inside": False, "rank": None, "score": None, "records": found["standings"][1]["records"],
        "record_id": None,
    }  # fmt: skip
    assert json.dumps(found["top"])
    ran = vp(*words[:4], "nope.md", *words[5:])
    assert (ran.code, ran.out) == (1, "")
    assert "holds a document 'nope.md'" in ran.err
