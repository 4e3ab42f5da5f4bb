"""What an application imports: ``open_index`` gives the live version of a dataset, and follows it."""

from vector_pipeline.serving.answers import Answer, Health, Hit, PartHealth
from vector_pipeline.serving.asynchronous import AsyncIndex, open_async_index
from vector_pipeline.serving.metering import ArmMetrics, Metrics
from vector_pipeline.serving.reader import Index, open_index

__all__ = [
    "Answer",
    "ArmMetrics",
    "AsyncIndex",
    "Health",
    "Hit",
    "Index",
    "Metrics",
    "PartHealth",
    "open_async_index",
    "open_index",
]
