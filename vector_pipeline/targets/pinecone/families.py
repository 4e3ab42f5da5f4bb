"""What an index is: its family, its name, and whether it is what a space needs. The one module that knows of index families.

Laws
----
1. A *classic* index has the one field ``_values`` and takes vectors. A schema with names of its own makes a *document* index, on
   which every vector call is refused: so is such an index here, before anything is written. The seam for that family: it would
   need reading and writing of its own, over the SDK's ``Index.documents``.
2. An index is named ``<index>-<first 8 of the fingerprint of space, dimension and metric>``; its tag ``vp-space`` names the space.
3. Nothing of an index that exists is ever changed: what differs is refused.

Source: https://docs.pinecone.io/guides/index-data/create-an-index (API 2026-07, November 2026).
"""

from pinecone import IndexModel

from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.errors import RefusedError
from vector_pipeline.hashing import fingerprint
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.checks import difference
from vector_pipeline.targets.pinecone.service import Place

SPACE_TAG = "vp-space"
_BY_TAG, _BY = "vp-by", "vector-pipeline"
_DENSE = "_values"
_UNTAGGED = "not set"


def index_name(index: str, spec: NamespaceSpec) -> str:
    """Law 2."""
    parts = {"space": spec.space, "dimension": spec.dimension, "metric": spec.metric}
    return f"{index}-{fingerprint(parts)[:8]}"


def tags_of(spec: NamespaceSpec) -> dict[str, str]:
    """Tags of an index that we make."""
    return {SPACE_TAG: spec.space, _BY_TAG: _BY}


def classic(model: IndexModel) -> bool:
    """Law 1."""
    return set(model.schema.fields) == {_DENSE}


def place_of(namespace: str, model: IndexModel) -> Place:
    """A namespace in a classic index."""
    field = model.schema.fields[_DENSE]
    space = (model.tags or {}).get(SPACE_TAG, "")
    return Place(namespace, model.name, model.host or "", int(field.dimension), str(field.metric), space)  # type: ignore[union-attr]


def require_same(spec: NamespaceSpec, place: Place) -> None:
    """The namespace that exists is as ``spec`` says, or ``RefusedError``."""
    if different := _difference(spec, place):
        raise RefusedError(
            f"namespace {spec.name} exists in Pinecone index {place.index}: {different}",
            fix="Use another namespace or drop it",
        )


def require_fit(model: IndexModel, spec: NamespaceSpec, config: PineconeTargetConfig) -> None:
    """The index is as a space needs it, or ``RefusedError``."""
    name, fix = model.name, "Give the target another `index:`, or delete that index"
    if not classic(model):
        fields = ", ".join(sorted(model.schema.fields))
        raise RefusedError(f"Pinecone index {name} is a document index (fields {fields}): it takes no vectors", fix=fix)
    if different := _difference(spec, place_of(spec.name, model)):
        raise RefusedError(f"Pinecone index {name} exists: {different} (its space is in the tag {SPACE_TAG})", fix=fix)
    if config.deletion_protection and model.deletion_protection != "enabled":
        raise RefusedError(
            f"Pinecone index {name} has no deletion protection",
            fix="Enable it in Pinecone's console, or set the target's `deletion_protection: false`",
        )


def _difference(spec: NamespaceSpec, place: Place) -> str | None:
    return difference(spec, NamespaceSpec(spec.name, place.dimension, place.metric, place.space or _UNTAGGED))
