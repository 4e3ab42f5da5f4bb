"""Take a document out for good: source state, every kept version, vectors, targets, and what the registry says of it.

Laws
----
1. The tombstone is first: from then on no build brings the document back, whatever its source holds.
2. Nobody builds or pushes meanwhile: all leases of the dataset's tables and of its lines are held to the end. Reading goes on.
3. Of every other document nothing changes: ids, metadata, texts and vectors of each kept version are what they were, byte for byte.
   Text that another document has too stays with that document.
4. Versions keep their numbers; content, digest and counts are those without the document. Aliases stay where they are; verdicts on
   what was, count no more, and what an alias names is verified again.
5. Killed at any point and run again, it ends as if it had not been killed. While it is not finished, the dataset is not built.
6. The report counts by reading again, and says what cannot be reached. What the registry keeps names the document by a hash only.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from vector_pipeline.errors import CorruptError, NotFoundError, RefusedError
from vector_pipeline.lake import erasing
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import DatasetTables
from vector_pipeline.release.dropping import journalled, line_deployments
from vector_pipeline.release.holding import Held, hold
from vector_pipeline.release.registry import Erasure, Registry
from vector_pipeline.release.registry.erasures import DONE, OPEN
from vector_pipeline.release.snapshot import reads_back, tables_of
from vector_pipeline.trace import places
from vector_pipeline.trace.erased import Erased, Gate, Place
from vector_pipeline.trace.places import Counts, Reach, Subject

OnStep = Callable[[str], None]
_LAKE = "lake, "


@dataclass(frozen=True, slots=True)
class Setting:
    """What an erasure works on."""

    lake: Lake
    registry: Registry
    dataset: str
    reaches: tuple[Reach, ...]
    not_reached: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    """Lake tables that builds may be about to make: their leases are held too."""
    files: tuple[Path, ...] = ()
    """Database files of ours to look into for its text."""
    wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a document before anything is done."""

    subject: Subject
    counts: Counts
    phrases: tuple[str, ...]
    contents: tuple[str, ...]
    """Content hashes of texts that are the document's alone."""
    opened: Erasure | None
    """An erasure of it that was interrupted."""


def find(setting: Setting, document: str | None) -> Found:
    """Look. ``document`` None: the one whose erasure was interrupted.

    Raises:
        NotFoundError: no state, version or target holds it, and it was never erased; or there is nothing to finish.
        RefusedError: another document's erasure was interrupted.
    """
    dataset, registry, lake = setting.dataset, setting.registry, setting.lake
    opened = registry.open_erasure(dataset)
    if document is None:
        if opened is None:
            raise NotFoundError(f"no erasure of {dataset} is to be finished", fix="Name a document: --document ID")
        document = str(opened.report["document"])
    subject = Subject(dataset, document)
    if opened is not None and opened.document_key != subject.key:
        raise RefusedError(
            f"the erasure of another document of {dataset} was not finished",
            fix=f"Finish it first: vector-pipeline erase {dataset} --yes",
        )
    versions = places.kept_versions(registry, dataset)
    counts = places.in_lake(lake, subject, versions) | places.in_targets(registry, setting.reaches, subject)
    if not any(counts.values()) and opened is None and subject.key not in registry.erased_keys(dataset):
        raise NotFoundError(
            f"{dataset} holds no document {document!r}: not now, in no kept version, and in no target",
            fix=f"List them: vector-pipeline documents {dataset}",
        )
    present = opened.report.get("present") if opened is not None else None
    states: list[int | None] = [present, *(one.lake_snapshot for one in reversed(versions))]
    for vectors in erasing.count_vectors(lake, dataset, subject.key, states):
        counts[f"lake, {vectors.table}", "vectors of its text alone"] = vectors.own
    phrases = erasing.phrases_of(lake, dataset, subject.key, [None, *states])
    counts |= places.in_registry(registry, subject) | places.in_files(setting.files, phrases)
    if opened is not None:
        counts |= {(where, what): count for where, what, count in opened.report.get("before", ())}
    return Found(subject, counts, tuple(phrases), tuple(erasing.own_contents(lake)), opened)


def would_erase(setting: Setting, document: str | None, *, by: str, reason: str) -> Erased:
    """What an erasure would touch. Changes nothing."""
    return _report(setting, find(setting, document), None, by=by, reason=reason)


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
        work = _Work(setting, found, _Leases(setting, stack), run_id, by, reason, on_step)
        work.open()
        work.rewrite_lake()
        work.clear_targets()
        gates = tuple(verify())
        work.step("verified")
        setting.registry.scrub(setting.dataset, found.subject.document, found.subject.key)
        work.step("scrubbed")
        setting.registry.compact()
        after = work.count_again()
        report = _report(setting, found, after, by=by, reason=reason, gates=gates)
        work.close(report)
    return report


