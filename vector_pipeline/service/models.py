"""What goes over the wire. The OpenAPI document is made of these."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from vector_pipeline.service.bounds import bounded, values_within
from vector_pipeline.service.limits import MAX_KEY, MAX_QUERIES, MAX_TEXT, MAX_TOP_K
from vector_pipeline.service.readers import Standing, State
from vector_pipeline.serving import Answer

Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=MAX_TEXT)]
ShortText = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=MAX_KEY)]
_OneText = Annotated[Text, Tag("text")]
_Texts = Annotated[list[Text], Field(min_length=1, max_length=MAX_QUERIES), Tag("texts")]
TAGS = ("text", "texts")


class Wire(BaseModel):
    """Base: field docstrings become descriptions, and no error repeats what a client sent. Answers may get more fields."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


class QueryRequest(Wire):
    """A question, or several that one version shall answer."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[
        _OneText | _Texts, Discriminator(lambda value: "texts" if isinstance(value, list) else "text")
    ]  # fmt: skip
    """One text, or a list of them."""
    top_k: Annotated[int, Field(strict=True, ge=1, le=MAX_TOP_K)] = 5
    """Hits of each text, at most."""
    filter: Annotated[dict[str, Any], AfterValidator(bounded)] | None = None
    """On metadata, applied before the nearest are taken: `{"folder": "guides", "year": {"$gte": 2024}}`. Operators: `$eq $ne
    $gt $gte $lt $lte $in $nin $exists $and $or`; at most 256 conditions, 16 levels deep."""
    key: ShortText | None = None
    """Of a user or a session, who shall get one version throughout while a route is in force."""
    target: ShortText | None = None
    """One of several targets that serve the dataset. Default: the first one, whichever that is."""
    space: ShortText | None = None
    """Embed with this space's model although another space may be live: through a bridge that is on, or not at all."""

    @property
    def texts(self) -> list[str]:
        """That are asked."""
        return [self.query] if isinstance(self.query, str) else self.query

    def hidden(self) -> frozenset[str]:
        """What no log and no error says: every text of it but names, of fields and of the configuration."""
        return frozenset({*self.texts, *values_within(self.filter), self.key or ""})


class Hit(Wire):
    """One chunk that answers a query."""

    document: str
    """Id of its document."""
    score: float
    """Higher is nearer: cosine similarity in a cosine space."""
    text: str
    metadata: dict[str, Any]
    """The document's metadata, its `title`, and `heading`: the headings above the chunk."""
    id: str
    """Record id in the target."""


class Hits(Wire):
    """The answer to one text."""

    hits: list[Hit]
    """Best first."""


class QueryAnswer(Wire):
    """The answers to a request: one version of one space gave all of them."""

    dataset: str
    version: int
    """That was searched."""
    space: str
    """Embedding space that was searched."""
    arm: str
    """`production`, `route` (a share of the readers gets another version) or `previous` (the version before answers, because the
    present one's index does not)."""
    bridged: bool
    """The query was embedded by another model than the vectors, and mapped to them."""
    bridge: str | None
    """Fingerprint of the bridge; null: none."""
    bridge_recall: float | None
    """Share of the old model's answers that the bridge was measured to keep."""
    took_ms: float
    """Milliseconds, embedding included."""
    results: list[Hits]
    """One for each text, in their order."""


class Route(Wire):
    """A share of production's readers gets another version."""

    version: int
    share: float
    """0 to 1."""


class Dataset(Wire):
    """A dataset, and what answers for it."""

    name: str
    state: Literal["ready", "nothing-promoted", "unready"]
    version: int | None
    """That answers now; null: none, or nobody knows."""
    space: str | None
    arm: str | None
    """`production`, or `previous` while the index of production's version does not answer."""
    route: Route | None


class Datasets(Wire):
    """What is served here."""

    datasets: list[Dataset]


class Alive(Wire):
    """The process lives."""

    status: Literal["ok"] = "ok"


class DatasetReadiness(Wire):
    """Whether a dataset answers."""

    name: str
    state: Literal["ready", "nothing-promoted", "unready"]
    required: bool
    """The service is not ready while nothing of it is promoted."""
    reason: str | None
    """Why it is not ready. With a token, only who has it is told."""


class Readiness(Wire):
    """Whether requests are answered."""

    ready: bool
    reason: str | None
    """Why not, where it is not for one dataset: the service is ending, or nothing is promoted at all."""
    datasets: list[DatasetReadiness]


class Mistake(Wire):
    """What is wrong with one place of a request."""

    at: str
    """Such as `body.query`."""
    reason: str


class Problem(Wire):
    """An error (RFC 9457)."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    """Of the status."""
    status: int
    detail: str
    """What happened, where, and what to do: one line."""
    kind: str
    """A stable code for machines: `input`, `not-found`, `refused`, `conflict`, `unavailable`, `timeout`, `saturated`, …"""
    errors: list[Mistake] = []
    """Of a request that is not as the document says."""


def answer_of(dataset: str, answers: list[Answer]) -> QueryAnswer:
    """The reader's answers to one request, on the wire."""
    first = answers[0]
    return QueryAnswer(
        dataset=dataset, version=first.version, space=first.space, arm=first.arm, bridged=first.bridged, bridge=first.bridge,
        bridge_recall=first.bridge_recall, took_ms=round(first.took_s * 1000, 3),
        results=[Hits(hits=[Hit(
            document=hit.document, score=hit.score, text=hit.text, metadata=dict(hit.metadata), id=hit.id,
        ) for hit in one.hits]) for one in answers],
    )  # fmt: skip


def dataset_of(standing: Standing) -> Dataset:
    """How a dataset is, on the wire."""
    found = standing.health
    serves = found is not None and found.version is not None
    return Dataset(
        name=standing.dataset, state=standing.state.value,
        version=found.version if found is not None else None, space=found.space if found is not None else None,
        arm=found.arm if found is not None and serves else None,
        route=Route(**found.route) if found is not None and found.route is not None else None,
    )  # fmt: skip


def readiness_of(standings: list[Standing], required: frozenset[str], *, ending: bool, told: bool) -> Readiness:
    """A dataset that nothing was promoted of is no reason to send nobody here, unless it is required, or there is no other."""
    datasets = [
        DatasetReadiness(
            name=one.dataset, state=one.state.value, required=one.dataset in required,
            reason=(one.said or None) if told and one.state != State.READY else None,
        )
        for one in standings
    ]  # fmt: skip
    states = {one.state for one in standings}
    reason = "the service is ending" if ending else "nothing is promoted" if states == {State.EMPTY} else None
    answered = all(one.state == "ready" or (one.state == "nothing-promoted" and not one.required) for one in datasets)
    return Readiness(ready=reason is None and answered, reason=reason, datasets=datasets)
