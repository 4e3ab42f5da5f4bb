"""The embedded target: a folder of immutable DuckDB files. See ``target`` for its laws."""

from vector_pipeline.targets.duckdb.target import DuckDBTarget

__all__ = ["DuckDBTarget"]
