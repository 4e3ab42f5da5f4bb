"""Vector indexes as deployment targets: build, plan, push, verify, promote, roll back.

from vector_pipeline import open_index

with open_index("handbook") as index:
    for hit in index.query("How do I roll back?", top_k=5, filter={"folder": "guides"}):
        print(hit.score, hit.document, hit.text)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vector_pipeline.serving import Answer, AsyncIndex, Hit, Index, open_async_index, open_index

__version__ = "0.1.0"
__all__ = ["Answer", "AsyncIndex", "Hit", "Index", "__version__", "open_async_index", "open_index"]


def __getattr__(name: str) -> Any:
    # An import of the package alone costs nothing: errors and configuration are read without a database engine.
    if name != "__version__" and name in __all__:
        from vector_pipeline import serving

        return getattr(serving, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
