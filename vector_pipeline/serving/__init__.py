"""What an application imports: ``open_index`` gives the live version of a dataset, and follows it."""

from vector_pipeline.serving.reader import Hit, Index, open_index

__all__ = ["Hit", "Index", "open_index"]
