"""What an accusation of added vectors is worth: the model itself is asked, where it is.

Laws
----
1. Numbers accuse. Tables, error messages or another language may lie as far from a collection as vectors of another model do.
2. The model decides: some of the accused texts, and some of production's, are embedded again. Vectors are of one model where both
   come out as they are stored (``build.comparing``): one that changed under its name makes the accused alone.
3. Where the model is not here an accusation stands.
"""

from dataclasses import dataclass

from vector_pipeline.build.comparing import look_again
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.stored import Stored, read_stored
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.sampling import VectorSample

SOME = 20
"""Texts of each side. Of a group of which a fifth is another model's, all are right once in a hundred times."""


@dataclass(frozen=True, slots=True)
class Again:
    """How many of the stored vectors the model made again."""

    accused: int = 0
    accused_wrong: int = 0
    production: int = 0
    production_wrong: int = 0
    why_not: str = ""
    """Why the model was not asked; empty: it was."""

    @property
    def cleared(self) -> bool:
        """Whether both sides are of one model."""
        return not self.why_not and not self.accused_wrong and not self.production_wrong

    def says(self) -> str:
        """For people, behind an accusation."""
        if self.why_not:
            return f"the model was not asked: {self.why_not}"
        if self.accused_wrong:
            return f"{self.accused_wrong} of {self.accused} are not what the model makes of their texts"
        return f"the model makes them, and not production's ({self.production_wrong} of {self.production} come out otherwise)"


def embed_again(context: GateContext, accused: VectorSample, base: VectorSample) -> Again:
    """Law 2. ``accused`` of the candidate, ``base`` of production."""
    assert context.production is not None
    try:
        embedder = context.embedder(context.candidate)
        mine = _looked(context, embedder, context.candidate, accused)
        theirs = _looked(context, embedder, context.production, base)
    except VectorPipelineError as error:
        return Again(why_not=error.what)
    return Again(*mine, *theirs)


def _looked(context: GateContext, embedder: Embedder, side: Side, sample: VectorSample) -> tuple[int, int]:
    """(texts, wrong ones)."""
    some = sample.first(SOME)
    chosen = list(zip(some.shards.tolist(), some.content_hashes, strict=True))
    rows = read_stored(context.lake, side.tables, side.chunks, chosen)
    looked = look_again(embedder, Stored(rows, sample.total, 0, 0), context.gates.attestation.max_distance)
    return rows.num_rows, len(looked.wrong) + looked.missing
