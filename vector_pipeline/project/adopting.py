"""Adopt an index that grew by hand."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from vector_pipeline.adopt import Adopted, AdoptionPlan, Listed, examine, keep_vectors, list_namespaces, owner_of
from vector_pipeline.adopt.inventory import TEXT_KEYS
from vector_pipeline.adopt.model_check import SAMPLE
from vector_pipeline.build import chunk_documents, sync_documents
from vector_pipeline.config import LakeConfig
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.project.gating import Gating
from vector_pipeline.release.lines import base_namespace
from vector_pipeline.targets.base import Target


class Adopting(Gating):
    """Takes over what was written without this pipeline."""

    def adoptable(self, dataset: str, *, target: str | None = None) -> list[Listed]:
        """Every namespace of a target (default: the dataset's), and which dataset of ours it is a line of. Writes nothing."""
        name = target or self.dataset(dataset).target
        return list_namespaces(self._found(name), self._managed(name))

    def plan_adoption(
        self,
        dataset: str,
        *,
        namespace: str,
        target: str | None = None,
        sample: int = SAMPLE,
        text_keys: Sequence[str] = TEXT_KEYS,
    ) -> AdoptionPlan:
        """What an index holds, what of it the source explains, and what managing it would change. Writes nothing at all.

        ``RefusedError`` for an empty namespace or one that is managed already.
        """
        name = target or self.dataset(dataset).target
        self._require_adoptable(name, namespace)
        with self._scratch() as lake:
            tables = self.tables(dataset)
            self._work_out(lake, dataset, tables)
            return self._examined(lake, dataset, name, namespace, sample, text_keys)

    def adopt(
        self,
        dataset: str,
        *,
        namespace: str,
        target: str | None = None,
        sample: int = SAMPLE,
        text_keys: Sequence[str] = TEXT_KEYS,
        run_id: str | None = None,
        by: str = "vector-pipeline",
    ) -> Adopted:
        """Make the baseline: build, take the vectors that fit, embed the rest, number the version, record the adoption.

        The index that was found stays untouched; a push then fills the managed line. Doing it again does nothing.
        """
        name = target or self.dataset(dataset).target
        self._require_adoptable(name, namespace)
        self.sync(dataset)
        self.chunk(dataset)
        tables = self.tables(dataset)
        with self._writing(dataset, tables.embedding_table):
            plan = self._examined(self.lake(), dataset, name, namespace, sample, text_keys)
            stored = keep_vectors(
                self.lake(), tables, self._found(name), namespace,
                normalize=self._normalized(dataset, None),
                on_keep=lambda done, total: self.progress.update("keep vectors", done, total, unit="vectors"),
            )  # fmt: skip
        embedded = self.embed(dataset).embedded
        made = self.snapshot(dataset, message=plan.message, run_id=run_id)
        adopted = Adopted(plan, made.version.number, made.made, stored, embedded)
        self._record_adoption(adopted, run_id, by)
        return adopted

    def _examined(
        self, lake: Lake, dataset: str, target: str, namespace: str, sample: int, text_keys: Sequence[str]
    ) -> AdoptionPlan:
        space = self.space(dataset)
        return examine(
            lake, self.tables(dataset), self._found(target), namespace,
            environment=self.environment, space=space, embedder=self.embedder(dataset),
            normalize=self._normalized(dataset, None),
            line=base_namespace(dataset, space.name, space.fingerprint), line_target=self.dataset(dataset).target,
            known=self._known(dataset), sample=sample, text_keys=text_keys,
            on_step=lambda step, done, total, unit: self.progress.update(step, done, total, unit=unit),
        )  # fmt: skip

    def _found(self, name: str) -> Target:
        """The target to adopt from: never opened for writing."""
        if name not in self.settings.targets:
            raise NotFoundError(
                f"environment {self.environment} has no target {name!r}; it has: {', '.join(self.settings.targets)}",
                fix="Add the index as a target to vector_pipeline.yaml",
            )
        return self.target_named(name, read_only=True)

    def _managed(self, target: str) -> dict[str, str]:
        """Namespace → dataset of everything that was deployed to a target."""
        try:
            registry = self.registry(read_only=True)
        except NotFoundError:
            return {}
        return {
            one.namespace: dataset
            for dataset in self.config.names
            for one in registry.deployments(dataset, self.environment)
            if one.target == target
        }

    def _require_adoptable(self, target: str, namespace: str) -> None:
        state = self._found(target).describe(namespace)
        if state is None:
            raise NotFoundError(
                f"target {target} has no namespace {namespace}", fix="Leave --namespace out to list what there is"
            )
        owner = self._managed(target).get(namespace) or owner_of(namespace)
        if owner is not None:
            raise RefusedError(
                f"{namespace} is managed already: it is a line of {owner}",
                fix=f"See what was done to it: vector-pipeline drift {owner}; and: vector-pipeline repair {owner}",
            )
        if not state.records:
            raise RefusedError(
                f"namespace {namespace} of target {target} is empty: there is nothing to adopt",
                fix="Build and push: vector-pipeline build",
            )

    def _known(self, dataset: str) -> Iterator[pa.RecordBatch]:
        """Contents that the project's lake has a vector of; none where there is no lake yet."""
        tables = self.tables(dataset)
        try:
            lake = self.lake(read_only=True)
        except NotFoundError:
            return
        if lake.has_table(dataset, tables.embedding_table):
            yield from lake.stream(f"SELECT DISTINCT content_hash FROM {tables.embeddings}")

    @contextmanager
    def _scratch(self) -> Iterator[Lake]:
        """A lake that nobody else sees, thrown away afterwards."""
        with tempfile.TemporaryDirectory(prefix="vp-adopt-") as folder:
            config = LakeConfig(
                catalog=SecretTemplate(f"sqlite:///{folder}/catalog.sqlite"), data=f"{folder}/data",
                memory_limit=self.settings.lake.memory_limit, threads=self.settings.lake.threads,
            )  # fmt: skip
            with Lake.open(config, Path(folder)) as lake:
                yield lake

    def _work_out(self, lake: Lake, dataset: str, tables: SpaceTables) -> None:
        """Documents and chunks of the source as it is now, by the code that builds them."""
        sync_documents(
            lake, dataset, self.dataset(dataset), self.base, sample=self.sample(dataset),
            on_read=lambda done, total: self.progress.update("read documents", done, total, unit="files"),
        )  # fmt: skip
        chunk_documents(
            lake, tables, self.space(dataset), self.chunker(dataset),
            on_document=lambda done, total: self.progress.update("chunk", done, total, unit="documents"),
        )  # fmt: skip

    def _record_adoption(self, adopted: Adopted, run_id: str | None, by: str) -> None:
        """Once for each version and index, whatever was tried again."""
        plan = adopted.plan
        detail = adopted.to_json()
        for audit in self.registry().audits(plan.dataset, self.environment, limit=1000):
            if audit.level == "adopt" and _subject(audit.detail) == _subject(detail):
                return
        self.registry().record_audit(
            dataset=plan.dataset, environment=self.environment, alias=None, deployment_id=None, level="adopt",
            drifted=False,
            counts={
                "records": plan.inventory.records, "foreign": plan.matched.foreign, "usable": plan.model.usable,
                "kept": adopted.stored, "embedded": adopted.embedded,
            },
            detail=detail, run_id=run_id, by=by,
        )  # fmt: skip


def _subject(detail: Mapping[str, Any]) -> tuple[object, object, object]:
    """Version, target and namespace of a recorded adoption."""
    found = detail.get("report", {})
    return detail.get("version"), found.get("target"), found.get("namespace")
