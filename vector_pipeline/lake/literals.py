"""Values as SQL, for statements that every process runs: with the first parameter of a statement DuckDB imports pandas, which takes
a fifth to half a second of a command that has nothing else to do with it.
"""

from collections.abc import Sequence
from datetime import datetime

from vector_pipeline.corpus.record_sql import quoted

Value = str | int | float | bool | datetime | None
"""What ``literal`` takes. Times have no zone, and are UTC."""


def literal(value: Value | Sequence[Value]) -> str:
    """A value as SQL says it; a sequence as a list."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        # DuckDB's reader of statements ends at the first NUL.
        return f"({' || chr(0) || '.join(map(quoted, value.split(chr(0))))})" if "\0" in value else quoted(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # NumPy's are floats too, and are written with their type.
        return f"{quoted(repr(float(value)))}::DOUBLE"
    if isinstance(value, datetime):
        return f"{quoted(value.isoformat(sep=' '))}::TIMESTAMP"
    return f"[{', '.join(map(literal, value))}]"
