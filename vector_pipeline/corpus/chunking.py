"""Documents to chunks: at headings first, then blocks, sentences, words; never longer than the embedder reads.

Laws
----
1. ``document.text[chunk.start:chunk.end] == chunk.text``; every character that is not blank lies in some chunk; none is empty.
2. ``embedded_text`` has at most ``min(max_tokens, the model's limit)`` tokens, as far as a single character allows.
3. The same document, settings and tokenizer give the same chunks for ever; ``version`` changes when they could differ.
4. An edit moves the borders of chunks only below the heading that it stands under (``sections``, law 2).
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.metadata import version

from vector_pipeline.config import ChunkerConfig
from vector_pipeline.corpus.metering import Meter, Ruler, Span, Tokens, meter_for
from vector_pipeline.corpus.model import Chunk, Document
from vector_pipeline.corpus.sections import Section, join_small, sections, whole

MARKDOWN = "text/markdown"


class Chunker:
    """Cuts documents by ``config``, counting with the embedder's ``tokens``. Construction is cheap; one per process is enough."""

    def __init__(self, config: ChunkerConfig, tokens: Tokens) -> None:
        self.config = config
        self._tokens = tokens
        self._limit = min(config.max_tokens, tokens.limit or config.max_tokens)

    @property
    def version(self) -> str:
        """Algorithm and libraries: part of a space's fingerprint."""
        if self.config.kind == "whole":
            return "whole/1"
        libraries = ("semantic-text-splitter", "markdown-it-py")
        return "structure/1" + "".join(f"+{library}-{version(library)}" for library in libraries)

    def chunk(self, document: Document) -> list[Chunk]:
        """The chunks of a document in order; none for a blank text."""
        if not document.text.strip():
            return []
        if self.config.kind == "whole":
            return [_whole(document, self.config.heading_context)]
        return _Cut(document, self.config, self._limit, self._meter).chunks()

    @cached_property
    def _meter(self) -> Meter:
        return meter_for(self._tokens)


def _whole(document: Document, heading_context: bool) -> Chunk:
    text, title = document.text, document.title
    joined = text if not heading_context or not title or _begins_with(text, title) else f"{title}\n{text}"
    return Chunk(0, 0, len(text), text, joined)


class _Cut:
    """One document being cut."""

    def __init__(self, document: Document, config: ChunkerConfig, limit: int, meter: Meter) -> None:
        self.document = document
        self.text = document.text
        self.config = config
        self.limit = limit
        self.meter = meter
        self.ruler = Ruler(document.text, meter)
        self._contexts: dict[tuple[str, ...], tuple[str, int]] = {}

    def chunks(self) -> list[Chunk]:
        parts = sections(self.text) if self.document.media_type == MARKDOWN else [whole(self.text)]
        sized = [(part, self.ruler.count(part.start, part.end)) for part in parts]
        made: list[Chunk] = []
        for section, size in join_small(sized, self.config.min_tokens, self._room):
            for number, (start, end) in enumerate(self._spans(section, size)):
                text = self.text[start:end]
                context = self._context(section, section.path if number else section.above)[0]
                made.append(Chunk(len(made), start, end, text, context + text, section.path))
        return made

    def _spans(self, section: Section, size: int) -> list[Span]:
        """A section as one span if it fits, else cut."""
        one = [(section.start, section.end)]
        return one if size <= self._room(section) and not self._excess(section, one) else self._split(section)

    def _room(self, section: Section) -> int:
        """Tokens that a section may have to become one chunk."""
        return self.limit - self._context(section, section.above)[1]

    def _context(self, section: Section, path: tuple[str, ...]) -> tuple[str, int]:
        """What stands before a chunk's text, and its tokens: title and path, shortened from the left to half the limit."""
        if not self.config.heading_context:
            return "", 0
        title = self.document.title
        known = not title or title in section.path[:1] or (not path and _begins_with(self.text[section.start :], title))
        parts = path if known else (title, *path)
        if parts not in self._contexts:
            self._contexts[parts] = self._shortened(parts)
        return self._contexts[parts]

    def _shortened(self, parts: tuple[str, ...]) -> tuple[str, int]:
        for first in range(len(parts)):
            context = " > ".join(parts[first:]) + "\n\n"
            size = self.meter.count(context)
            if size <= self.limit // 2:
                return context, size
        return "", 0

    def _split(self, section: Section) -> list[Span]:
        """Spans of a section that is too long. Its heading stays with the first of them."""
        first = self._context(section, section.above)[1] + self.meter.count(self.text[section.start : section.body])
        begin = section.body
        if first > self.limit // 2 or begin >= section.end:  # A heading as long as a chunk is cut like any text.
            first, begin = self._context(section, section.above)[1], section.start
        capacity = max(self.limit - max(first, self._context(section, section.path)[1]), 1)
        count = self.ruler.counter(begin, section.end)
        while True:
            spans = self._pieces(begin, section.end, capacity, count)
            spans = [(section.start, spans[0][1]), *spans[1:]] if spans else [(section.start, section.end)]
            excess = self._excess(section, spans)
            if not excess or capacity == 1:
                return spans
            capacity = max(capacity - excess, 1)

    def _pieces(self, begin: int, end: int, capacity: int, count: Callable[[str], int]) -> list[Span]:
        from semantic_text_splitter import MarkdownSplitter, TextSplitter

        splitter = MarkdownSplitter if self.document.media_type == MARKDOWN else TextSplitter
        overlap = min(self.config.overlap_tokens, capacity // 2)
        cut = splitter.from_callback(count, capacity, overlap).chunk_indices(self.text[begin:end])
        return [(begin + start, begin + start + len(piece)) for start, piece in cut]

    def _excess(self, section: Section, spans: Sequence[Span]) -> int:
        """Most tokens above the limit of any chunk of these spans; 0 without counting where sums of words are exact."""
        if self.meter.exact:
            return 0
        paths = [section.above, *[section.path] * (len(spans) - 1)]
        texts = [self._context(section, path)[0] + self.text[a:b] for path, (a, b) in zip(paths, spans, strict=True)]
        return max(0, *(size - self.limit for size in self.meter.count_all(texts)))


def _begins_with(text: str, title: str) -> bool:
    """Whether a text begins with its title, as a heading or not."""
    return text[: len(title) + 20].lstrip("# \n").startswith(title)
