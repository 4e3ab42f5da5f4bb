"""A sample of a source's documents: a function of their ids, and of nothing else.

Laws
----
1. A document is in the sample when the second eight hex digits of its id's hash are below ``share`` of all there are: the same ones
   on every machine, in every build, whatever else the source lists. The first eight make its shard: a sample has something of each.
2. A larger share contains the smaller one.
3. Documents that are named are in it, whatever their hash. Naming none that exists is no error.
"""

import hashlib
from dataclasses import dataclass

from vector_pipeline.corpus.patterns import expression, names
from vector_pipeline.hashing import fingerprint

_ALL = 16**8
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Sample:
    """Which documents of a source are built."""

    share: float
    """Above 0, below 1."""
    also: tuple[str, ...] = ()
    """Ids and patterns (``corpus.patterns``), sorted: law 3."""

    @property
    def bound(self) -> int:
        """Hashes below it are in the sample."""
        return round(self.share * _ALL)

    @property
    def digest(self) -> str:
        """Changes when the sample may."""
        return fingerprint({"share": self.share, "also": list(self.also)})

    def keeps(self, document_id: str) -> bool:
        """Laws 1 and 3 for one document."""
        number = int(hashlib.sha256(document_id.encode()).hexdigest()[8:16], 16)
        return number < self.bound or any(names(one, document_id) for one in self.also)

    def hashed(self, column: str) -> str:
        """Law 1 as DuckDB has it."""
        return f"('0x' || substr(sha256({column}), 9, 8))::UBIGINT < {self.bound}"

    def pattern(self) -> str | None:
        """Law 3 as one regular expression of RE2, to be matched whole, a dot matching a line's end; None: no pattern is named."""
        wild = [expression(one) for one in self.also if not _WILD.isdisjoint(one)]
        return "|".join(f"(?:{one})" for one in wild) if wild else None
