"""Documents from S3. Listing costs a request a thousand objects; an object is downloaded only if its ETag or size changed.

Laws
----
1. A revision is size and ETag; where a service gives no ETag, size and time. An object that is written again as it was is not read.
2. What lies below the prefix is a path: patterns, suffixes and hidden names mean what they mean of files. A name that ends in a
   slash is a folder's mark, and no document.
3. One object that may not be read is quarantined, and its document stays; a service that does not answer is an error of the whole.
4. No more than ``downloads`` objects are in memory at once, and each no larger than ``max_file_size``.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from vector_pipeline.config import S3SourceConfig
from vector_pipeline.corpus.globs import GlobSet
from vector_pipeline.corpus.model import Item, Parsed, Seen
from vector_pipeline.corpus.reading import Reading, size_of, unreadable
from vector_pipeline.corpus.s3_access import ATTEMPTS, S3Access, code_of, refusals

_GONE = frozenset(("NoSuchKey", "404", "NotFound"))
_REFUSED = {
    "AccessDenied": "allow s3:GetObject on it, or exclude it",
    "403": "allow s3:GetObject on it, or exclude it",
    "InvalidObjectState": "it is archived: restore it, or exclude it",
}
_BROKEN = frozenset(("IncompleteReadError", "ReadTimeoutError", "ResponseStreamingError", "ConnectionClosedError"))
"""botocore repeats requests, not the reading of an answer that has begun."""


@dataclass(frozen=True, slots=True)
class _Fetched:
    revision: str
    data: bytes


class S3Source:
    """Objects below a prefix of a bucket."""

    def __init__(self, config: S3SourceConfig) -> None:
        self.config = config
        self._access = S3Access(config)
        self._reading = Reading(config.max_file_size)
        self._include = GlobSet(config.include)
        self._exclude = GlobSet(config.exclude, hidden=True)
        self._unfit: set[str] = set()

    @property
    def where(self) -> str:
        """``s3://bucket/prefix/``."""
        return self.config.where

    def list(self) -> Iterator[Item]:
        """Every object that matches, in the order of its key. ``ConfigError`` or ``UnavailableError`` where it cannot be listed."""
        with self._access.client(self.where) as client:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self.config.bucket, Prefix=self.config.prefix
            )
            for page in pages:
                for one in page.get("Contents", ()):
                    key = str(one["Key"])[len(self.config.prefix) :]
                    if key and not key.endswith("/") and self._wanted(key):
                        yield Item(self._id(key), _revision(one["Size"], one.get("ETag"), one.get("LastModified")))

    def is_current(self, item: Item, seen: Seen | None) -> bool:
        """Whether an item needs no reading."""
        return self._reading.is_current(item, seen)

    def parsers(self) -> frozenset[str]:
        """Every ``Seen.parser`` that is current."""
        return self._reading.parsers()

    def read(self, items: Iterable[Item], seen: Mapping[str, Seen]) -> Generator[Parsed]:
        """One outcome for each item, in order; nothing for an object that vanished meanwhile."""
        with (
            self._access.client(self.where) as client,
            ThreadPoolExecutor(self.config.downloads, thread_name_prefix="s3-download") as pool,
        ):
            try:
                for item, fetched in self._ahead(pool, client, items):
                    if isinstance(fetched, _Fetched):
                        yield self._reading.parsed(item.id, fetched.revision, fetched.data, seen.get(item.id))
                    elif fetched is not None:
                        yield fetched
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _id(self, key: str) -> str:
        if "\0" not in key:
            return key
        # No catalog holds a NUL: PostgreSQL refuses it in text.
        escaped = key.replace("\0", "\\0")
        self._unfit.add(escaped)
        return escaped

    def _wanted(self, key: str) -> bool:
        return self._include.matches(key) and not self._excluded(key)

    def _excluded(self, key: str) -> bool:
        """Whether a pattern names the object or a folder above it: nothing below an excluded folder is listed."""
        position = self._exclude.start()
        for name in key.split("/"):
            position = self._exclude.step(position, name)
            if position.matched:
                return True
        return False

    def _ahead(
        self, pool: ThreadPoolExecutor, client: Any, items: Iterable[Item]
    ) -> Iterator[tuple[Item, _Fetched | Parsed | None]]:
        """Law 4: as many are fetched as may be held, and one is taken out before the next begins."""
        source = iter(items)
        waiting: deque[tuple[Item, Future[_Fetched | Parsed | None]]] = deque(
            (item, pool.submit(self._fetch, client, item)) for item in islice(source, self.config.downloads)
        )
        while waiting:
            item, future = waiting.popleft()
            yield item, future.result()
            for following in islice(source, 1):
                waiting.append((following, pool.submit(self._fetch, client, following)))

    def _fetch(self, client: Any, item: Item) -> _Fetched | Parsed | None:
        if item.id in self._unfit:
            return self._reading.bad_name(item, "the key holds a NUL character: no document id can be made of it")
        if not self._reading.is_read(item.id, size_of(item.revision)):
            return self._reading.unread(item.id, item.revision)
        try:
            return self._get(client, item)
        except refusals() as error:
            code = code_of(error)
            if code in _GONE:
                return None
            if code in _REFUSED:
                return unreadable(item, f"S3 refuses it ({code}): {_REFUSED[code]}")
            raise

    def _get(self, client: Any, item: Item) -> _Fetched | Parsed:
        """The bytes with the revision that they belong to: the object may have changed since it was listed."""
        retrying = Retrying(
            retry=retry_if_exception(lambda error: type(error).__name__ in _BROKEN),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.2, max=5.0),
            reraise=True,
        )
        for attempt in retrying:
            with attempt:
                found = client.get_object(Bucket=self.config.bucket, Key=self.config.prefix + item.id)
                # Not the body as a context: that is the stream below botocore's, with urllib3's errors.
                with closing(found["Body"]) as body:
                    size = int(found["ContentLength"])
                    revision = _revision(size, found.get("ETag"), found.get("LastModified"))
                    if not self._reading.is_read(item.id, size):
                        return self._reading.unread(item.id, revision)
                    return _Fetched(revision, body.read())
        raise AssertionError("tenacity re-raises")  # pragma: no cover


def _revision(size: int, etag: str | None, modified: Any) -> str:
    name = etag.strip('"') if etag else f"{modified.timestamp():.3f}"
    return f"{int(size)}-{name}"
