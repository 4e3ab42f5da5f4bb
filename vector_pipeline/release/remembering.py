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
6. A push that was planned from a ledger writes no such file: an older one and the ledger tell together what is there.
"""

import logging
import time

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.beside import (
    delete_beside,
    labels_beside,
    list_beside,
    readable,
    reading,
    sweep_beside,
    write_beside,
)
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import stage
from vector_pipeline.release import ledger
from vector_pipeline.release.keyed import FOLDER as FOLDER
from vector_pipeline.release.keyed import folder_of, state_key
from vector_pipeline.targets.base import MARK_SCHEMA, NamespaceState, Target

_SLOTS = ("0.marks", "1.marks")
"""Files of a namespace: the newest, and the one before it, which is written over next: nobody should be reading that any more."""
_OBSERVED, _COMPUTED = "observed", "computed"
_NAMES = ", ".join(MARK_SCHEMA.names)
_LOG = logging.getLogger(__name__)


def remembered(
    lake: Lake, target: Target, namespace: str, state: NamespaceState, *, observed: bool = False
) -> str | None:
    """The query of a namespace's marks in just this state; None where they are not remembered, or cannot be read to their end.

    ``observed``: no computed ones (law 2).
    """
    if not _may(target):
        return None
    key, labels = state_key(target, state), _labels(lake, target, namespace)
    found = [(told, path) for path, told in labels.items() if told.get("state") == key]
    seen = [path for told, path in found if told.get("how") == _OBSERVED]
    for path in (*seen, *(() if observed else (path for _, path in found if path not in seen))):
        if readable(lake, path, MARK_SCHEMA.names):
            return f"SELECT {_NAMES} FROM {reading(lake, path)}"
    return None if observed else _by_ledger(lake, target, state, labels)


def _by_ledger(lake: Lake, target: Target, state: NamespaceState, labels: dict[str, dict[str, str]]) -> str | None:
    """Law 6."""
    known = ledger.find(lake, target, state)
    if known is None:
        return None
    base = [path for path, told in labels.items() if known.base and told.get("made") == known.base]
    if not base:
        return None
    marks = ledger.all_marks(lake, known, reading(lake, base[0]))
    try:
        count = int(lake.row(f"SELECT count(*), bit_xor(hash({_NAMES})) FROM ({marks})")[0])
    except VectorPipelineError:
        return None
    return marks if count == known.held == state.records else None


def remember(
    lake: Lake,
    target: Target,
    namespace: str,
    state: NamespaceState,
    marks: str,
    *,
    observed: bool = False,
    of: ledger.Stood | None = None,
) -> None:
    """Keep what a query gives (``MARK_SCHEMA``) as the marks of a namespace in this state (laws 2 and 3).

    ``of``: the version that a push has just left there; a ledger begins with it.
    """
    ledgers = of is not None and ledger.may(target)
    if not _may(target) and not ledgers:
        return
    try:
        stage(lake, "observed_after", MARK_SCHEMA, ())
        lake.run(f"INSERT INTO observed_after SELECT {_NAMES} FROM ({marks})")
        count = int(lake.row("SELECT count(*) FROM observed_after")[0])
        if count == state.records:
            made = ""
            if observed:
                of = _still(lake, target, state)
            if _may(target):
                made = _write(lake, target, namespace, state, _OBSERVED if observed else _COMPUTED)
            if of is not None:
                ledger.begin(lake, target, state, of, "SELECT * FROM observed_after", made)
        else:
            _LOG.warning(
                "marks of %s in %s are not remembered: %d records, the target says %d",
                namespace, target.name, count, state.records,
            )  # fmt: skip
        lake.run("DROP TABLE observed_after")
    except VectorPipelineError as error:
        _LOG.warning("marks of %s in %s are not remembered: %s", namespace, target.name, error)


def _still(lake: Lake, target: Target, state: NamespaceState) -> ledger.Stood | None:
    """What the ledger of a state is of, if the marks that were observed now (``observed_after``) are those that it tells."""
    known = ledger.find(lake, target, state)
    if known is None:
        return None
    told = _by_ledger(lake, target, state, _labels(lake, target, state.spec.name))
    if told is not None:
        seen = f"SELECT {_NAMES} FROM observed_after"
        (differing,) = lake.row(f"SELECT count(*) FROM (({told}) EXCEPT ({seen}) UNION ALL (({seen}) EXCEPT ({told})))")
        if not differing:
            return known.of
    ledger.forget_state(lake, target, state)
    return None


def carry_on(
    lake: Lake, target: Target, state: NamespaceState, before: ledger.Ledger, after: ledger.Ledger, rows: str
) -> None:
    """As ``ledger.carry_on``; failing fails nothing (law 3)."""
    try:
        ledger.carry_on(lake, target, state, before, after, rows)
    except VectorPipelineError as error:
        _LOG.warning("what the push changed in %s is not remembered: %s", state.spec.name, error)


def doubt(lake: Lake, target: Target, state: NamespaceState) -> None:
    """Plan from no ledger and no computed marks of this state any more: somebody saw in it what should not be there. Failing fails
    nothing (law 3).
    """
    key = state_key(target, state)
    labels = _labels(lake, target, state.spec.name) if _may(target) else {}
    try:
        ledger.forget_state(lake, target, state)
        delete_beside(
            lake, [path for path, told in labels.items() if (told.get("state"), told.get("how")) == (key, _COMPUTED)]
        )
    except VectorPipelineError as error:
        _LOG.warning("what is remembered of %s is believed still: %s", state.spec.name, error)


def _write(lake: Lake, target: Target, namespace: str, state: NamespaceState, how: str) -> str:
    folder = folder_of(target, namespace)
    sweep_beside(lake, folder)
    there = _labels(lake, target, namespace)
    oldest = min((folder + slot for slot in _SLOTS), key=lambda path: there.get(path, {}).get("made", ""))
    made = f"{time.time_ns():020d}"
    labels = {"state": state_key(target, state), "how": how, "made": made}
    write_beside(lake, oldest, "SELECT * FROM observed_after ORDER BY id", labels)
    return made


def forget(lake: Lake, target: Target, namespace: str) -> None:
    """Delete whatever is remembered of a namespace (law 5)."""
    delete_beside(lake, list_beside(lake, f"{folder_of(target, namespace)}*"))


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
    return labels_beside(lake, [folder_of(target, namespace) + slot for slot in _SLOTS])
