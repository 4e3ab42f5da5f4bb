"""Data expectations on documents, chunks and embeddings: suites in Great Expectations' words, counted in DuckDB.

``suite`` what must hold, as data; ``reading`` suites from files; ``meaning`` what an expectation is in SQL; ``counting`` evaluates;
``engine`` Great Expectations itself, where SQL will not do; ``lacking`` texts without a vector; ``verdict`` one gate's result;
``gate`` the three gates; ``datadocs`` Great Expectations' own pages.
"""

from vector_pipeline.verify.expectations.gate import (
    Evaluated,
    evaluated,
    expect,
    judge_chunks,
    judge_documents,
    judge_embeddings,
)
from vector_pipeline.verify.expectations.suite import Kind

__all__ = ["Evaluated", "Kind", "evaluated", "expect", "judge_chunks", "judge_documents", "judge_embeddings"]
