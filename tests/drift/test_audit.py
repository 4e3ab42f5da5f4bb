"""What an audit sees of somebody else's hand, class by class and level by level."""

import pytest

from tests.drift.conftest import Hand, deployments, edit, look, snapshot
from vector_pipeline.drift import Level
from vector_pipeline.errors import CorruptError, InputError, NotFoundError
from vector_pipeline.targets.base import LIVE, NamespaceSpec


def faults(report: object) -> dict[str, int]:
    """The classes that are not zero."""
    names = ("missing", "foreign", "tampered", "stale_marks")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def live(line: Hand, index: int = 0) -> str:
    return str(line.visible(3)[index]["id"])


@pytest.mark.parametrize("level", list(Level))
def test_an_untouched_index_has_no_drift(line: Hand, level: Level) -> None:
    for version in (1, 2, 3):
        report = look(line.project, version, level=level)
        assert not report.drifted, report.summary
        assert report.expected == report.found == len(snapshot(line.project, version))
        assert report.compared == (report.expected if level in ("sample", "full") else 0)
        assert report.examples == {}


def test_a_deleted_record_is_missing(line: Hand) -> None:
    gone = line.visible(3)[0]
    line.delete(gone["id"])
    report = look(line.project)
    assert faults(report) == {"missing": 1}
    assert report.examples == {"missing": [f"{gone['document_id']} {gone['id'].partition('~')[0]}"]}
    assert report.found == report.expected - 1
    assert report.summary.startswith("deployment v3: 1 missing (of ")


def test_what_is_not_ours_is_foreign_visible_or_not(line: Hand) -> None:
    line.put(live(line), id="by-hand")
    line.put(live(line), id="closed-by-hand", added_in=0, removed_in=1)
    report = look(line.project)
    assert faults(report) == {"foreign": 2}
    assert [name.split()[-1] for name in report.examples["foreign"]] == ["by-hand", "closed-by-hand"]


def test_content_that_no_version_explains_is_foreign(line: Hand) -> None:
    source = live(line)
    line.put(source, id=f"{source[:49]}.9")
    assert faults(look(line.project)) == {"foreign": 1}


@pytest.mark.parametrize("field", ["metadata_hash", "document_id", "content_hash"])
def test_fields_that_contradict_are_tampered(line: Hand, field: str) -> None:
    line.put(live(line), **{field: "other"})
    assert faults(look(line.project)) == {"tampered": 1}


def test_a_record_that_was_closed_by_hand_has_stale_marks(line: Hand) -> None:
    line.mark(3, live(line))
    assert faults(look(line.project)) == {"stale_marks": 1}
    assert not look(line.project, 2).drifted


def test_a_record_that_was_reopened_has_stale_marks(line: Hand) -> None:
    closed = next(row for row in line.rows() if row["removed_in"] == 2 and row["document_id"] == "page1.md")
    line.mark(LIVE, closed["id"])
    assert faults(look(line.project)) == {"stale_marks": 1}
    assert not look(line.project, 1).drifted


def test_a_double_has_stale_marks(line: Hand) -> None:
    line.put(live(line), id=live(line).partition("~")[0] + "~7")
    report = look(line.project)
    assert faults(report) == {"stale_marks": 1}
    assert report.found == report.expected


def test_values_are_seen_by_the_deep_levels_only(line: Hand) -> None:
    whole = line.whole()
    one, two, three = (live(line, index) for index in range(3))
    bent = whole[one]["vector"]
    bent[0] = -0.0 if bent[0] == 0.0 else bent[0] * (1 + 2**-23)
    line.put(one, vector=bent)
    line.put(two, text="other")
    line.put(three, metadata='{"other": 1}')
    assert not look(line.project, level="ids").drifted
    report = look(line.project, level="full")
    assert faults(report) == {"tampered": 3}
    assert len(report.examples["tampered"]) == 3
    sampled = look(line.project, level="sample", sample=report.expected)
    assert faults(sampled) == {"tampered": 3}


def test_metadata_is_compared_as_a_value(line: Hand) -> None:
    one = live(line)
    text = line.whole()[one]["metadata"]
    line.put(one, metadata=text.replace(":", " : ").replace(",", " , "))
    assert not look(line.project, level="full").drifted


def test_a_sample_is_that_of_its_seed(line: Hand) -> None:
    line.put(live(line), text="other")
    half = look(line.project).expected // 2
    seen = [look(line.project, level="sample", sample=half, seed=seed).tampered for seed in (0, 1, 2, 3, 0, 1, 2, 3)]
    assert seen[:4] == seen[4:]
    assert look(line.project, level="sample", sample=half).compared == half


def test_a_count_sees_any_write(line: Hand) -> None:
    assert not look(line.project, level="count").drifted
    line.put(live(line), text="other")
    report = look(line.project, level="count")
    assert report.drifted
    assert "was written to after our last write" in report.summary
    assert report.level == Level.COUNT


def test_a_count_that_was_never_recorded_looks_at_ids(line: Hand) -> None:
    line.project.registry().forget_namespace("dev", "local", line.namespace)
    line.delete(live(line))
    report = look(line.project, level="count")
    assert (report.level, faults(report)) == (Level.IDS, {"missing": 1})


def test_a_push_of_ours_that_did_not_end_is_no_drift_by_count(line: Hand) -> None:
    registry = line.project.registry()
    push = registry.open_push(deployments(line.project)[-1].id, {"strategy": "versioned"}, 99)
    registry.intent(push, "upsert", {})
    source = live(line)
    line.put(source, id=source.partition("~")[0] + "~4", added_in=4)
    for _ in ("open", "failed"):
        report = look(line.project, level="count")
        assert (report.level, report.drifted) == (Level.IDS, False)
        registry.close_push(push, "failed")


@pytest.mark.parametrize("level", ["count", "ids", "full"])
def test_a_namespace_that_is_gone_misses_everything(line: Hand, level: str) -> None:
    line.drop()
    report = look(line.project, level=level)
    assert report.missing == report.expected > 0
    assert report.found == 0
    assert "does not exist" in report.summary


def test_a_namespace_of_another_space_is_drift(line: Hand) -> None:
    line.drop()
    line.target.ensure_namespace(NamespaceSpec(line.namespace, 3, "cosine", "f" * 16), fence=line.fence + 10)
    report = look(line.project)
    assert report.drifted
    assert "has dimension 3, not 128" in report.summary


@pytest.mark.slow
def test_a_version_that_the_lake_no_longer_holds_is_not_judged(line: Hand) -> None:
    import shutil

    line.project.close()
    shutil.rmtree(line.project.base / ".vector_pipeline" / "lake")
    line.project.build("handbook")
    with pytest.raises((CorruptError, NotFoundError)):
        look(line.project, 1)


def test_an_unknown_level_is_named(line: Hand) -> None:
    with pytest.raises(InputError, match="count, ids, sample, full"):
        look(line.project, level="deep")


def test_a_push_that_is_under_way_is_no_drift(line: Hand) -> None:
    """What an unfinished push wrote is invisible to the version before."""
    project = line.project
    edit(project, "page4.md", "# New\n\nQuite another text.\n")
    project.build("handbook")
    source = live(line)
    line.put(source, id=source.partition("~")[0] + "~4", added_in=4, removed_in=LIVE)
    line.mark(4, source)
    report = look(project)
    assert deployments(project)[-1].version == 3
    assert not report.drifted, report.summary
