"""Questions to versions: two of them side by side, and canaries proposed and looked over.

Reads only. What is deployed is asked where it is deployed; what is not, exactly, in the lake.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vector_pipeline.errors import NotFoundError
from vector_pipeline.project.gating import Gating
from vector_pipeline.release.nowhere import nothing_in
from vector_pipeline.release.promote import PRODUCTION, STAGING
from vector_pipeline.release.registry import DeploymentStatus, Version
from vector_pipeline.verify.canaries.search import Question
from vector_pipeline.verify.context import Side

if TYPE_CHECKING:
    from vector_pipeline.verify.canaries.check import Looked
    from vector_pipeline.verify.sidebyside import SideBySide
    from vector_pipeline.verify.suggest.suggestion import Suggested

LAKE = ""
"""Name of what is asked in the lake, where nothing is deployed."""


class Questioning(Gating):
    """Asks versions."""

    def compare(
        self, dataset: str, questions: Sequence[Question], *, versions: tuple[int, int] | None = None
    ) -> "SideBySide":
        """What two versions answer: production and staging, or the two that are named.

        ``NotFoundError`` where nothing is in production or staging, or both hold one version.
        """
        from vector_pipeline.verify.sidebyside import side_by_side

        if versions is None:
            names = (PRODUCTION, STAGING)
            sides = [self._aliased(dataset, name) for name in names]
            if sides[0].version.number == sides[1].version.number:
                raise NotFoundError(
                    f"production and staging of {dataset} both hold version {sides[0].version.number}",
                    fix="Name two versions: --versions A B",
                )
        else:
            names = ("", "")
            sides = [self._side(self.version(dataset, number)) for number in versions]
        context = self.gate_context(sides[1].version, sides[1].deployment)
        return side_by_side(context, (names[0], sides[0]), (names[1], sides[1]), questions)

    def suggest_canaries(self, dataset: str, *, log: Path | None = None, count: int = 20) -> "Suggested":
        """Canaries for a person to accept, from a log of queries and from the documents.

        Asked is what production serves, or staging, or else the newest version, in the lake.
        """
        from vector_pipeline.verify.canaries.file import load_canaries
        from vector_pipeline.verify.suggest.log import read_log
        from vector_pipeline.verify.suggest.suggest import suggest

        logged = read_log(log) if log is not None else ()
        path = self.canaries_path(dataset)
        known = load_canaries(path, may_be_empty=True) if path.exists() else ()
        served = [(name, side) for name in (PRODUCTION, STAGING) if (side := self._held(dataset, name)) is not None]
        sides = served or [(LAKE, Side(self.version(dataset)))]
        first, other = sides[0][1].version, sides[-1][1]
        # Another version whose questions are embedded alike.
        apart = (
            other.version.number != first.number and other.version.embedder_fingerprint == first.embedder_fingerprint
        )
        context = self.gate_context(sides[0][1].version, sides[0][1].deployment)
        return suggest(context, sides[0], count=count, log=logged, known=known, other=other if apart else None)

    def canaries_path(self, dataset: str) -> Path:
        """The dataset's file of canaries, or where it would be."""
        path = self.gates(dataset).canaries
        several = len(self.config.datasets) > 1
        return self.base / (path or (f"canaries-{dataset}.yaml" if several else "canaries.yaml"))

    def check_canaries(self, dataset: str) -> "Looked":
        """The file of canaries, held against the newest version. ``ConfigError`` for a mistake in the file."""
        from vector_pipeline.verify.canaries.check import look_over

        path = self.canary_file(dataset)
        version = self.version(dataset)
        return look_over(self.gate_context(version, None), path)

    def canary_file(self, dataset: str) -> Path:
        """The dataset's file of canaries. ``NotFoundError`` where none is configured."""
        path = self.gates(dataset).canaries
        if path is None:
            raise NotFoundError(
                f"{dataset} has no canaries: `gates: canaries:` names no file",
                fix=f"Let some be proposed: vector-pipeline canary suggest {dataset}",
            )
        return self.base / path

    def _held(self, dataset: str, name: str) -> Side | None:
        try:
            return self._aliased(dataset, name)
        except NotFoundError:
            return None

    def _aliased(self, dataset: str, name: str) -> Side:
        self.dataset(dataset)
        alias = self.registry(read_only=True).alias(dataset, self.environment, name)
        if alias is None:
            staging = self.registry(read_only=True).alias(dataset, self.environment, STAGING)
            raise nothing_in(dataset, name, staging)
        return Side(self.version(dataset, alias.deployment.version), alias.deployment)

    def _side(self, version: Version) -> Side:
        """Where a version is deployed whole, or nowhere."""
        try:
            held = self.deployment_of(version)
        except NotFoundError:
            held = None
        if held is not None and held.status == DeploymentStatus.PUSHED:
            return Side(version, held)
        if version.expired_at is not None:
            raise NotFoundError(
                f"version {version.number} of {version.dataset} has expired, and is deployed nowhere",
                fix=f"See what is left: vector-pipeline versions {version.dataset}",
            )
        return Side(version)
