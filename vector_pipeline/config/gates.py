"""What must hold before a version is promoted: which gates stop a release, and what each of them demands.

A dataset says it for every environment; an environment may say otherwise, key by key (``EnvironmentConfig.gates``).
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from vector_pipeline.config.fields import Model

Mode = Literal["block", "warn", "off"]
"""``block``: what fails or could not run stops the release. ``warn``: it is told, and lets it through. ``off``: it does not run."""
GateKey = Literal[
    "documents_expectations",
    "chunks_expectations",
    "embeddings_expectations",
    "attestation",
    "source_freshness",
    "catch_up",
    "lost_content",
    "text_damage",
    "embedding_shift",
    "answers",
    "retrieval_measures",
    "coverage",
    "index_recall",
    "canary_retrieval",
    "mirror_drift",
    "mirrors_agree",
]
GATE_KEYS: tuple[GateKey, ...] = get_args(GateKey)


def _as_written(value: Any) -> Any:
    """YAML reads ``off`` without quotes as a truth value."""
    return "off" if value is False else value


WrittenMode = Annotated[Mode, BeforeValidator(_as_written)]
Share = Annotated[float, Field(ge=0, le=1)]


class LostContentConfig(Model):
    """What may be missing that production serves."""

    max_documents: Share = 0.02
    """Share of production's documents that may be gone. One that was moved or renamed is not gone: its text is still there."""
    max_topic: Share = 0.3
    """The same of any one topic (documents whose vectors lie together)."""
    min_documents: int = Field(default=3, ge=1)
    """Fewer lost documents never stop a release."""


class TextDamageConfig(Model):
    """How much worse texts may be than production's. Shares of chunks, beyond what production has itself."""

    max_encoding: Share = 0.005
    """Chunks with signs of a wrong encoding."""
    max_markup: Share = 0.02
    """Chunks with left-over markup."""
    max_repeated: Share = 0.1
    """Chunks that share a passage with many documents: menus, footers, notices."""
    max_duplicates: Share = 0.02
    """Chunks whose text stands in another document too."""
    max_shrunk: Share = 0.02
    """Documents that lost half of their text or more, or hold what another document held."""
    max_replaced: Share = 0.05
    """Documents under an old id with an altogether other text."""
    max_stripped: Share = 0.05
    """Chunks that lost their small words, their capitals, their punctuation or their blanks, each counted alone."""
    max_shorter: Share = 0.2
    """How much of its text the middle one of the changed documents may have lost, where a tenth of all documents changed."""


class EmbeddingShiftConfig(Model):
    """How far vectors may move."""

    sample: int = Field(default=20_000, ge=100)
    """Vectors of each side that are compared."""
    alpha: float = Field(default=0.001, gt=0, lt=0.5)
    """How often a release of which nothing is wrong may be called shifted, over all tests of the gate."""
    max_shift: float = Field(default=0.25, gt=0)
    """Distance of two centroids, in units of the sample's own spread, that is too far."""


class AttestationConfig(Model):
    """Whether stored vectors are what the model makes today."""

    sample: int = Field(default=200, ge=20)
    """Texts of a version that are embedded again."""
    max_distance: float = Field(default=0.000005, gt=0, le=2)
    """Cosine distance between a stored vector and the same text embedded again that rounding explains. Batches, padding and threads
    move one by 3e-13, half precision by 1e-6; eight-bit numbers by 1.4e-5 and more, bfloat16 by 3e-5 and more.
    """
    golden: Path | None = None
    """Text file, one text a line, beside those that the pipeline brings along; relative to the configuration file."""


class AnswersConfig(Model):
    """How much answers may change beyond what changed documents explain."""

    queries: Path | None = None
    """JSONL of real questions (`query`, and `filter` where there is one), such as a query log; without it canaries and vectors of
    production's own texts are asked.
    """
    sample: int = Field(default=200, ge=20)
    """Queries that are replayed."""
    k: int = Field(default=10, ge=1, le=100)
    """Documents of each answer that are compared."""
    min_overlap: Share = 0.5
    """Mean share of production's first documents that must still come."""
    min_overlap_of_models: Share = 0.2
    """The same where candidate and production are of two models, as declared: these differ about which documents come, and which of
    both is right, judgements and canaries say. That fewer come says that one of both finds nothing.
    """
    max_emptied: Share = 0.02
    """Share of queries that may lose every answer."""
    min_retained: Share = 0.85
    """Share of changed documents that must still come where their former texts came first. Edits, notes, reformatting and even
    menus in every text keep 97% and more; halved texts 84 to 97%, beginnings alone 50 to 75%.
    """
    max_dominant: Share = 0.15
    """Share of queries to which one document may come anew."""
    max_crowded: Share = 0.5
    """Share of queries whose answers may be mostly added documents; never less than twice their share of all documents."""
    max_rescored: Share = 0.1
    """Share of the target's answers, of the same documents, whose best score may be another one."""


