"""How many tokens a text and each of its slices have, fast: each different word is tokenised once in a process.

A splitter asks for the length of the same text some ten times in different slices, and words repeat. So a text is cut at
blanks, words are counted through a cache, and a slice is a difference of prefix sums. That is exact where a tokenizer cuts at
blanks first (BERT's pre-tokenizer): a text's count is the sum of its words'. ``exact`` says so. For others the chunker counts
each chunk as a whole afterwards, and cuts again where it is too long.
"""

import json
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from vector_pipeline.errors import NotFoundError

Span = tuple[int, int]
# Only what every tokenizer holds for a blank: BERT drops control characters and joins what stands beside them.
_WORD = re.compile(r"[^ \t\n\r]+")
_CACHE_WORDS = 500_000
_NEAR = 4_000


class Tokens(Protocol):
    """What the chunker needs of an embedder's tokenizer (see ``embedding.base.TokenCounter``)."""

    name: str
    limit: int | None

    def count(self, text: str) -> int:
        """Tokens without special ones."""

    @property
    def tokenizer_file(self) -> str | None:
        """Path of a ``tokenizer.json``, or None."""


class Meter:
    """Counts tokens of one embedder. ``exact``: counts of words add up to the count of the text."""

    def __init__(self, count: Callable[[Sequence[str]], list[int]], *, exact: bool) -> None:
        self.exact = exact
        self._count = count
        self._words: dict[str, int] = {}

    def count(self, text: str) -> int:
        """Tokens of a text, by the tokenizer itself."""
        return self._count([text])[0]

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """Tokens of several texts, by the tokenizer itself."""
        return self._count(texts) if texts else []

    def word(self, word: str) -> int:
        """Tokens of a word, from the cache if it was counted before."""
        known = self._words.get(word)
        return self.count(word) if known is None else known

    def words(self, words: Sequence[str]) -> list[int]:
        """Tokens of each word, through the cache."""
        if len(self._words) > _CACHE_WORDS:
            self._words.clear()
        fresh = list(set(words) - self._words.keys())
        self._words.update(zip(fresh, self.count_all(fresh), strict=True))
        return [self._words[word] for word in words]


class Ruler:
    """Counts slices of one text."""

    def __init__(self, text: str, meter: Meter) -> None:
        self._text = text
        self._meter = meter
        spans = [match.span() for match in _WORD.finditer(text)]
        self._starts = array("Q", [start for start, _ in spans])
        self._ends = array("Q", [end for _, end in spans])
        sizes = meter.words([text[start:end] for start, end in spans])
        self._sums = array("Q", accumulate(sizes, initial=0))

    def count(self, start: int, end: int) -> int:
        """Tokens of ``text[start:end]``. Words that the slice cuts are counted anew."""
        first, last = bisect_left(self._starts, start), bisect_right(self._ends, end)
        if last < first:  # Inside one word.
            return self._meter.word(self._text[start:end])
        total = self._sums[last] - self._sums[first]
        if first and self._ends[first - 1] > start:
            total += self._meter.word(self._text[start : self._ends[first - 1]])
        if last < len(self._starts) and self._starts[last] < end:
            total += self._meter.word(self._text[self._starts[last] : end])
        return total

    def counter(self, start: int, end: int) -> Callable[[str], int]:
        """A function that counts slices of ``text[start:end]``, given as texts."""
        text, position = self._text, start

        def count(piece: str) -> int:
            # A splitter moves forward, and back by an overlap: look near where it was, then everywhere. A slice that is
            # found elsewhere is the same text, so its count is the same.
            nonlocal position
            found = text.find(piece, max(position - _NEAR, start), min(position + len(piece) + _NEAR, end))
            position = found if found >= 0 else text.find(piece, start, end)
            return self.count(position, position + len(piece))

        return count


def meter_for(tokens: Tokens) -> Meter:
    """The fastest right way to count with ``tokens``. Raises ``NotFoundError`` where its tokenizer file is gone."""
    if tokens.tokenizer_file is not None:
        return _from_file(tokens.tokenizer_file)
    count = tokens.count
    return Meter(lambda texts: [count(text) for text in texts], exact=False)


@lru_cache(maxsize=4)
def _from_file(file: str) -> Meter:
    from tokenizers import Tokenizer

    try:
        source = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        what = f"tokenizer {file} cannot be read: {error.strerror}"
        raise NotFoundError(what, fix="Install the embedder's model again") from None
    tokenizer: Any = Tokenizer.from_str(source)
    # Both are meant for the model's input; here they would cap and pad the counts.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    before = json.loads(source).get("pre_tokenizer") or {}

    def count(texts: Sequence[str]) -> list[int]:
        return [len(encoding) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    return Meter(count, exact=before.get("type") == "BertPreTokenizer")
