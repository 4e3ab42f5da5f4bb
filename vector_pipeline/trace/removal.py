"""The steps of an erasure, under its leases: each is repeatable, and says when it is done. ``erase`` states the laws."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from vector_pipeline.errors import CorruptError, RefusedError
from vector_pipeline.lake import erasing, remains
from vector_pipeline.lake.beside import delete_beside
from vector_pipeline.release.apply import id_batches
from vector_pipeline.release.dropping import journalled, line_deployments
from vector_pipeline.release.hands import explained, record
from vector_pipeline.release.holding import Held
from vector_pipeline.release.journalling import Journalled, fence_off
from vector_pipeline.release.reading_back import deleting
from vector_pipeline.release.registry import Deployment, Version
from vector_pipeline.release.registry.erasures import DONE, OPEN
from vector_pipeline.release.remembering import forget, remember, remembered
from vector_pipeline.release.settling import settle
from vector_pipeline.release.snapshot import reads_back, tables_of
from vector_pipeline.targets.base import NamespaceState, Target
from vector_pipeline.trace import places
from vector_pipeline.trace.erased import Erased
from vector_pipeline.trace.finding import Found, Setting
from vector_pipeline.trace.imports import end_import
from vector_pipeline.trace.leases import Leases
from vector_pipeline.trace.places import Counts, Reach

OnStep = Callable[[str], None]


class Removal:
    """One erasure under its leases."""

    def __init__(
        self, setting: Setting, found: Found, leases: Leases, run_id: str | None, by: str, reason: str, on_step: OnStep
    ) -> None:
        self._setting, self._found, self._leases = setting, found, leases
        self._lake, self._registry, self._dataset = setting.lake, setting.registry, setting.dataset
        self._run_id, self._by, self._reason, self._on_step = run_id, by, reason, on_step
        self._state: dict[str, Any] = {}
        self._id = 0
        self.notes: list[str] = []
        self.not_reached: list[str] = []
        """What could not be looked at in the end."""
        self._forgotten: set[tuple[str, str]] = set()
        """Targets and lines of which nothing of before is remembered any more."""

    @property
    def whole(self) -> list[int]:
        """Kept versions that the lake held as they were made when the erasure began: what it makes again."""
        return [int(number) for number in self._state["whole"]]

    def _versions(self) -> list[Version]:
        whole = self.whole
        return [one for one in places.kept_versions(self._registry, self._dataset) if one.number in whole]

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
                # Asked now: when the tables are made anew, what the lake lost reads as it did before, empty or not.
                "whole": places.whole_versions(self._lake, self._registry, self._dataset),
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
            known = erasing.knows(self._lake, present)
            if not known and not erasing.made_since(self._lake, self._dataset, present):
                # It was expired meanwhile. Nobody has written since: what is there now is the same, under a later number.
                present, known = self._lake.snapshot_id(), True
                self._remember(present=present)
            if known:
                states = [present, *(one.lake_snapshot for one in self._versions())]
                erasing.count_vectors(self._lake, self._dataset, self._found.subject.key, states)
                erasing.make_anew(self._lake, self._dataset, present)
            self.step("made anew")
            self._remember(anew=True)
        if not self._state.get("rewritten"):
            self._rewrite_versions(present)
            self._restore_present(present)
            self.step("present again")
            self._remember(rewritten=True)
        for version in self._versions():
            if not reads_back(self._lake, version):
                raise CorruptError(f"v{version.number} of {self._dataset} does not read back", fix="Report this")
            self._registry.redigest_deployments(self._dataset, version.number, version.digest, records=version.records)
        self.step("redigested")
        remains.purge(self._lake, self._dataset)
        self.step("purged")
        remains.compact_catalog(self._lake)
        self.step("compacted")

    def _restore_present(self, present: int) -> None:
        """The present state last. Where it is gone (expired meanwhile), the newest version's: the next sync brings the rest."""
        if not erasing.tables_of_dataset(self._lake, self._dataset):
            return
        if erasing.knows(self._lake, present):
            erasing.bring_to(self._lake, self._dataset, present, self._found.subject.key)
            return
        self.notes.append(
            "the lake's present state was expired meanwhile: build again to bring in what no version held"
        )
        newest = max(self._versions(), key=lambda one: one.number, default=None)
        if newest is not None:
            erasing.bring_to(self._lake, self._dataset, newest.lake_snapshot, self._found.subject.key)

    def _rewrite_versions(self, present: int) -> None:
        """Versions of one state together, oldest state first. One that the lake had lost already stays as it is."""
        left = [one for one in self._versions() if one.lake_snapshot <= present]
        for state in sorted({one.lake_snapshot for one in left}):
            ones = [one for one in left if one.lake_snapshot == state]
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

    def clear_targets(self) -> None:
        """Delete the document's records in every line. A line that appeared meanwhile is found by this look."""
        for reach in self._setting.reaches:
            for namespace in places.lines(self._registry, reach, self._dataset):
                held = self._leases.hold(f"{reach.target.name}/{namespace}")
                end_import(self._registry, reach.target, namespace, held, by=self._by, run_id=self._run_id)
                self._clear(reach, namespace, held)
                self.step(reach.where(namespace))
        # Of lines that are gone, or that no target here leads to, there may be files all the same.
        for place, files in places.files_of_marks(self._lake, self._registry, self._dataset).items():
            if place not in self._forgotten:
                delete_beside(self._lake, files)
        self.step("forgotten")

    def _clear(self, reach: Reach, namespace: str, held: Held) -> None:
        target = reach.target
        before = target.describe(namespace)
        if before is None:
            return
        fence_off(target, before.spec, held)
        if settle(self._registry, target, namespace):
            before = target.describe(namespace) or before
        ids = places.records_of(self._lake, target, namespace, self._found.subject)
        kept = self._forget_marks(target, before, ids)
        # Kept before anything is deleted: a run that is killed leaves another mark, and that was our own hand.
        begun = self._state.get("lines", {}).get(reach.where(namespace))
        if begun is None:
            begun = {"mark": before.mark, "left": before.records - len(ids)}
            self._remember(lines={**self._state.get("lines", {}), reach.where(namespace): begun})
        journal = self._delete(reach, namespace, held, ids) if len(ids) else None
        # Even where nothing was found: a run that was killed may have deleted, and left the files.
        target.purge(namespace)
        marks = {before.mark, *(journal.marks if journal is not None else ())}
        after = self._record(target, before, marks, begun)
        if kept and after is not None and (journal is None or journal.certain):
            # Once more: an audit may have remembered meanwhile what it saw before.
            forget(self._lake, target, namespace)
            remember(self._lake, target, namespace, after, "SELECT * FROM erase_marks")

    def _forget_marks(self, target: Target, before: NamespaceState, ids: pa.Array) -> bool:
        """Delete what is remembered of a line; of every other document it is in ``erase_marks`` then, where it is known."""
        marks = remembered(self._lake, target, before.spec.name, before)
        if marks is not None:
            with self._lake.registered("erase_ids", pa.table({"id": ids})):
                self._lake.run(
                    f"""CREATE OR REPLACE TEMP TABLE erase_marks AS
                        SELECT * FROM ({marks}) ANTI JOIN erase_ids USING (id)"""
                )
        forget(self._lake, target, before.spec.name)
        if not target.capabilities.scans_marks:
            self._forgotten.add((target.name, before.spec.name))
        return marks is not None

    def _record(
        self, target: Target, before: NamespaceState, marks: Collection[str | None], begun: Mapping[str, Any]
    ) -> NamespaceState | None:
        """Say what the namespace is now, where it was as we had left it, and is again: a hand must not be hidden by our write.

        ``marks``: before our writes and after each; ``begun``: what a killed run found, in whatever environment it was recorded.
        None where nothing was said.
        """
        place, now = (target.name, before.spec.name), target.describe(before.spec.name)
        if now is None or now.records != begun["left"]:
            return None
        there = line_deployments(self._registry, *place)
        everywhere = sorted({one.environment for one in there})
        ours = {one for one in everywhere if explained(self._registry, one, *place, before.mark)}
        goes_on = bool(ours) or before.mark in self._left(there)
        after = None
        for environment in everywhere:
            known = self._registry.namespace_record(environment, *place)
            if known is not None and (environment in ours or (goes_on and known.mark == begun["mark"])):
                after = record(self._registry, self._dataset, environment, target, before.spec.name, marks) or after
        return after

    def _left(self, there: Sequence[Deployment]) -> set[str | None]:
        """Marks that the deletions of a killed run left, where they had come to their end."""
        ours = [
            push.id
            for one in there[-1:]
            for push in self._registry.pushes(self._dataset, deployment_id=one.id)
            if push.plan.get("goal") == "erase"
        ]
        landed = [entry.outcome_payload or {} for push in ours for entry in self._registry.journal(push)]
        return {said.get("mark") for said in landed} - {None}

    def _delete(self, reach: Reach, namespace: str, held: Held, ids: pa.Array) -> Journalled:
        target = reach.target
        deployments = line_deployments(self._registry, target.name, namespace)
        if not deployments:
            journal = Journalled(self._registry, None, held)
            _send(target, namespace, ids, journal)
            return journal
        note = {"goal": "erase", "namespace": namespace, "records": len(ids), "by": self._by}
        with journalled(self._registry, held, deployments[-1], note, self._run_id) as journal:
            _send(target, namespace, ids, journal)
        return journal

    def count_again(self) -> Counts:
        """The same places, read again."""
        subject, setting = self._found.subject, self._setting
        versions = places.kept_versions(self._registry, self._dataset)
        counts = places.in_lake(self._lake, subject, versions)
        counts |= places.in_targets(self._lake, self._registry, setting.reaches, subject)
        imports, self.not_reached = places.in_imports(setting.reaches, self._dataset)
        counts |= imports | places.in_marks(self._lake, self._registry, subject) | places.in_reports(setting.reports)
        for table, count in erasing.count_contents(self._lake, self._dataset, list(self._found.contents)).items():
            counts[f"lake, {table}", "vectors of its text alone"] = count
        return (
            counts | places.in_registry(self._registry, subject) | places.in_files(setting.files, self._found.phrases)
        )

    def close(self, report: Erased) -> None:
        """Law 6: the registry keeps the counts and the key.

        ``DONE`` says that it ended; whether it is ``gone`` is the report's to say: what could not be reached must not block builds.
        """
        kept = {name: value for name, value in report.to_json().items() if name not in ("document", "unreachable")}
        self._registry.update_erasure(self._id, {**kept, "state": DONE})
        self._registry.compact()
        self.step("done")


def _send(target: Target, namespace: str, ids: pa.Array, journal: Journalled) -> None:
    for part in id_batches(ids, target.capabilities):
        write = deleting(target, namespace, part, journal.fence)
        target.wait_until_fresh(namespace, journal.write("erase", {"records": len(part)}, write))
