"""What there is of a document to erase, and what an erasure works on."""

from dataclasses import dataclass
from pathlib import Path

from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.lake import erasing, remains
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.registry import Erasure, Registry
from vector_pipeline.trace import places
from vector_pipeline.trace.places import Counts, Reach, Subject


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
    reports: tuple[Path, ...] = ()
    """Folders of the dataset's pages (reports, Data Docs), which show ids and texts of documents: an erasure deletes them all."""
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
    not_reached: tuple[str, ...] = ()
    """Places that could not be looked at."""


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
    counts = places.in_lake(lake, subject, versions) | places.in_targets(lake, registry, setting.reaches, subject)
    counts |= places.in_marks(lake, registry, subject)
    if not any(counts.values()) and opened is None and subject.key not in registry.erased_keys(dataset):
        raise NotFoundError(
            f"{dataset} holds no document {document!r}: not now, in no kept version, and in no target",
            fix=f"List them: vector-pipeline documents {dataset}",
        )
    present = opened.report.get("present") if opened is not None else None
    states: list[int | None] = [present, *(one.lake_snapshot for one in reversed(versions))]
    for vectors in erasing.count_vectors(lake, dataset, subject.key, states):
        counts[f"lake, {vectors.table}", "vectors of its text alone"] = vectors.own
    phrases = remains.phrases_of(lake, dataset, subject.key, [None, *states])
    counts |= places.in_registry(registry, subject) | places.in_files(setting.files, phrases)
    imports, not_reached = places.in_imports(setting.reaches, dataset)
    counts |= imports | places.in_reports(setting.reports)
    if opened is not None:
        counts |= {(where, what): count for where, what, count in opened.report.get("before", ())}
    return Found(subject, counts, tuple(phrases), tuple(erasing.own_contents(lake)), opened, tuple(not_reached))
