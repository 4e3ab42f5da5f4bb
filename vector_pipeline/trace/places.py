"""Where something of a document is: counted in the lake, the targets and the registry, before and after. Reads only."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.errors import UnavailableError, VectorPipelineError
from vector_pipeline.hashing import document_key
from vector_pipeline.lake import erasing, remains
from vector_pipeline.lake.beside import list_beside, reading
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import DatasetTables
from vector_pipeline.release.observed import proved
from vector_pipeline.release.registry import Registry, Version
from vector_pipeline.release.remembering import FOLDER
from vector_pipeline.release.snapshot import reads_back
from vector_pipeline.targets.base import Target

Counts = dict[tuple[str, str], int]
"""(where, what) → how often."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A target of an environment that shares the registry."""

    environment: str
    target: Target

    def where(self, namespace: str) -> str:
        return f"{self.environment}: {self.target.name}, {namespace}"


@dataclass(frozen=True, slots=True)
class Subject:
    """The document to take out."""

    dataset: str
    document: str

    @property
    def key(self) -> str:
        """24 hex characters: first half of its record ids."""
        return document_key(self.document)


def kept_versions(registry: Registry, dataset: str) -> list[Version]:
    """Versions that have not expired, oldest first."""
    return [one for one in registry.versions(dataset) if one.expired_at is None]


def whole_versions(lake: Lake, registry: Registry, dataset: str) -> list[int]:
    """Numbers of the kept versions that the lake holds as they were made. Of others the state of that number is another one."""
    return [one.number for one in kept_versions(registry, dataset) if reads_back(lake, one)]


def in_lake(lake: Lake, subject: Subject, versions: Sequence[Version]) -> Counts:
    """Rows of the present state and of every kept version, and in the data files whatever state they belong to."""
    tables, key = DatasetTables(subject.dataset), subject.key
    counts: Counts = {}
    names = erasing.tables_of_documents(lake, subject.dataset)
    for name in names:
        if erasing.kind_of(name) != "source_state":
            counts["lake, present state", f"rows of {name}"] = erasing.count_rows(lake, tables, name, key, None)
    for version in versions:
        counts[f"lake, v{version.number}", "documents and chunks"] = sum(
            erasing.count_rows(lake, tables, name, key, version.lake_snapshot)
            for name in ("documents", version.chunk_table)
        )
    counts["lake, data files", "rows, deleted ones too"] = remains.rows_in_files(lake, subject.dataset, key)
    return counts


def lines(registry: Registry, reach: Reach, dataset: str) -> list[str]:
    """Namespaces of a dataset in a target: those that the registry knows, and any other of its name that is there, or for which
    files of imports are.
    """
    there = {*reach.target.namespaces(), *(name for _, name in files_of_imports([reach], dataset)[0])}
    known = {
        one.namespace
        for one in registry.deployments(dataset, reach.environment)
        if one.target == reach.target.name and one.namespace in there
    }
    return sorted(known | {name for name in there if name.startswith(f"{dataset}--")})


def records_of(lake: Lake, target: Target, namespace: str, subject: Subject) -> pa.Array:
    """Ids of every record of the document, of whatever version, generation or hand."""
    found = [pa.array([], pa.string())]
    state = target.describe(namespace)
    for batch in proved(lake, target, state) if state is not None else ():
        own = pc.or_(pc.starts_with(batch["id"], f"{subject.key}#"), pc.equal(batch["document_id"], subject.document))
        found.append(batch["id"].filter(pc.fill_null(own, False)))
    return pa.concat_arrays(found)


def in_targets(lake: Lake, registry: Registry, reaches: Iterable[Reach], subject: Subject) -> Counts:
    """Records in every line of every target that can be reached."""
    return {
        (reach.where(namespace), "records"): len(records_of(lake, reach.target, namespace, subject))
        for reach in reaches
        for namespace in lines(registry, reach, subject.dataset)
    }


