"""Counting tokens without weights: the only file that imports tokenizers.

Laws
----
1. ``count`` is the length of the whole text in tokens. A ``tokenizer.json`` may say that texts are cut or padded
   (all-MiniLM's says both: 128): that is switched off here, or every long text would count as a short one.
2. Special tokens are not counted; ``limit`` is what remains of the model's sequence after them and after the prompt.
3. Counters are picklable: the library's object is loaded again where it arrives.
"""

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vector_pipeline.embedding.base import TokenCounter
from vector_pipeline.embedding.layout import file_digest
from vector_pipeline.errors import ConfigError, CorruptError

_WORD = re.compile(r"\w+")


class HuggingFaceTokens(TokenCounter):
    """A ``tokenizer.json``, through the tokenizers library. Raises ``CorruptError`` when first used if it is none."""

    def __init__(self, path: Path, limit: int | None = None) -> None:
        self.name = f"huggingface-{file_digest(path)[:16]}"
        self.limit = limit
        self._path = path
        self._loaded: Any = None
        self._cuts = False
        self._lock = threading.Lock()

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens, in one call of the library (all cores)."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    @property
    def specials(self) -> int:
        """Tokens that the model adds to every text."""
        return int(self._tokenizer.num_special_tokens_to_add(False))

    @property
    def tokenizer_file(self) -> str | None:
        """The file's path; None where it cuts or pads, since a library that reads it would count wrongly."""
        self._tokenizer  # noqa: B018 - loads the file, which tells
        return None if self._cuts else str(self._path)

    @property
    def _tokenizer(self) -> Any:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Any:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self._path))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception for whatever is wrong in the file
            raise CorruptError(f"{self._path} is no tokenizer: {error}", fix="Install the model again") from None
        self._cuts = tokenizer.truncation is not None or tokenizer.padding is not None
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self._path, "name": self.name, "limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.name, self.limit, self._path = state["name"], state["limit"], state["path"]
        self._loaded, self._cuts, self._lock = None, False, threading.Lock()


def model_tokens(path: Path, sequence: int | None, prompt: str) -> HuggingFaceTokens:
    """Counter of a model that reads ``sequence`` tokens, special ones and the document prompt included.

    Raises:
        ConfigError: nothing would remain for the text.
    """
    tokens = HuggingFaceTokens(path)
    if sequence is not None:
        taken = tokens.specials + (tokens.count(prompt) if prompt else 0)
        if sequence <= taken:
            raise ConfigError(
                f"embedder.max_tokens is {sequence}, and special tokens and the prompt take {taken} of them",
                fix="Raise max_tokens or shorten document_prompt",
            )
        tokens.limit = sequence - taken
    return tokens


class WordTokens(TokenCounter):
    """Words (runs of letters, digits and underscores): the deterministic embedder's tokens."""

    name = "words-1"

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit

    def count(self, text: str) -> int:
        return len(self.words(text))

    def words(self, text: str) -> list[str]:
        """The words of a text, lower-cased by Unicode's case folding."""
        return _WORD.findall(text.casefold())
