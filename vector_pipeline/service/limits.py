"""What a service takes from its clients, at most. How wide and how deep a filter may be: ``serving.questions``."""

from dataclasses import dataclass

MAX_QUERIES = 64
"""Texts of one request."""
MAX_TEXT = 32_768
"""Characters of one text: more than any model reads."""
MAX_TOP_K = 1_000
MAX_KEY = 512
"""Characters of a key."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one process."""

    max_concurrency: int = 64
    """Requests that are answered at once; what comes then is told to come again: 503. As many as the reader has threads."""
    timeout_s: float = 30.0
    """Of one request, in seconds: 504."""
    body_bytes: int = 1 << 20
    """Of one request: 413."""

    max_readers: int = 16
    """Open at once for targets and spaces that clients name, beside one for each dataset: 503 where all are busy."""

    @property
    def max_reading(self) -> int:
        """Bodies that are received at once: slow clients take no place from those whose request is here."""
        return 4 * self.max_concurrency
