"""Counting tokens as the model does."""

import pickle
from pathlib import Path

import pytest

from vector_pipeline.embedding.layout import tokenizer_path
from vector_pipeline.embedding.sentence_transformers import SentenceTransformerEmbedder
from vector_pipeline.embedding.static import StaticEmbedder
from vector_pipeline.embedding.tokens import HuggingFaceTokens, WordTokens, model_tokens
from vector_pipeline.errors import ConfigError, CorruptError, NotFoundError

from .conftest import TEXTS


def test_counts_are_those_of_the_model_itself(minilm: SentenceTransformerEmbedder) -> None:
    minilm.embed_queries(["load"])
    library = minilm._loaded.tokenizer
    for text in TEXTS:
        assert minilm.tokens.count(text) == len(library(text, add_special_tokens=False, truncation=False)["input_ids"])


def test_a_long_text_is_counted_whole_although_the_file_cuts(minilm: SentenceTransformerEmbedder) -> None:
    assert minilm.tokens.count("word " * 600) == 600
    assert minilm.tokens.tokenizer_file is None  # a library that reads it would count 128


def test_a_file_that_does_not_cut_is_offered(wordllama: StaticEmbedder) -> None:
    assert wordllama.tokens.tokenizer_file is not None
    assert Path(wordllama.tokens.tokenizer_file).is_file()


def test_the_limit_leaves_room_for_special_tokens_and_prompt(minilm_folder: Path) -> None:
    path = tokenizer_path(minilm_folder)
    assert model_tokens(path, 256, "").limit == 254
    assert model_tokens(path, 256, "passage: ").limit == 252
    assert model_tokens(path, None, "passage: ").limit is None
    with pytest.raises(ConfigError, match=r"embedder\.max_tokens is 4"):
        model_tokens(path, 4, "passage: ")


def test_counters_survive_pickling(minilm: SentenceTransformerEmbedder) -> None:
    for tokens in (minilm.tokens, WordTokens(5)):
        again = pickle.loads(pickle.dumps(tokens))
        assert (again.name, again.limit, again.count("one two")) == (tokens.name, tokens.limit, 2)


def test_the_name_is_the_files_digest(minilm_folder: Path, tmp_path: Path) -> None:
    original = tokenizer_path(minilm_folder)
    (tmp_path / "same.json").write_bytes(original.read_bytes())
    (tmp_path / "other.json").write_bytes(original.read_bytes() + b" ")
    assert HuggingFaceTokens(tmp_path / "same.json").name == HuggingFaceTokens(original).name
    assert HuggingFaceTokens(tmp_path / "other.json").name != HuggingFaceTokens(original).name


def test_a_damaged_or_missing_tokenizer_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CorruptError, match="is no tokenizer"):
        HuggingFaceTokens(tmp_path / "tokenizer.json").count("a")
    with pytest.raises(NotFoundError, match=r"no tokenizer\.json"):
        tokenizer_path(tmp_path / "empty")


def test_words() -> None:
    assert WordTokens().count("Don't panic, snake_case 42!") == 5
    assert WordTokens().count(" … ") == 0
