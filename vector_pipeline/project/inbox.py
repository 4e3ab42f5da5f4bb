"""What comes in: files from a dataset's inbox, and files that a person puts into its source. Neither builds anything."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vector_pipeline.config import FileSourceConfig
from vector_pipeline.config.models import automation_of
from vector_pipeline.corpus.inbox import Inbox, Took
from vector_pipeline.corpus.model import Quarantined
from vector_pipeline.corpus.placing import copy_into, judged, told_of
from vector_pipeline.errors import ConfigError, InputError, NotFoundError, RefusedError
from vector_pipeline.hashing import document_key, shard_of
from vector_pipeline.lake.tables import DatasetTables, at
from vector_pipeline.parts import Parts
from vector_pipeline.release.past import PUT
from vector_pipeline.release.promote import PRODUCTION, STAGING


@dataclass(frozen=True, slots=True)
class Put:
    """One file in the source."""

    document: str
    """Its document's id."""
    path: Path
    digest: str
    """``Document.digest``: what the lake calls the document's content."""
    changed: bool
    """Whether the source held other bytes, or none, before."""
    replaced: bool
    """Whether it held a file of that name, with other bytes."""


class Inboxes(Parts):
    """Takes files in."""

    def inbox(self, dataset: str) -> Inbox | None:
        """The dataset's inbox, whether or not its folder exists; None where it has none. ``ConfigError`` for one that cannot be."""
        settings = self.dataset(dataset)
        automation = automation_of(settings, self.settings)
        if not isinstance(settings.source, FileSourceConfig):
            return None
        if automation.inbox is None and "inbox" not in automation.enabled:
            return None
        folder = self._inbox_folder(dataset)
        for other in self.config.datasets:
            if other != dataset and self._inbox_folder(other) == folder:
                raise ConfigError(
                    f"datasets {dataset} and {other} have one inbox, {folder}",
                    fix="Give each a folder of its own: `inbox:`",
                )
        return Inbox(folder, settings.source, self._root(settings.source), settle_s=automation.settle_s)

    def _inbox_folder(self, dataset: str) -> Path:
        named = automation_of(self.dataset(dataset), self.settings).inbox
        return self.base / (named.expanduser() if named is not None else Path("inbox") / dataset)

    def _root(self, source: FileSourceConfig) -> Path:
        return self.base / source.root.expanduser()

    def inbox_shards(self, dataset: str) -> set[int]:
        """Shards of what waits in the inbox: from the listing alone."""
        inbox = self.inbox(dataset)
        return set() if inbox is None else {self._shard(dataset, one) for one in inbox.waiting()}

    def take_inbox(self, dataset: str, *, shards: Sequence[int] | None = None) -> Took:
        """Move what waits in the inbox into the source: of the selected shards (None: all), so that the same run builds it.

        ``RefusedError`` in a sealed environment whose seal is not there, before anything is moved.
        """
        inbox = self.inbox(dataset)
        if inbox is None:
            return Took()
        self.require_writable()
        chosen = None if shards is None else set(shards)
        return inbox.take(lambda one: chosen is None or self._shard(dataset, one) in chosen)

    def _shard(self, dataset: str, item: str) -> int:
        # A name that is no UTF-8 is put aside, in whatever shard that happens.
        return shard_of(item.encode("utf-8", "backslashreplace").decode(), self.dataset(dataset).shards)

    def put(self, dataset: str, files: Iterable[Path], *, below: str = "", by: str = "vector-pipeline") -> list[Put]:
        """Copy files into the source, each whole or not at all; none if a document cannot be made of one of them.

        ``below``: folder of the source that they go to. A file that lies in the source already stays where it is. What a source
        holds is released by whoever builds next: so this writes to the environment, and asks its seal before anything is touched.
        """
        self.require_writable()
        source = self.dataset(dataset).source
        if not isinstance(source, FileSourceConfig):
            raise RefusedError(
                f"{dataset} has no folder to put files into: its source is {source.kind}",
                fix="Change what the source reads, then release: vector-pipeline build " + dataset,
            )
        root = self._root(source)
        wanted = [(path, self._id(path, root, below)) for path in files]
        twice = sorted({item for _, item in wanted if [one for _, one in wanted].count(item) > 1})
        if twice:
            raise InputError(f"several of the files would become {twice[0]}", fix="Put them one by one, with --below")
        digests = {item: self._judged(dataset, source, path, item) for path, item in wanted}
        found = []
        for path, item in wanted:
            there, differs = root / item, _differs(path, root / item)
            found.append(Put(item, there, digests[item], differs, differs and there.exists()))
        self._record_put(dataset, [one for one in found if one.changed], by)
        for (path, _), one in zip(wanted, found, strict=True):
            if one.changed:
                with told_of(path):
                    copy_into(path, one.path)
        return found

    def _record_put(self, dataset: str, changed: Sequence[Put], by: str) -> None:
        """Who puts what, before the first file is in the source."""
        if not changed:
            return
        self.registry().record_audit(
            dataset=dataset, environment=self.environment, alias=None, deployment_id=None, level=PUT, drifted=False,
            counts={"files": len(changed)}, detail={"documents": {one.document: one.digest for one in changed}}, by=by,
        )  # fmt: skip

    def _judged(self, dataset: str, source: FileSourceConfig, path: Path, item: str) -> str:
        with told_of(path):
            said = judged(source, item, path)
        if isinstance(said, Quarantined):
            raise InputError(f"{path} cannot become a document of {dataset}: {said.detail}")
        try:
            erased = self.registry(read_only=True).erased_keys(dataset)
        except NotFoundError:
            erased = set()
        if document_key(item) in erased:
            raise RefusedError(
                f"{item} was erased from {dataset}, and stays out", fix="Put it under another name, if it may come back"
            )
        return said.digest

    @staticmethod
    def _id(path: Path, root: Path, below: str) -> str:
        if not path.is_file():
            said = "is a folder" if path.is_dir() else "does not exist"
            raise InputError(f"{path} {said}", fix="Name files")
        try:
            return path.resolve().relative_to(root.resolve()).as_posix()
        except ValueError:
            return (PurePosixPath(below) / path.name).as_posix()

    def generations(self, dataset: str) -> tuple[int | None, ...]:
        """How often staging and production have moved: equal tuples, equal answers of ``held_by``."""
        try:
            registry = self.registry(read_only=True)
        except NotFoundError:
            return (None, None)
        aliases = (registry.alias(dataset, self.environment, name) for name in (STAGING, PRODUCTION))
        return tuple(None if one is None else one.generation for one in aliases)

    def held_by(self, dataset: str, digests: Mapping[str, str]) -> tuple[int | None, int | None]:
        """The version on staging and the one in production, where they hold exactly these documents (id → digest); else None."""
        found: list[int | None] = []
        try:
            registry = self.registry(read_only=True)
        except NotFoundError:
            return None, None
        for name in (STAGING, PRODUCTION):
            alias = registry.alias(dataset, self.environment, name)
            number = None if alias is None else alias.deployment.version
            found.append(number if number is not None and self._holds(dataset, number, digests) else None)
        return found[0], found[1]

    def _holds(self, dataset: str, number: int, digests: Mapping[str, str]) -> bool:
        snapshot = self.registry(read_only=True).version(dataset, number).lake_snapshot
        rows = self.lake(read_only=True).rows(
            f"""SELECT document_id, digest FROM {at(DatasetTables(dataset).documents, snapshot)}
                WHERE document_id IN (SELECT unnest(?::VARCHAR[]))""",
            [list(digests)],
        )
        return dict(rows) == dict(digests)


def _differs(path: Path, goal: Path) -> bool:
    with told_of(path):
        return not goal.is_file() or goal.read_bytes() != path.read_bytes()
