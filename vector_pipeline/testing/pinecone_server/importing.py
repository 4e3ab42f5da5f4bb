"""Running bulk imports: a thread each, progress kept as a document of the index, so that a restart goes on where it must.

An import makes its namespaces, which must not exist. One that a restart interrupted writes the same records again, which changes
nothing. A cancelled or failed import leaves what it had written.
"""

import threading
import time
from datetime import UTC, datetime
from typing import Any

from vector_pipeline.testing.pinecone_server import import_files
from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.import_files import Found, ImportFailed
from vector_pipeline.testing.pinecone_server.knobs import Knobs
from vector_pipeline.testing.pinecone_server.store import ALIAS, IndexStore, canonical

IMPORT = "import"
"""Kind of an index's documents: what is known of an import, by its id."""
UNDER_WAY = ("Pending", "InProgress")
Import = dict[str, Any]


class Importing:
    """All imports that are under way on this server."""

    def __init__(self, knobs: Knobs) -> None:
        self._knobs = knobs
        self._lock = threading.Lock()
        self._runs: dict[tuple[str, str], _Run] = {}

    def begin(self, index: IndexStore, uri: str, *, abort: bool) -> str:
        """Start an import: its id."""
        with index.lock:
            number = str(1 + max((int(key) for key in index.documents(IMPORT)), default=0))
            document = {"id": number, "uri": uri, "status": "Pending", "createdAt": _now(), "abort": abort, "made": []}
            index.put_document(IMPORT, number, document)
        self._run(index, document)
        return number

    def resume(self, index: IndexStore) -> None:
        """Go on with what the last process left."""
        for document in index.documents(IMPORT).values():
            if document["status"] in UNDER_WAY:
                self._run(index, document)

    def cancel(self, index: IndexStore, number: str) -> None:
        """End an import that is under way; nothing for one that has ended."""
        with self._lock:
            run = self._runs.pop((index.name, number), None)
        if run is not None:
            run.end("Cancelled")

    def stop(self, index: str | None = None) -> None:
        """Let imports (of one index, or all) rest where they are."""
        with self._lock:
            chosen = [key for key in self._runs if index is None or key[0] == index]
            runs = [self._runs.pop(key) for key in chosen]
        for run in runs:
            run.end(None)

    def _run(self, index: IndexStore, document: Import) -> None:
        run = _Run(index, document, self._knobs)
        with self._lock:
            self._runs[index.name, document["id"]] = run
        run.thread.start()


class _Run:
    """One import's thread."""

    def __init__(self, index: IndexStore, document: Import, knobs: Knobs) -> None:
        self._index, self._knobs = index, knobs
        self._document = document
        self._ended = threading.Event()
        self._begun = time.monotonic()
        self.thread = threading.Thread(target=self._main, name=f"import-{document['id']}", daemon=True)

    def end(self, status: str | None) -> None:
        """Stop at the next batch; ``status`` is kept unless the import has ended by itself."""
        self._ended.set()
        self.thread.join()
        if status is not None and self._document["status"] in UNDER_WAY:
            self._note(status=status, finishedAt=_now())

    def _main(self) -> None:
        try:
            self._note(status="InProgress", percentComplete=0.0, recordsImported=0)
            system, found = import_files.find(self._document["uri"])
            self._make(found)
            total = max(1, sum(each.records for each in found))
            done = seen = 0
            for each in found:
                for batch in import_files.batches(system, each, self._shape):
                    if not self._wait(seen / total):
                        return
                    if batch.bad and self._document["abort"]:
                        raise ImportFailed(batch.bad[0])
                    if batch.records.ids:
                        self._index.namespace(each.namespace).upsert(batch.records)
                    done, seen = done + len(batch.records.ids), seen + batch.rows
                    self._note(percentComplete=round(100 * seen / total, 2), recordsImported=done)
            if self._wait(1.0):
                self._note(status="Completed", percentComplete=100.0, finishedAt=_now())
        except (ImportFailed, ApiError) as error:
            self._note(status="Failed", error=str(error), finishedAt=_now())

    @property
    def _shape(self) -> Any:
        return self._index.shape

    def _make(self, found: list[Found]) -> None:
        """Make the namespaces, all or none."""
        names = [canonical(each.namespace) for each in found]
        with self._index.lock:
            made = self._document["made"]
            for name in names:
                known = self._index.known(name)
                if name in self._index.documents(ALIAS):
                    raise ImportFailed(f"{name} is a namespace alias: nothing can be imported into it")
                if name not in made and known is not None and known.exists:
                    raise ImportFailed(f"Namespace {name} already exists: an import fills new namespaces only")
            self._note(made=names)
            for name in names:
                self._index.namespace(name).create(None)

    def _wait(self, share: float) -> bool:
        """Until that share of the import's least time is over; False where it was ended meanwhile."""
        left = self._begun + share * self._knobs.imports_s - time.monotonic()
        return not self._ended.wait(max(0.0, left))

    def _note(self, **changes: Any) -> None:
        self._document = {**self._document, **changes}
        self._index.put_document(IMPORT, self._document["id"], self._document)


def importing_into(index: IndexStore, namespace: str) -> bool:
    """An import that is under way fills the namespace."""
    imports = index.documents(IMPORT).values()
    return any(each["status"] in UNDER_WAY and namespace in each["made"] for each in imports)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
