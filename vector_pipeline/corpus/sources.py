"""Sources that list items, each with a revision: what is new is told from the listing, and only that is read.

Records (``records``) are none of them: there the rows themselves are compared.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from vector_pipeline.config import FileSourceConfig, S3SourceConfig
from vector_pipeline.corpus.model import Item, Parsed, Seen

ListedConfig = FileSourceConfig | S3SourceConfig


class ListedSource(Protocol):
    """Files in a folder, objects in a bucket."""

    @property
    def where(self) -> str:
        """Its address, for people."""

    def list(self) -> Iterator[Item]:
        """Every item, in the order of ids. ``ConfigError`` or ``UnavailableError`` where it cannot be listed whole."""

    def is_current(self, item: Item, seen: Seen | None) -> bool:
        """Whether an item needs no reading: same revision, and what would parse it now has parsed it before."""

    def parsers(self) -> frozenset[str]:
        """Every ``Seen.parser`` that is current: what another one has seen is read again."""

    def read(self, items: Iterable[Item], seen: Mapping[str, Seen]) -> Iterator[Parsed]:
        """One outcome for each item; nothing for one that vanished meanwhile."""


def listed_source(config: ListedConfig, base: Path) -> ListedSource:
    """The source that a configuration names. ``base`` is the folder of the configuration file."""
    if isinstance(config, S3SourceConfig):
        from vector_pipeline.corpus.s3 import S3Source

        return S3Source(config)
    from vector_pipeline.corpus.files import FileSource

    return FileSource(config, base)
