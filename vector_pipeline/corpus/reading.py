"""What decides about an item's bytes, wherever they lie: its name, its size, and what was seen of it before."""

from dataclasses import dataclass

from vector_pipeline.corpus.model import Document, Item, Parsed, Quarantined, Reason, Seen
from vector_pipeline.corpus.parsing import PARSERS, parse, parser_for
from vector_pipeline.hashing import bytes_hash

UNREADABLE = "unreadable/1"
"""In ``Seen.parser`` of an item that could not be read: it is tried again each time, because permissions move no revision."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The rules of one source. A revision begins with the item's size in bytes and a dash."""

    max_size: int
    """Bytes."""

    def parser(self, item_id: str, size: int) -> str:
        """What decides about an item of this name and size."""
        if size > self.max_size:
            return f"size-limit/{self.max_size}"
        parser = parser_for(item_id)
        return parser.version if parser else "none/1"

    def parsers(self) -> frozenset[str]:
        """Every ``Seen.parser`` that is current: what another one has seen is read again. A failed read never is."""
        return frozenset({self.parser("", self.max_size + 1), "none/1", *(one.version for one in PARSERS)})

    def is_current(self, item: Item, seen: Seen | None) -> bool:
        """Whether an item needs no reading: same revision, and what would parse it now has parsed it before."""
        parser = self.parser(item.id, size_of(item.revision))
        return seen is not None and seen.revision == item.revision and seen.parser == parser

    def is_read(self, item_id: str, size: int) -> bool:
        """Whether its bytes are wanted at all: it is not too large, and something can parse it."""
        return size <= self.max_size and parser_for(item_id) is not None

    def unread(self, item_id: str, revision: str) -> Parsed:
        """Outcome for an item that is not even read."""
        size = size_of(revision)
        outcome: Document | Quarantined = parse(item_id, b"")
        if parser_for(item_id) is not None:
            detail = f"{size:,} bytes; `max_file_size` is {self.max_size:,}: split it or raise it"
            outcome = Quarantined(item_id, Reason.TOO_LARGE, detail)
        return Parsed(item_id, Seen(revision, "", self.parser(item_id, size)), outcome)

    def parsed(self, item_id: str, revision: str, data: bytes, seen: Seen | None) -> Parsed:
        """Outcome for an item that was read: bytes that are known are not parsed."""
        fresh = Seen(revision, bytes_hash(data), self.parser(item_id, size_of(revision)))
        if seen is not None and (seen.bytes_hash, seen.parser) == (fresh.bytes_hash, fresh.parser):
            return Parsed(item_id, fresh, None)
        return Parsed(item_id, fresh, parse(item_id, data))

    def bad_name(self, item: Item, detail: str) -> Parsed:
        """Outcome for an item that no document id can be made of."""
        parser = self.parser(item.id, size_of(item.revision))
        return Parsed(item.id, Seen(item.revision, "", parser), Quarantined(item.id, Reason.BAD_ID, detail))


def unreadable(item: Item, detail: str) -> Parsed:
    """Outcome for an item that is there and cannot be read: its document stays, and it is tried again each time."""
    return Parsed(item.id, Seen(item.revision, "", UNREADABLE), Quarantined(item.id, Reason.UNREADABLE, detail))


def size_of(revision: str) -> int:
    """Bytes, as a revision says."""
    return int(revision.partition("-")[0])
