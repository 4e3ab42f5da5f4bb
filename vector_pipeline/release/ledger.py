"""What a line holds beside the version that the last push left in it: files beside the lake, one more with each push.

Laws
----
1. A ledger holds for one state of a namespace (mark, count, address), as the files of ``remembering`` do, and for one version,
   which our last finished push left there whole: each of its records is visible under one id, and nothing else is. It is made of a
   full comparison, and carried on by pushes that were planned from it. It names its push: a target that was put back, or made
   anew, may come to a mark a second time.
2. Its rows are the marks of all that is not a record of the version under its bare id: closed ones, later generations, foreign
   ones; and of what pushes since wrote and ended. Of what they ended under a bare id nobody looked up since when it was visible:
   such a row is ``ended``, and its ``added_in`` is to be used for order alone.
3. A push adds a file of what it changed. Small files are merged with it, so there are few. Once what was added
   is a quarter of the line, and not little, the line is compared in full again.
4. Where marks were observed that differ from what a ledger says, it is no more; where they do not, it begins anew with them. Of a
   target that lists marks nobody keeps what was observed: there the ledger of a state is no more when a gate or an audit found
   anything else in it than should be there.
5. A target that lists marks must refuse whoever lost its lease: what lands late there would never be looked at again.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count as count_up

from vector_pipeline.hashing import sql_base_record_id
from vector_pipeline.lake.beside import delete_beside, labels_beside, list_beside, reading, sweep_beside, write_beside
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.comparing import OUR_ID
from vector_pipeline.release.keyed import folder_of, state_key
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA, NamespaceState, Target

_SUFFIX = ".since"
_FORMAT = "2"
_MOST_GROWN = 4
"""Law 3: one in so many of the line's records."""
_MOST_FILES = 6
"""Law 3: with more of them, the smaller ones become one."""
LITTLE = 1_000
"""Rows that are no reason to compare a line in full, however small it is."""
_NAMES = ", ".join(MARK_SCHEMA.names)


@dataclass(frozen=True, slots=True)
class Stood:
    """The version that a line holds, as it was pushed."""

    registry: str
    """Id of the registry that numbered it."""
    push: int
    """Number there of the push that left it."""
    dataset: str
    version: int
    digest: str
    fingerprint: str
    lake_snapshot: int
    records: int


@dataclass(frozen=True, slots=True)
class File:
    """One of a ledger's."""

    path: str
    made: str
    """Label: another one says that it was written over."""
    rows: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Of one state of a namespace."""

    of: Stood
    base: str
    """Label ``made`` of the file that remembers all marks, as they were when the first of ``files`` was written; empty: none."""
    held: int
    """Records in the line."""
    dead: int
    """Closed ones."""
    latest: int
    """The latest version that began or ended one of ours."""
    files: tuple[File, ...] = ()
    """In the order in which they were written."""

    @property
    def grown(self) -> bool:
        """Law 3."""
        return sum(one.rows for one in self.files[1:]) > max(LITTLE, self.held // _MOST_GROWN)


def may(target: Target) -> bool:
    """Whether ledgers are kept of a target's namespaces (law 5)."""
    limits = target.capabilities
    return limits.numeric_filters and limits.sees_foreign_writes and (limits.fencing or not limits.scans_marks)


def find(lake: Lake, target: Target, state: NamespaceState) -> Ledger | None:
    """The ledger of a namespace in just this state, with all its files there."""
    if not may(target):
        return None
    there, key = _labels(lake, target, state.spec.name), state_key(target, state)
    same = [_ledger(path, told) for path, told in there.items() if told.get("state") == key]
    whole = [one for one in same if all(there.get(file.path, {}).get("made") == file.made for file in one.files)]
    return max(whole, key=lambda one: (one.of.push, one.files[-1].made), default=None)


def _ledger(path: str, told: Mapping[str, str]) -> Ledger:
    of = Stood(
        told["registry"], int(told["push"]), told["dataset"], int(told["version"]), told["digest"], told["fingerprint"],
        int(told["lake_snapshot"]), int(told["records"]),
    )  # fmt: skip
    folder = path.rpartition("/")[0]
    named = [one.split(":") for one in told["files"].split(" ")]
    files = tuple(File(f"{folder}/{name}", made, int(rows)) for name, made, rows in named)
    return Ledger(of, told["base"], int(told["held"]), int(told["dead"]), int(told["latest"]), files)


def rows_of(lake: Lake, files: Sequence[File], where: str = "true") -> str:
    """The query of a ledger's rows, each id once: the columns of ``MARK_SCHEMA``, and ``ended`` (law 2).

    ``where``: SQL condition on ``id``.
    """
    return _folded([f"SELECT {_NAMES}, ended FROM {reading(lake, one.path)} WHERE {where}" for one in files])


def _folded(queries: Sequence[str]) -> str:
    """Of several such queries, the later one over the earlier."""
    turns = " UNION ALL ".join(f"SELECT {turn} AS turn, * FROM ({one})" for turn, one in enumerate(queries))
    last = ", ".join(f"arg_max({name}, turn) AS {name}" for name in MARK_SCHEMA.names[1:] if name != "added_in")
    # What was written by one push and ended by another has its beginning from the first.
    return f"""SELECT id, document_id, content_hash, metadata_hash, space, coalesce(began, ranked) AS added_in, removed_in,
                      began IS NULL AS ended
               FROM (SELECT id, {last}, arg_max(added_in, turn) AS ranked, arg_max(added_in, turn) FILTER (NOT ended) AS began
                     FROM ({turns}) GROUP BY id)"""


