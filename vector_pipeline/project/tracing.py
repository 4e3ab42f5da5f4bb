"""Blame and erase. What they do is imported when they are asked for: every command and run has this class, few of them trace."""

from typing import TYPE_CHECKING

from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.errors import ConfigError, VectorPipelineError
from vector_pipeline.project.gating import Gating
from vector_pipeline.release.registry import DeploymentStatus, Version
from vector_pipeline.report.page import REPORTS
from vector_pipeline.verify.expectations.datadocs import DATA_DOCS

if TYPE_CHECKING:
    from vector_pipeline.trace.blame import Blame
    from vector_pipeline.trace.erased import Erased, Gate
    from vector_pipeline.trace.finding import Setting
    from vector_pipeline.trace.places import Reach
    from vector_pipeline.trace.removal import OnStep


class Tracing(Gating):
    """Where an answer came from, and how a document goes for good."""

    def blame(
        self, dataset: str, question: str, *, document: str, top_k: int = 10, space: str | None = None
    ) -> "Blame":
        """The versions in which a document entered or left the top ``top_k`` of a question, by searching what the lake keeps.

        Reads only, and never the target. ``space``: default the one that is served.
        """
        from vector_pipeline.trace.blame import blame

        name = self._space_name(dataset, space)
        versions = [one for one in self.registry(read_only=True).versions(dataset) if one.space == name]
        known = self._embedders(dataset)
        missing = "its embedder is not configured or not installed here"

        def embedder_of(version: Version) -> Embedder | str:
            return known.get(version.embedder_fingerprint, missing)

        return blame(
            self.lake(read_only=True), versions, embedder_of, question=question, document=document, top_k=top_k
        )

    def _embedders(self, dataset: str) -> dict[str, Embedder]:
        """Embedders of the dataset's spaces that are there on this machine, by fingerprint. Loads no weights."""
        found: dict[str, Embedder] = {}
        for space in self.dataset(dataset).spaces:
            try:
                embedder = self.embedder(dataset, space)
                found[embedder.fingerprint] = embedder
            except VectorPipelineError:
                continue  # A model that is not here: its versions are named as skipped.
        return found

    def erase(
        self,
        dataset: str,
        *,
        document: str | None = None,
        reason: str = "",
        dry_run: bool = False,
        run_id: str | None = None,
        by: str = "vector-pipeline",
        on_step: "OnStep" = lambda _: None,
    ) -> "Erased":
        """Take a document out for good: see ``vector_pipeline.trace.erase``. ``document`` None: finish an interrupted erasure.

        What aliases of this environment name is verified again. ``dry_run``: only say what would be touched.
        """
        from vector_pipeline.trace.erase import erase, would_erase

        self.dataset(dataset)
        # An erasure makes neither a lake nor a registry.
        self.lake(read_only=True)
        self.registry(read_only=True)
        setting = self._setting(dataset, dry_run=dry_run)
        if dry_run:
            return would_erase(setting, document, by=by, reason=reason)
        return erase(
            setting, document, by=by, reason=reason, run_id=run_id, verify=lambda: self._verified(dataset, run_id),
            on_step=on_step,
        )  # fmt: skip

    def _setting(self, dataset: str, *, dry_run: bool) -> "Setting":
        from vector_pipeline.trace.finding import Setting

        registry = self.registry(read_only=dry_run)
        reaches, not_reached = self._reaches(dataset, dry_run=dry_run)
        tables = [self.tables(dataset, space) for space in self.dataset(dataset).spaces]
        lake = self.lake(read_only=dry_run)
        golden = self.gates(dataset).attestation.golden
        # A golden text may quote the document: its file is the user's, and only looked into.
        own = self.base / golden if golden is not None else None
        files = [file for file in (lake.catalog_file, registry.file, own) if file is not None]
        return Setting(
            lake, registry, dataset, tuple(reaches), tuple(not_reached),
            tuple(name for one in tables for name in (one.chunk_table, one.embedding_table)), tuple(files),
            (self.base / REPORTS / dataset, self.base / DATA_DOCS / dataset),
        )  # fmt: skip

    def _reaches(self, dataset: str, *, dry_run: bool) -> "tuple[list[Reach], list[str]]":
        """Targets of every environment that shares this registry; and what is deployed where the configuration does not lead."""
        from vector_pipeline.targets.factory import open_target
        from vector_pipeline.trace.places import Reach

        found: list[Reach] = []
        unknown: list[str] = []
        for name, environment in self.config.environments.items():
            try:
                if not self._shares_registry(environment.registry):
                    continue
            except ConfigError as error:
                unknown.append(f"{name}: whether it shares this registry cannot be told ({error.what})")
                continue
            for target, settings in environment.targets.items():
                if name == self.environment:
                    opened = self.target_named(target, read_only=dry_run)
                else:
                    opened = open_target(target, settings, self.base, read_only=dry_run)
                    self._open.callback(opened.close)
                found.append(Reach(name, opened))
        known = {(reach.environment, reach.target.name) for reach in found}
        lost = {
            f"{one.environment}: {one.target}, {one.namespace} (not in the configuration)"
            for one in self.registry(read_only=True).deployments(dataset)
            if (one.environment, one.target) not in known and one.status != DeploymentStatus.RETIRED
        }
        return found, [*unknown, *sorted(lost)]

    def _shares_registry(self, other: SecretTemplate) -> bool:
        """``ConfigError`` where that depends on a secret that is not there."""
        here = self.settings.registry
        return other == here or other.resolve_url() == here.resolve_url()

    def _verified(self, dataset: str, run_id: str | None) -> "list[Gate]":
        """Verdicts of before count no more: what aliases name here is looked at again."""
        from vector_pipeline.trace.erased import Gate

        gates = []
        aliased = {one.deployment.id: one.deployment for one in self.registry().aliases(dataset, self.environment)}
        for one in sorted(aliased.values(), key=lambda held: (held.version, held.id)):
            number = one.version
            try:
                _, results = self.verify(dataset, run_id=run_id, deployment=one)
            except VectorPipelineError as error:
                gates.append(Gate(number, "verify", "unknown", str(error)))
                continue
            gates += [Gate(number, result.name, result.status.value, result.summary) for result in results]
        return gates
