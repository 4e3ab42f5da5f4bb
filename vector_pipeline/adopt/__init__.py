"""Adopt an index that grew by hand: look at it, match it with the source, keep what was paid for, and make a baseline of it.

Laws
----
1. Looking writes nothing: not to the target, not to the lake, not to the registry. Source and chunks are worked out in a
   temporary lake that is thrown away.
2. A vector is kept only where the text is the source's *and* the model is the space's, as shown by embedding a sample anew; and
   only if its bytes are still those that were looked at.
3. The index that was found is never written to. What is managed from then on is a line of its own, filled by a push.
4. Memory holds hashes and scalars of the index's records, and one batch of its vectors.
"""

from vector_pipeline.adopt.adoption import Adopted, AdoptionPlan, examine
from vector_pipeline.adopt.inventory import Inventory
from vector_pipeline.adopt.keeping import keep_vectors
from vector_pipeline.adopt.listing import Listed, list_namespaces, owner_of
from vector_pipeline.adopt.matching import Matched
from vector_pipeline.adopt.model_check import ModelCheck

__all__ = [
    "Adopted",
    "AdoptionPlan",
    "Inventory",
    "Listed",
    "Matched",
    "ModelCheck",
    "examine",
    "keep_vectors",
    "list_namespaces",
    "owner_of",
]