class RetrievalConfig(Model):
    """Relevance judgements, and how much worse than production a version may be."""

    queries: Path | None = None
    """JSONL with `id` and `text`."""
    judgements: Path | None = None
    """TREC qrels, or tab-separated query id, document id, relevance."""
    measures: list[str] = Field(default=["nDCG@10", "R@10", "RR@10"], min_length=1)
    """Names of ir-measures; the first one decides."""
    max_drop: Share = 0.01
    """Loss of the first measure that is tolerated: a version fails when the loss is surely larger."""
    least: Share | None = None
    """The first measure must surely not be below this."""


class IndexRecallConfig(Model):
    """How much of the exact answer the target finds."""

    sample: int = Field(default=100, ge=20)
    """Queries that are asked of both."""
    k: int = Field(default=10, ge=1, le=100)
    """Records of each answer."""
    least: Share = 0.95
    """Recall against exact search: a version fails when it is surely below."""


class FreshnessConfig(Model):
    """How old what is released may be."""

    max_age_h: float | None = Field(default=None, gt=0)
    """Hours since the version was made, unless it holds what its source lists now. Without it no age is too great."""
    max_quiet_h: float | None = Field(default=None, gt=0)
    """Hours since a document last came or changed: for a source that brings something every day, and may have stopped."""


class GateConfig(Model):
    """What must hold before a version is promoted."""

    modes: dict[GateKey, WrittenMode] = {}
    """How strict each gate is: `block` (default), `warn` or `off`."""
    expectations: Path | None = None
    """Folder with the suites `documents.yaml`, `chunks.yaml`, `embeddings.yaml`; what is not there is the default suite."""
    canaries: Path | None = None
    """YAML file of fixed queries with the documents they must retrieve; relative to the configuration file."""
    canary_pass_rate: Share = 0.9
    """Share of canaries that must pass."""
    canary_alpha: float = Field(default=0.005, gt=0, lt=0.5)
    """How often chance alone may stop a release: one that makes canaries fail newly and pass newly with equal odds. All gates
    together may stop one harmless release in a hundred, and this is one of many.
    """
    canary_max_loss: Share = 0.02
    """Share of all canaries by which more may fail newly than pass newly, however sure that is. Critical ones may never fail."""
    mirror_overlap: Share = 0.95
    """Share of the first ten documents of a query that every mirror must bring as `target` does; ties count as the same."""
    max_removed_share: Share = 0.5
    """Mass-deletion guard: a push that removes more of what production serves is refused unless allowed by hand."""
    max_changed_share: Share = 1.0
    """Mass-change guard: a push after which more of what production serves is gone, replaced by another text or removed, is refused
    unless allowed by hand (`--max-changed-share`). 1: no push is.
    """
    max_vectors: int | None = Field(default=None, ge=0)
    """Budget guard: a push that writes more vectors is refused unless allowed by hand (`--over-budget`). Of several targets
    each is judged alone.
    """
    max_cost: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """The same for what a push costs, for each target in the currency of its `prices`; without prices nothing is checked."""
    min_text_chars: int = Field(default=1, ge=0)
    """Shortest chunk, in characters."""
    max_text_chars: int = Field(default=20_000, gt=0)
    """Longest chunk, in characters."""
    max_duplicate_share: Share = 0.5
    """Share of chunks whose text occurs in another document too; of those that do but for case, spaces and punctuation as well."""
    expectations_in_memory: int = Field(default=200_000, ge=0)
    """Rows up to which Great Expectations itself evaluates what is not counted in DuckDB: it reads them all into memory."""

    lost_content: LostContentConfig = LostContentConfig()
    """What may be missing that production serves."""
    text_damage: TextDamageConfig = TextDamageConfig()
    """How much worse texts may be than production's."""
    embedding_shift: EmbeddingShiftConfig = EmbeddingShiftConfig()
    """How far vectors may move."""
    attestation: AttestationConfig = AttestationConfig()
    """Whether stored vectors are what the model makes today."""
    answers: AnswersConfig = AnswersConfig()
    """How much answers may change."""
    retrieval: RetrievalConfig = RetrievalConfig()
    """Relevance judgements, and how much worse than production a version may be."""
    index_recall: IndexRecallConfig = IndexRecallConfig()
    """How much of the exact answer the target finds."""
    freshness: FreshnessConfig = FreshnessConfig()
    """How old what is released may be."""

    def mode(self, key: GateKey) -> Mode:
        """How strict a gate is."""
        return self.modes.get(key, "block")

    def files(self) -> list[Path]:
        """Files that it names: what they hold is part of what gates demand. So are suites, of which it names the folder."""
        named = (
            self.canaries, self.attestation.golden, self.answers.queries, self.retrieval.queries, self.retrieval.judgements,
        )  # fmt: skip
        return [path for path in named if path is not None]
