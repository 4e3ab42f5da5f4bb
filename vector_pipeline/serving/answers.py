"""What a reader gives: hits, answers that say where they came from, and how the reader itself is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

PRODUCTION_ARM = "production"
"""The version that the alias names."""
ROUTE_ARM = "route"
"""The version that a share of the readers gets: see ``vector-pipeline route``."""
PREVIOUS_ARM = "previous"
"""The version that production served before, while the present one's index does not answer."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One chunk that answers a query."""

    document: str
    """Id of its document."""
    score: float
    """Higher is nearer: cosine similarity in a cosine space."""
    text: str
    metadata: Mapping[str, Any]
    """The document's metadata, its ``title``, and ``heading``: the headings above the chunk."""
    version: int
    """Version that was searched."""
    id: str
    """Record id in the target."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits of one text, and which version of which space gave them."""

    hits: list[Hit]
    """Best first."""
    version: int
    space: str
    """Name of the embedding space that was searched."""
    arm: str
    """``production`` (or whatever alias is read), ``route`` or ``previous``."""
    bridged: bool
    """The query was embedded by another model than the vectors, and mapped to them."""
    took_s: float
    """Seconds, embedding included."""
    bridge: str | None = None
    """Fingerprint of the bridge that the query went through; None: through none."""
    bridge_recall: float | None = None
    """Share of the old model's answers that it was measured to keep."""


@dataclass(frozen=True, slots=True)
class PartHealth:
    """Whether one part answers."""

    ok: bool
    said: str = ""
    """What it said, in one line, where it is not."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether queries are answered, and by what."""

    ok: bool
    """The next query is answered: an alias is known that is not too old, its target or the previous one answers, and queries for it
    can be embedded here.
    """
    dataset: str
    alias: str
    version: int | None
    space: str | None
    arm: str
    """That the next query without a route is answered by."""
    age_s: float | None
    """Seconds since the registry said where the alias points; None: it never did."""
    pushed: bool
    """The registry says by itself when the alias moves."""
    breaker: str
    """``closed``: the live index answers; ``open``: it does not; ``half-open``: it is being tried again."""
    registry: PartHealth
    target: PartHealth
    embedder: PartHealth
    route: Mapping[str, Any] | None = None
    """``version`` and ``share`` of the route in force."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
