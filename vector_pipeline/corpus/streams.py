"""Results of DuckDB that are read while they are made: what goes wrong after the first batches is its error too.

DuckDB tells it through Arrow's C interface, of which PyArrow makes an ``OSError`` without a number, whatever it was.
"""

import duckdb
import pyarrow as pa

_MARK = " Error: "
_KINDS: dict[str, type[duckdb.Error]] = {
    "Out of Memory": duckdb.OutOfMemoryException,
    "INTERRUPT": duckdb.InterruptException,
    "IO": duckdb.IOException,
    "HTTP": duckdb.HTTPException,
    "Serialization": duckdb.SerializationException,
    "Catalog": duckdb.CatalogException,
}
"""Those that a caller tells from the others, by what DuckDB's messages begin with."""


def next_batch(reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
    """The next batch of a result of DuckDB's, None after the last. Raises ``duckdb.Error`` where it cannot be made."""
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None
    except OSError as error:
        raise told(error) or error from None


def told(error: OSError) -> duckdb.Error | None:
    """DuckDB's own error, as it raises it outside a stream; None: it is the system's."""
    kind, mark, _ = str(error).partition(_MARK)
    if error.errno is not None or not mark:
        return None
    return _KINDS.get(kind, duckdb.Error)(str(error))