def all_marks(lake: Lake, ledger: Ledger, base: str) -> str:
    """The query of every mark in the namespace. ``base``: the relation of the file that ``ledger.base`` names."""
    return f"""WITH changed AS MATERIALIZED ({rows_of(lake, ledger.files)})
        SELECT {_NAMES} FROM {base} ANTI JOIN changed USING (id)
        UNION ALL
        SELECT c.id, c.document_id, c.content_hash, c.metadata_hash, c.space,
               CASE WHEN c.ended THEN coalesce(b.added_in, c.added_in) ELSE c.added_in END, c.removed_in
        FROM changed c LEFT JOIN (SELECT id, added_in FROM {base}) b USING (id)"""


def begin(lake: Lake, target: Target, state: NamespaceState, of: Stood, marks: str, base: str) -> None:
    """A ledger from all marks (a query of ``MARK_SCHEMA``); none where they are not as law 1 wants them.

    ``base``: label of the file that they are remembered in; empty where there is none.
    """
    number = int(of.version)
    ours = f"coalesce(regexp_matches(id, '{OUR_ID}') AND space = '{of.fingerprint}', false)"
    visible = f"coalesce(added_in <= {number} AND removed_in > {number}, false)"
    held, dead, latest, odd, seen, foreign = lake.row(
        f"""SELECT count(*), count(*) FILTER (removed_in <= {number}),
                   coalesce(max(greatest(added_in, CASE WHEN removed_in <> {LIVE} THEN removed_in ELSE 0 END))
                            FILTER ({ours}), 0),
                   count(*) FILTER (added_in IS NULL OR removed_in IS NULL OR added_in > {number}
                                    OR (removed_in <> {LIVE} AND removed_in > {number})),
                   count(*) FILTER ({visible}), count(*) FILTER ({visible} AND NOT {ours})
            FROM ({marks})"""
    )
    if odd or foreign or seen != of.records or held != state.records:
        return
    rows = f"""SELECT {_NAMES}, false AS ended FROM ({marks})
               WHERE NOT ({ours} AND {visible} AND id = {sql_base_record_id("id")})"""
    # Somebody may plan, or push, from the one that was there.
    there = _labels(lake, target, state.spec.name)
    newest = max(there, key=lambda path: (int(there[path]["push"]), there[path]["made"]), default=None)
    spared = _ledger(newest, there[newest]).files if newest is not None else ()
    _write(lake, target, state, Ledger(of, base, int(held), int(dead), int(latest)), rows, spared)


def carry_on(lake: Lake, target: Target, state: NamespaceState, before: Ledger, after: Ledger, rows: str) -> None:
    """The ledger after a push that was planned from ``before``. ``rows``: the query of what it wrote and ended.

    ``after``: what is said of the line now, whatever its files.
    """
    count = int(lake.row(f"SELECT count(*) FROM ({rows})")[0])
    kept, merged = list(before.files), list[File]()
    # Law 3. The first is of the comparison, and stays.
    while len(before.files) > _MOST_FILES and len(kept) > 1 and kept[-1].rows <= 2 * count:
        merged.insert(0, kept.pop())
        count += merged[0].rows
    if merged:
        rows = _folded([rows_of(lake, merged), rows])
    _write(lake, target, state, replace(after, files=tuple(kept)), rows, before.files)


def forget_state(lake: Lake, target: Target, state: NamespaceState) -> None:
    """Law 4."""
    key = state_key(target, state)
    there = _labels(lake, target, state.spec.name)
    delete_beside(lake, [path for path, told in there.items() if told.get("state") == key])


def _labels(lake: Lake, target: Target, namespace: str) -> dict[str, dict[str, str]]:
    found = labels_beside(lake, list_beside(lake, f"{folder_of(target, namespace)}*{_SUFFIX}"))
    return {path: told for path, told in found.items() if told.get("format") == _FORMAT}


def _write(
    lake: Lake, target: Target, state: NamespaceState, ledger: Ledger, rows: str, spared: Collection[File]
) -> None:
    """``spared``: files that somebody may be reading still."""
    folder, made = folder_of(target, state.spec.name), f"{time.time_ns():020d}"
    sweep_beside(lake, folder)
    taken = {one.path for one in (*ledger.files, *spared)}
    path = next(path for number in count_up() if (path := f"{folder}{number:02d}{_SUFFIX}") not in taken)
    lake.run(f"CREATE OR REPLACE TEMP TABLE ledger_rows AS {rows}")
    file = File(path, made, int(lake.row("SELECT count(*) FROM ledger_rows")[0]))
    of = ledger.of
    labels = {
        "format": _FORMAT, "state": state_key(target, state), "made": made, "registry": of.registry, "push": str(of.push),
        "dataset": of.dataset, "version": str(of.version), "digest": of.digest, "fingerprint": of.fingerprint,
        "lake_snapshot": str(of.lake_snapshot), "records": str(of.records), "base": ledger.base, "held": str(ledger.held),
        "dead": str(ledger.dead), "latest": str(ledger.latest),
        "files": " ".join(f"{one.path.removeprefix(folder)}:{one.made}:{one.rows}" for one in (*ledger.files, file)),
    }  # fmt: skip
    write_beside(lake, path, "SELECT * FROM ledger_rows", labels)
    lake.run("DROP TABLE ledger_rows")
