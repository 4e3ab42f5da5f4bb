"""Numbers as people read them: bytes, counts, moments."""

from collections.abc import Sequence
from datetime import UTC, datetime

_UNITS = ("B", "KB", "MB", "GB", "TB")


def human_bytes(amount: float) -> str:
    """``540 B``, ``33.1 KB``, ``2 GB``: powers of 1000, as in the configuration."""
    value = float(amount)
    for unit in _UNITS[:-1]:
        if abs(value) < 999.95:
            return f"{value:.1f}".removesuffix(".0") + f" {unit}"
        value /= 1000
    return f"{value:.1f}".removesuffix(".0") + f" {_UNITS[-1]}"


def plural(count: int, noun: str) -> str:
    """``1 record``, ``1,200 records``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def moment(at: datetime | None) -> str:
    """``2026-11-21 11:35``, always UTC; ``-`` for none."""
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def first_of(names: Sequence[str], most: int = 3) -> str:
    """``a, b, c and 4 more``."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
