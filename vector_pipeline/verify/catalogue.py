"""Every gate: its name, what it looks at, and the function that judges.

Laws
----
1. A gate's key in the configuration is its name with underscores; ``config.gates.GateKey`` lists the same.
2. ``judge`` never decides whether a failure blocks: that is policy (``policy``). What it raises becomes ``unknown``.
3. A gate that compares with production passes where no other version is served, and says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from vector_pipeline.config.gates import GateKey
from vector_pipeline.verify import attest, catchup, coverage, expectations, recall
from vector_pipeline.verify.answers import gate as answers
from vector_pipeline.verify.canaries import gate as canaries
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.damage import gate as damage
from vector_pipeline.verify.freshness import gate as freshness
from vector_pipeline.verify.lost import gate as lost
from vector_pipeline.verify.outcome import CheckResult
from vector_pipeline.verify.retrieval import gate as retrieval
from vector_pipeline.verify.shift import gate as shift


class Scope(StrEnum):
    """What a gate's verdict is about, and so how long it holds."""

    VERSION = "version"
    """The version's rows in the lake: for its digest, wherever it is deployed."""
    CHANGE = "change"
    """The version against what production serves: until production serves another one."""
    INDEX = "index"
    """What one target holds: until its mark changes."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate."""

    name: str
    scope: Scope
    says: str
    """One line for people: what holds when it passes."""
    judge: Callable[[GateContext], CheckResult]
    vectors: bool = False
    """Whether it reads the version's vectors in the lake: its verdict ends when one of them is taken away or made anew."""

    @property
    def key(self) -> GateKey:
        """Its name in the configuration and in Dagster."""
        return key_of(self.name)


GATES: tuple[Gate, ...] = (
    Gate(
        "documents expectations", Scope.VERSION, "Every document is as the dataset's suite demands.",
        expectations.judge_documents,
    ),
    Gate("chunks expectations", Scope.VERSION, "Every chunk is as the dataset's suite demands.", expectations.judge_chunks),
    Gate(
        "embeddings expectations", Scope.VERSION, "Every vector is as the dataset's suite demands.",
        expectations.judge_embeddings, vectors=True,
    ),
    Gate(attest.NAME, Scope.VERSION, "Every vector is what the space's model makes of its text today.", attest.judge, vectors=True),
    Gate(freshness.NAME, Scope.VERSION, "The version is as new as its source, in every shard.", freshness.judge),
    Gate(
        catchup.NAME, Scope.CHANGE, "In another space than production's, no document is missing or behind.", catchup.judge,
        vectors=True,
    ),
    Gate(lost.NAME, Scope.CHANGE, "What production serves is still there, in every topic.", lost.judge, vectors=True),
    Gate(damage.NAME, Scope.CHANGE, "Texts are no worse than those that production serves.", damage.judge),
    Gate(
        shift.NAME, Scope.CHANGE, "New vectors are of the model that made production's, and belong to their texts.", shift.judge,
        vectors=True,
    ),
    Gate(
        retrieval.NAME, Scope.CHANGE, "Where relevance is judged, answers are as good as production's.", retrieval.judge,
    ),
    Gate(
        answers.NAME, Scope.CHANGE, "The same questions find the same documents as in production, beyond what changed.",
        answers.judge, vectors=True,
    ),
    Gate(
        coverage.NAME, Scope.INDEX, "The target holds exactly the version's records: ids, spaces, marks and metadata.",
        coverage.judge,
    ),
    Gate(
        recall.NAME, Scope.INDEX, "The target finds what exact search over the lake finds, and holds the lake's vectors.",
        recall.judge, vectors=True,
    ),
    Gate(
        canaries.NAME, Scope.INDEX, "Fixed questions find the documents that answer them, on the target itself.",
        canaries.judge,
    ),
)  # fmt: skip
"""In the order in which they run and are shown: cheap ones and those that explain others first."""
BY_NAME = {gate.name: gate for gate in GATES}


def key_of(name: str) -> GateKey:
    """A gate's name as the configuration writes it."""
    return cast(GateKey, name.replace(" ", "_"))


def reads_vectors(name: str) -> bool:
    """Whether the gate of that name reads the version's vectors; no gate of a place's own does."""
    return name in BY_NAME and BY_NAME[name].vectors


def names(*scopes: Scope) -> tuple[str, ...]:
    """Gates of some scopes, in order."""
    return tuple(gate.name for gate in GATES if gate.scope in scopes)