def files_of_imports(reaches: Iterable[Reach], dataset: str) -> tuple[dict[tuple[Reach, str], int], list[str]]:
    """How many files of imports into each namespace of a dataset there are: whole texts. And where that cannot be told, and why."""
    found: dict[tuple[Reach, str], int] = {}
    unlisted: list[str] = []
    for reach in reaches:
        try:
            counted = reach.target.import_files(f"{dataset}--")
        except VectorPipelineError as error:
            unlisted.append(f"{reach.environment}: files of imports of {reach.target.name} ({error.what})")
        else:
            found |= {(reach, namespace): count for namespace, count in counted.items()}
    return found, unlisted


def in_imports(reaches: Iterable[Reach], dataset: str) -> tuple[Counts, list[str]]:
    """As ``files_of_imports``: what is in them is not looked at, so each counts."""
    found, unlisted = files_of_imports(reaches, dataset)
    return {
        (reach.where(namespace), "files of imports"): count for (reach, namespace), count in found.items()
    }, unlisted


def files_of_marks(lake: Lake, registry: Registry, dataset: str) -> dict[tuple[str, str], list[str]]:
    """Files that remember marks, by target and namespace: of every line of a dataset that ever was, wherever it is now."""
    known = {(one.target, one.namespace) for one in registry.deployments(dataset)}
    found: dict[tuple[str, str], list[str]] = {}
    for file in list_beside(lake, f"{FOLDER}/**"):
        target, _, rest = file.removeprefix(f"{FOLDER}/").partition("/")
        namespace = rest.rpartition("/")[0]
        if (target, namespace) in known or namespace.startswith(f"{dataset}--"):
            found.setdefault((target, namespace), []).append(file)
    return found


def in_marks(lake: Lake, registry: Registry, subject: Subject) -> Counts:
    """Records of the document that files of remembered marks name. One that cannot be read holds none that anybody could read."""
    files = [file for some in files_of_marks(lake, registry, subject.dataset).values() for file in some]
    own = "document_id = ? OR starts_with(id, ?)"
    count = 0
    for file in files:
        with suppress(VectorPipelineError):
            found = lake.row(
                f"SELECT count(*) FROM {reading(lake, file)} WHERE {own}", [subject.document, f"{subject.key}#"]
            )
            count += int(found[0])
    return {("lake, remembered marks", "records"): count} if files else {}


def in_registry(registry: Registry, subject: Subject) -> Counts:
    """Rows of the registry that name the document."""
    traces = registry.traces(subject.dataset, subject.document, subject.key)
    return {("registry", f"rows of {column} that name it"): count for column, count in traces.items()}


def in_files(files: Iterable[Path], phrases: Sequence[str]) -> Counts:
    """Database files of ours whose bytes hold a line of the document's text."""
    counts: Counts = {}
    for file in files:
        parts = [file.with_name(file.name + suffix) for suffix in ("", "-wal", "-journal")]
        counts[f"file {file.name}", "lines of its text"] = sum(
            _holds(part, phrase.encode()) for phrase in phrases for part in parts if part.exists()
        )
    return counts


def _holds(file: Path, phrase: bytes, block: int = 1 << 22) -> bool:
    tail = b""
    with file.open("rb") as handle:
        while data := handle.read(block):
            if phrase in tail + data:
                return True
            tail = data[-len(phrase) :]
    return False


def in_reports(folders: Iterable[Path]) -> Counts:
    """Files of pages about the dataset, any of which may show the document; no line where there is none."""
    counts = {folder: len(_pages(folder)) for folder in folders}
    return {(folder.parent.name, "files, any of which may show it"): count for folder, count in counts.items() if count}


def delete_reports(folders: Iterable[Path]) -> None:
    """Delete them: ``report``, the next ``verify`` and ``expectations docs`` write them again, without the document."""
    for page in (page for folder in folders for page in _pages(folder)):
        try:
            page.unlink(missing_ok=True)
        except OSError as error:
            raise UnavailableError(
                f"the report {page} cannot be deleted: {error.strerror}", fix="Run it again"
            ) from None


def _pages(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.is_file())
