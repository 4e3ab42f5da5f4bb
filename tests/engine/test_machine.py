"""The release engine against a plain model: whatever is built, pushed, killed, resumed, promoted, rolled back, collected, done
twice at once or done by somebody else's hand, readers see one version's content, whole.

``VECTOR_PIPELINE_MACHINE=examples,steps`` makes it longer (``make test-crash`` does).
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.engine.backends import adapters
from tests.engine.world import DATASET, Content, Fuse, World, numbers_of
from tests.survived import survived
from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError, UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Deployment, DeploymentStatus

DOCUMENTS = st.sampled_from(["a", "b", "c", "d", "e", "f"])
SMALL = st.integers(0, 3)
STRATEGIES = st.sampled_from([None, None, "versioned", "blue-green"])
HANDS = st.sampled_from(["foreign", "delete", "metadata", "mark", "vector"])
STEPS = st.integers(0, 40)
EXAMPLES, LENGTH = (int(word) for word in os.environ.get("VECTOR_PIPELINE_MACHINE", "2,12").split(","))
REFUSALS = (RefusedError, NotFoundError)
"""What a rule of the engine may answer; anything else is a fault."""


class Machine(RuleBasedStateMachine):
    """``versions`` is the model: what each number holds."""

    adapter: ClassVar[str]
    deaths: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        self.world = World(self.adapter)
        self.source: Content = {}
        self.versions: dict[int, Content] = {}
        self.meddled = False
        for document in ("a", "b", "c"):
            self.edit(document, 0, 0)
        self.build()
        self.push(None)
        self.promote()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            type(self).deaths += self.world.deaths
            self.world.close()

    @property
    def project(self) -> Project:
        return self.world.project

    @rule(document=DOCUMENTS, text=SMALL, tag=SMALL)
    def edit(self, document: str, text: int, tag: int) -> None:
        self.world.write(document, text, tag)
        self.source[document] = (text, tag)

    @precondition(lambda self: len(self.source) > 1)
    @rule(document=DOCUMENTS)
    def delete(self, document: str) -> None:
        if document in self.source:
            self.world.remove(document)
            del self.source[document]

    @rule()
    def build(self) -> None:
        self._built(self.project)

    def _built(self, project: Project) -> None:
        version = project.build(DATASET).version
        assert self.versions.setdefault(version.number, dict(self.source)) == self.source

    @rule(strategy=STRATEGIES)
    def push(self, strategy: str | None) -> None:
        before = self.aliases()
        try:
            pushed = self.project.push(DATASET, strategy=strategy, on_drift="stop")
        except REFUSALS:
            # A line that somebody meddled with, or that holds a later version: nothing moved.
            assert self.meddled or strategy == "versioned"
            assert self.aliases() == before
            return
        assert pushed.deployment.version == max(self.versions)
        assert self.aliases()["staging"] == pushed.deployment.id
        again = self.project.push(DATASET, strategy=strategy, on_drift="stop")
        assert again.plan.empty, again.plan
        assert again.deployment.id == pushed.deployment.id

    @rule()
    def promote(self) -> None:
        try:
            self.world.verify(self.project)
            alias, _ = self.project.promote(DATASET, by="machine")
        except REFUSALS:
            assert self.meddled or "staging" not in self.aliases()
            return
        assert alias.deployment.id == self.aliases()["staging"]

    @rule()
    def promote_what_nobody_verified(self) -> None:
        before = self.aliases()
        staging = self.project.status(DATASET).staging
        if staging is None or self._verified(staging.deployment):
            return
        with pytest.raises(RefusedError):
            self.project.promote(DATASET, by="machine")
        assert self.aliases() == before

    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        to = data.draw(st.sampled_from([None, *self.versions]))
        marks, before = self._marks(), self.aliases()
        try:
            alias, _ = self.project.rollback(DATASET, by="machine", to=to)
        except REFUSALS:
            assert self.aliases() == before
            return
        assert to in (None, alias.deployment.version)
        assert self._marks() == marks, "going back wrote to the target"

    @rule(kind=HANDS, choice=st.integers(0, 100))
    def hand(self, kind: str, choice: int) -> None:
        self.meddled = self.world.meddle(kind, choice) or self.meddled

    @rule()
    def repair(self) -> None:
        self.project.repair(DATASET, level="full")
        self._mended()

    def _mended(self) -> None:
        for report in self.project.drift(DATASET, level="full", record=False):
            assert not report.drifted, report.summary
        again = self.project.plan_repair(DATASET, level="full")
        assert not again.stages, again
        self.meddled = False

    @rule()
    def collect(self) -> None:
        self.project.expire(DATASET, dry_run=False, grace_s=0)
        self.project.collect(DATASET, dry_run=False)
        again = self.project.collect(DATASET, dry_run=True)
        assert all(line.empty for one in again.collections for line in one.lines), again

    @rule(
        what=st.sampled_from(["build", "push", "blue-green", "promote", "roll back", "repair", "collect"]), after=STEPS
    )
    def die(self, what: str, after: int) -> None:
        """Die in the middle, and do it again: there is no third state."""
        work: dict[str, Any] = {
            "build": self._built,
            "push": lambda project: project.push(DATASET, on_drift="stop"),
            "blue-green": lambda project: project.push(DATASET, strategy="blue-green", on_drift="stop"),
            "promote": lambda project: project.promote(DATASET, by="machine"),
            "roll back": lambda project: project.rollback(DATASET, by="machine"),
            "repair": lambda project: project.repair(DATASET, level="full"),
            "collect": lambda project: project.collect(DATASET, dry_run=False),
        }
        try:
            if not self.world.dies(work[what], after):
                return
            self.readers_see_whole_versions()
            work[what](self.project)
        except REFUSALS:
            assert what != "build"

    @rule(strategy=STRATEGIES)
    def push_at_once(self, strategy: str | None) -> None:
        """Two processes push the same: one of them may be told to wait, none of them may break anything."""

        def push(project: Project) -> bool:
            try:
                project.push(DATASET, strategy=strategy, on_drift="stop")
            except (*REFUSALS, ConflictError, UnavailableError):
                return False
            finally:
                project.close()
            return True

        others = [self.world.open(Fuse()), self.world.open(Fuse())]
        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(push, others))
        assert any(done) or self.meddled or strategy == "versioned"
        if any(done) and not self.meddled:
            assert self.project.push(DATASET, strategy=strategy).plan.empty

    @invariant()
    def aliases_name_what_is_whole_and_verified(self) -> None:
        if not hasattr(self, "world"):
            return
        status = self.project.status(DATASET)
        for alias in (status.staging, status.production):
            assert alias is None or alias.deployment.status is DeploymentStatus.PUSHED
        if status.production is not None and not self.meddled:
            # With somebody's hand in the index, the gates rightly fail what passed before.
            assert self._verified(status.production.deployment)

    @invariant()
    def readers_see_whole_versions(self) -> None:
        if not hasattr(self, "world"):
            return
        status = self.project.status(DATASET)
        served = {alias.deployment.id: alias.deployment for alias in (status.staging, status.production) if alias}
        if not self.meddled:
            for one in (*served.values(), *self._kept()):
                assert self._content(one) == self.versions[one.version], f"v{one.version} in {one.namespace}"
            return
        # Somebody's hand is in it. Whatever it did to what is served, a look finds it.
        wrong = {one.id for one in served.values() if self._content(one) != self.versions[one.version]}
        if wrong:
            assert any(report.drifted for report in self.project.drift(DATASET, level="full", record=False))

    def aliases(self) -> dict[str, int]:
        return {one.name: one.deployment.id for one in self.project.registry().aliases(DATASET)}

    def _verified(self, deployment: Deployment) -> bool:
        required = self.project.gates_of(DATASET, deployment.target)
        return not self.project.registry().verified(deployment.id, str(deployment.digest), required)

    def _kept(self) -> list[Deployment]:
        registry = self.project.registry()
        expired = {one.number for one in registry.versions(DATASET) if one.expired_at is not None}
        return [
            one
            for one in registry.deployments(DATASET)
            if one.status is DeploymentStatus.PUSHED and one.version not in expired
        ]

    def _content(self, deployment: Deployment) -> dict[str, object]:
        """What a reader sees of each document; a document that stands there twice, or with another's vector, is seen as such."""
        found: dict[str, object] = {}
        vectors = self._vectors()
        for row in self.world.visible(deployment):
            name = str(row["document_id"]).removesuffix(".md")
            good = row["vector"] == vectors(row["text"]) and name not in found
            found[name] = (numbers_of(row) if good else None) or row
        return found

    def _vectors(self) -> Any:
        embedder = self.project.embedder(DATASET)

        def vector(text: str) -> list[float]:
            result: list[float] = embedder.embed_documents([text])[0].tolist()
            return result

        return vector

    def _marks(self) -> dict[str, object]:
        target = self.world.outside
        return {name: target.describe(name) for name in target.namespaces()}


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("adapter", adapters())
def test_the_engine_behaves_as_its_model(adapter: str) -> None:
    machine = type(f"{adapter.title()}Machine", (Machine,), {"adapter": adapter, "deaths": 0})
    machine.TestCase.settings = settings(
        max_examples=EXAMPLES, stateful_step_count=LENGTH, deadline=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )  # fmt: skip
    machine.TestCase("runTest").runTest()
    survived(f"simulated deaths ({adapter})", machine.deaths)
