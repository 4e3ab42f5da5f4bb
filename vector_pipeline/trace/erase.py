"""Take a document out for good: source state, every kept version, vectors, targets, and what the registry says of it.

Laws
----
1. The tombstone is first: from then on no build brings the document back, whatever its source holds.
2. Nobody builds or pushes meanwhile: all leases of the dataset's tables and of its lines are held to the end. Reading goes on.
3. Of every other document nothing changes: ids, metadata, texts and vectors of each kept version are what they were, byte for byte.
   Text that another document has too stays with that document.
4. Versions keep their numbers; content, digest and counts are those without the document. Aliases stay where they are; verdicts on
   what was, count no more, and what an alias names is verified again. A version that the lake had lost before (it does not read
   back with its digest) stays as it is recorded, and the report names it.
5. Killed at any point and run again, it ends as if it had not been killed. While it is not finished, the dataset is not built.
6. The report counts by reading again, and says what cannot be reached. What the registry keeps names the document by a hash only.
"""

from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime

from vector_pipeline.trace import places
from vector_pipeline.trace.erased import Erased, Gate, Place
from vector_pipeline.trace.finding import Found, Setting, find
from vector_pipeline.trace.leases import Leases
from vector_pipeline.trace.places import Counts
from vector_pipeline.trace.removal import OnStep, Removal

_LAKE = "lake, "


def would_erase(setting: Setting, document: str | None, *, by: str, reason: str) -> Erased:
    """What an erasure would touch. Changes nothing."""
    found = find(setting, document)
    whole = places.whole_versions(setting.lake, setting.registry, setting.dataset)
    return _report(setting, found, None, by=by, reason=reason, whole=whole)


def erase(
    setting: Setting,
    document: str | None,
    *,
    by: str,
    reason: str,
    run_id: str | None = None,
    verify: Callable[[], Iterable[Gate]] = tuple,
    on_step: OnStep = lambda _: None,
) -> Erased:
    """Do it. ``verify`` looks at what aliases name afterwards; ``on_step`` hears of each step that is done.

    Raises: as ``find``; ``ConflictError`` while somebody builds or pushes.
    """
    found = find(setting, document)
    with ExitStack() as stack:
        work = Removal(setting, found, Leases(setting, stack), run_id, by, reason, on_step)
        work.open()
        work.rewrite_lake()
        work.clear_targets()
        gates = tuple(verify())
        work.step("verified")
        setting.registry.scrub(setting.dataset, found.subject.document, found.subject.key)
        places.delete_reports(setting.reports)
        work.step("scrubbed")
        setting.registry.compact()
        after = work.count_again()
        report = _report(
            setting, found, after, by=by, reason=reason, whole=work.whole, gates=gates, notes=tuple(work.notes),
            not_reached=work.not_reached,
        )  # fmt: skip
        work.close(report)
    return report


def _report(
    setting: Setting,
    found: Found,
    after: Counts | None,
    *,
    by: str,
    reason: str,
    whole: Collection[int],
    gates: tuple[Gate, ...] = (),
    notes: tuple[str, ...] = (),
    not_reached: Iterable[str] = (),
) -> Erased:
    names = sorted(found.counts.keys() | (after or {}).keys(), key=lambda name: (not name[0].startswith(_LAKE), name))
    numbers = [one.number for one in places.kept_versions(setting.registry, setting.dataset)]
    told = [
        f"v{number} is not in the lake as it was made (was the lake made anew?): it was left as it is recorded"
        for number in numbers
        if number not in whole
    ]
    if not found.phrases:
        told.append(
            "no line of the text was at hand to look for in database files: the document is in no readable state, or has no "
            "line of 16 characters or more of its own"
        )
    if setting.lake.catalog_file is None:
        told.append("the lake's catalog is on a server: its own VACUUM frees the pages of deleted rows")
    return Erased(
        dataset=setting.dataset, document=found.subject.document, document_key=found.subject.key, dry_run=after is None,
        by=by, reason=reason, at=datetime.now(UTC).isoformat(timespec="seconds"),
        places=tuple(
            Place(*name, found.counts.get(name, 0), None if after is None else after.get(name, 0)) for name in names
        ),
        versions=tuple(one for one in numbers if one in whole),
        not_reached=(*setting.not_reached, *(found.not_reached if after is None else not_reached)),
        notes=(*notes, *told), gates=gates, searched=bool(found.phrases),
    )  # fmt: skip
