"""How a DuckDB connection takes results whole.

DuckDB 1.5.5 makes a result as it is read, at most ``streaming_buffer_size`` (976 KiB) ahead. A union of several tables whose rows
fill that buffer then may wait for a reader who waits for it, for ever: seen in a fetch of 300 records over changed segments of the
embedded target, with one thread and with two. With a buffer that no result fills, it never waits.
"""

WHOLE = "SET SESSION streaming_buffer_size = '1TB'"
"""For a connection whose results are read to their end at once. What is read while it is made sorts or aggregates its unions."""