def _report(
    setting: Setting, found: Found, after: Counts | None, *, by: str, reason: str, gates: tuple[Gate, ...] = ()
) -> Erased:
    names = sorted(found.counts.keys() | (after or {}).keys(), key=lambda name: (not name[0].startswith(_LAKE), name))
    notes = []
    if not found.phrases:
        notes.append(
            "no line of the text was at hand to look for in database files: the document is in no readable state"
        )
    if setting.lake.catalog_file is None:
        notes.append("the lake's catalog is on a server: its own VACUUM frees the pages of deleted rows")
    return Erased(
        dataset=setting.dataset, document=found.subject.document, document_key=found.subject.key, dry_run=after is None,
        by=by, reason=reason, at=datetime.now(UTC).isoformat(timespec="seconds"),
        places=tuple(
            Place(*name, found.counts.get(name, 0), None if after is None else after.get(name, 0)) for name in names
        ),
        versions=tuple(one.number for one in places.kept_versions(setting.registry, setting.dataset)),
        not_reached=setting.not_reached, notes=tuple(notes), gates=gates,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Leases:
    """Leases that are held to the end, each once."""

    setting: Setting
    stack: ExitStack
    held: dict[str, Held] = field(default_factory=dict)

    def hold(self, resource: str) -> Held:
        if resource not in self.held:
            self.held[resource] = self.stack.enter_context(
                hold(self.setting.registry, resource, wait_s=self.setting.wait_s)
            )
        return self.held[resource]


class _Work:
    """One erasure under its leases."""

    def __init__(
        self, setting: Setting, found: Found, leases: _Leases, run_id: str | None, by: str, reason: str, on_step: OnStep
    ) -> None:
        self._setting, self._found, self._leases = setting, found, leases
        self._lake, self._registry, self._dataset = setting.lake, setting.registry, setting.dataset
        self._run_id, self._by, self._reason, self._on_step = run_id, by, reason, on_step
        self._state: dict[str, Any] = {}
        self._id = 0

    def step(self, name: str) -> None:
        """A step is done. ``ConflictError`` when a lease was lost meanwhile."""
        self._on_step(name)
        for held in self._leases.held.values():
            held.check()

    def open(self) -> None:
        """Leases of the tables, the tombstone, and leases of the lines."""
        names = {*erasing.tables_of_dataset(self._lake, self._dataset), "documents", *self._setting.tables}
        for name in sorted(names):
            self._leases.hold(f"lake/{self._dataset}/{name}")
        opened = self._registry.open_erasure(self._dataset)
        if opened is None:
            before = [[*name, count] for name, count in self._found.counts.items()]
            state = {
                "state": OPEN, "document": self._found.subject.document, "before": before,
                "present": self._lake.snapshot_id(),
            }  # fmt: skip
            opened = self._registry.record_erasure(
                dataset=self._dataset, document_key=self._found.subject.key, by=self._by, reason=self._reason,
                report=state,
            )  # fmt: skip
        elif opened.document_key != self._found.subject.key:
            raise RefusedError(f"another document of {self._dataset} began to be erased meanwhile", fix="Run it again")
        self._id, self._state = opened.id, dict(opened.report)
        self.step("recorded")
        for reach in self._setting.reaches:
            for namespace in places.lines(self._registry, reach, self._dataset):
                self._leases.hold(f"{reach.target.name}/{namespace}")
        self.step("leased")

    def _remember(self, **progress: Any) -> None:
        self._state |= progress
        self._registry.update_erasure(self._id, self._state)

    def rewrite_lake(self) -> None:
        """Every kept version again without the document, then the present; then what is left of the old ones goes."""
        present = int(self._state["present"])
        if not self._state.get("anew"):
            states = [present, *(one.lake_snapshot for one in places.kept_versions(self._registry, self._dataset))]
            erasing.count_vectors(self._lake, self._dataset, self._found.subject.key, states)
            erasing.make_anew(self._lake, self._dataset, present)
            self.step("made anew")
            self._remember(anew=True)
        if not self._state.get("rewritten"):
            self._rewrite_versions(present)
            if erasing.tables_of_dataset(self._lake, self._dataset):
                erasing.bring_to(self._lake, self._dataset, present, self._found.subject.key)
            self.step("present again")
            self._remember(rewritten=True)
        for version in places.kept_versions(self._registry, self._dataset):
            if version.lake_snapshot > present and not reads_back(self._lake, version):
                raise CorruptError(f"v{version.number} of {self._dataset} does not read back", fix="Report this")
            self._registry.redigest_deployments(self._dataset, version.number, version.digest)
        self.step("redigested")
        erasing.purge(self._lake, self._dataset)
        self.step("purged")
        erasing.compact_catalog(self._lake)
        self.step("compacted")

    def _rewrite_versions(self, present: int) -> None:
        """Versions of one state together, oldest state first. One whose state the lake has lost already stays as it is."""
        left = [one for one in places.kept_versions(self._registry, self._dataset) if one.lake_snapshot <= present]
        for state in sorted({one.lake_snapshot for one in left}):
            ones = [one for one in left if one.lake_snapshot == state and self._readable(one.chunk_table, state)]
            if not ones:
                continue
            made = erasing.bring_to(self._lake, self._dataset, state, self._found.subject.key)
            self.step(f"state {state} again")
            for version in ones:
                digest, documents, records = erasing.describe(self._lake, tables_of(version), made)
                self._registry.rewrite_version(
                    self._dataset,
                    version.number,
                    lake_snapshot=made,
                    digest=digest,
                    documents=documents,
                    records=records,
                )
                self.step(f"v{version.number}")

    def _readable(self, table: str, state: int) -> bool:
        tables = DatasetTables(self._dataset)
        return all(erasing.holds(self._lake, tables, name, state) for name in ("documents", table))

    def clear_targets(self) -> None:
        """Delete the document's records in every line. A line that appeared meanwhile is found by this look."""
        for reach in self._setting.reaches:
            for namespace in places.lines(self._registry, reach, self._dataset):
                held = self._leases.hold(f"{reach.target.name}/{namespace}")
                self._clear(reach, namespace, held)
                self.step(reach.where(namespace))

    def _clear(self, reach: Reach, namespace: str, held: Held) -> None:
        target = reach.target
        before = target.describe(namespace)
        if before is None:
            return
        target.ensure_namespace(before.spec, fence=held.fence)
        ids = places.records_of(target, namespace, self._found.subject)
        if len(ids):
            self._delete(reach, namespace, held, ids)
        # Even where nothing was found: a run that was killed may have deleted, and left the files.
        target.purge(namespace)
        after = target.describe(namespace)
        known = self._registry.namespace_record(reach.environment, target.name, namespace)
        # What was not as we left it stays so: a foreign hand must not be hidden by our write.
        if after is not None and known is not None and known.mark == before.mark:
            self._registry.record_namespace(
                reach.environment, target.name, namespace, dataset=self._dataset, mark=after.mark, records=after.records
            )

    def _delete(self, reach: Reach, namespace: str, held: Held, ids: pa.Array) -> None:
        target, size = reach.target, reach.target.capabilities.max_batch_records
        deployments = line_deployments(self._registry, target.name, namespace)
        parts = [ids.slice(begin, size) for begin in range(0, len(ids), size)]
        sends = [partial(target.delete, namespace, part, fence=held.fence) for part in parts]
        if not deployments:
            for send in sends:
                target.wait_until_fresh(namespace, send())
            return
        note = {"goal": "erase", "namespace": namespace, "records": len(ids), "by": self._by}
        with journalled(self._registry, held, deployments[-1], note, self._run_id) as journal:
            for part, send in zip(parts, sends, strict=True):
                receipt = journal.write("erase", {"records": len(part)}, send)
                target.wait_until_fresh(namespace, receipt)

    def count_again(self) -> Counts:
        """The same places, read again."""
        subject, setting = self._found.subject, self._setting
        versions = places.kept_versions(self._registry, self._dataset)
        counts = places.in_lake(self._lake, subject, versions)
        counts |= places.in_targets(self._registry, setting.reaches, subject)
        for table, count in erasing.count_contents(self._lake, self._dataset, list(self._found.contents)).items():
            counts[f"lake, {table}", "vectors of its text alone"] = count
        return (
            counts | places.in_registry(self._registry, subject) | places.in_files(setting.files, self._found.phrases)
        )

    def close(self, report: Erased) -> None:
        """Law 6: the registry keeps the counts and the key. An erasure that could not reach a place of ours stays a tombstone."""
        kept = {name: value for name, value in report.to_json().items() if name not in ("document", "unreachable")}
        self._registry.update_erasure(self._id, {**kept, "state": DONE})
        self._registry.compact()
        self.step("done")
