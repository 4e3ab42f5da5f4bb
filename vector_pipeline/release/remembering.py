"""Files that keep the marks of a namespace for targets whose listing has none. ``observed`` reads them, and says what they prove.

Laws
----
1. A file holds for one state of a namespace: it is labelled with the target's mark, count of records and address. On a target whose
   marks do not see everybody's writes nothing is remembered.
2. It is labelled *observed* where every mark in it was read from the target while it was in that state; else *computed*: what had
   been observed or computed before, and what a plan of ours did to it. What somebody else did meanwhile is not in a computed one.
3. It holds as many records as the target says that it does. Failing to remember fails nothing: the next look costs more.
4. Of the two files of a namespace the older is written over. What cannot be read is not remembered.
5. The files hold ids of documents: an erasure deletes them, and so does dropping the namespace.
"""

import hashlib
import logging
import time

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.beside import delete_beside, labels_beside, list_beside, sweep_beside, write_beside
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import stage
from vector_pipeline.targets.base import MARK_SCHEMA, NamespaceState, Target

FOLDER = "_observed"
_SLOTS = ("0.marks", "1.marks")
"""Files of a namespace: the newest, and the one before it, which is written over next: nobody should be reading that any more."""
_OBSERVED, _COMPUTED = "observed", "computed"
_LOG = logging.getLogger(__name__)


def remembered(
    lake: Lake, target: Target, namespace: str, state: NamespaceState, *, observed: bool = False
) -> str | None:
    """The file of a namespace's marks in just this state; None where there is none. ``observed``: no computed one (law 2)."""
    if not _may(target):
        return None
    key = _key(target, namespace, state)
    found = [(told, path) for path, told in _labels(lake, target, namespace).items() if told.get("state") == key]
    seen = [path for told, path in found if told.get("how") == _OBSERVED]
    if seen or observed:
        return next(iter(seen), None)
    return next((path for _, path in found), None)


def remember(
    lake: Lake, target: Target, namespace: str, state: NamespaceState, marks: str, *, observed: bool = False
) -> None:
    """Keep what a query gives (``MARK_SCHEMA``) as the marks of a namespace in this state (laws 2 and 3)."""
    if not _may(target):
        return
    try:
        stage(lake, "observed_after", MARK_SCHEMA, ())
        lake.run(f"INSERT INTO observed_after SELECT {', '.join(MARK_SCHEMA.names)} FROM ({marks})")
        count = int(lake.row("SELECT count(*) FROM observed_after")[0])
        if count == state.records:
            _write(lake, target, namespace, state, _OBSERVED if observed else _COMPUTED)
        else:
            _LOG.warning(
                "marks of %s in %s are not remembered: %d records, the target says %d",
                namespace, target.name, count, state.records,
            )  # fmt: skip
        lake.run("DROP TABLE observed_after")
    except VectorPipelineError as error:
        _LOG.warning("marks of %s in %s are not remembered: %s", namespace, target.name, error)


def _write(lake: Lake, target: Target, namespace: str, state: NamespaceState, how: str) -> None:
    folder = _folder(target, namespace)
    sweep_beside(lake, folder)
    there = _labels(lake, target, namespace)
    oldest = min((folder + slot for slot in _SLOTS), key=lambda path: there.get(path, {}).get("made", ""))
    labels = {"state": _key(target, namespace, state), "how": how, "made": f"{time.time_ns():020d}"}
    write_beside(lake, oldest, "SELECT * FROM observed_after ORDER BY id", labels)


def forget(lake: Lake, target: Target, namespace: str) -> None:
    """Delete whatever is remembered of a namespace (law 5)."""
    if not target.capabilities.scans_marks:
        delete_beside(lake, list_beside(lake, f"{_folder(target, namespace)}*"))


def changed(
    observed: str, *, written: str, ended: str = "SELECT '', 0 WHERE false", gone: str = "SELECT '' WHERE false"
) -> str:
    """The query of what a namespace holds after a plan. ``observed``: a relation; the others are queries: ``written`` of
    ``MARK_SCHEMA``, ``ended`` of (id, removed_in), ``gone`` of ids.
    """
    held = ", ".join(f"o.{name}" for name in MARK_SCHEMA.names[:-1])
    return f"""WITH written({", ".join(MARK_SCHEMA.names)}) AS ({written}), ended(id, ends) AS ({ended}), gone(id) AS ({gone})
        SELECT {held}, coalesce(e.ends, o.removed_in) AS removed_in
        FROM (SELECT * FROM {observed} ANTI JOIN written USING (id) ANTI JOIN gone USING (id)) o LEFT JOIN ended e USING (id)
        UNION ALL SELECT * FROM written"""


def _may(target: Target) -> bool:
    return not target.capabilities.scans_marks and target.capabilities.sees_foreign_writes


def _labels(lake: Lake, target: Target, namespace: str) -> dict[str, dict[str, str]]:
    return labels_beside(lake, [_folder(target, namespace) + slot for slot in _SLOTS])


def _folder(target: Target, namespace: str) -> str:
    return f"{FOLDER}/{target.name}/{namespace}/"


def _key(target: Target, namespace: str, state: NamespaceState) -> str:
    """Of a state: 32 hex characters."""
    told = f"{target.kind} {target.address(namespace)} {state.records} {state.mark}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]
