"""A vector index over assets that somebody has already: a factory, and a component for YAML.

    from vector_pipeline.dagster import vector_index

    defs = dg.Definitions.merge(mine, vector_index("support_articles", upstream="support_articles"))

Laws
----
1. Nothing of the code location that it is merged into is changed: no key, resource, executor or logger of somebody else's.
2. ``vector_pipeline.yaml`` says what an index is, here as everywhere: readers and commands find the same one.
3. An upstream asset is read, through its own I/O manager or by the dataset's source; it is never run.
"""

from vector_pipeline.dagster.component import VectorIndexComponent
from vector_pipeline.dagster.factory import UpstreamAsset, vector_index

__all__ = ["UpstreamAsset", "VectorIndexComponent", "vector_index"]
