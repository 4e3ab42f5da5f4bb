"""A model on OpenVINO: the same vectors in float32, near ones in bfloat16, and what is refused."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from vector_pipeline.build.attesting import declared, same_declaration
from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding import openvino
from vector_pipeline.embedding.base import Vectors
from vector_pipeline.embedding.factory import open_embedder
from vector_pipeline.embedding.sentence_transformers import SentenceTransformerEmbedder
from vector_pipeline.errors import ConfigError, CorruptError

from .conftest import TEXTS, need


def config(**fields: Any) -> EmbedderConfig:
    return EmbedderConfig.model_validate({"backend": "openvino", **fields})


def apart(one: Vectors, other: Vectors) -> float:
    """Greatest cosine distance of a pair."""
    return float(1 - (one.astype(np.float64) * other).sum(axis=1).min())


@pytest.fixture(scope="session")
def bfloat16() -> SentenceTransformerEmbedder:
    need("bfloat16")
    return SentenceTransformerEmbedder(config(precision="bfloat16"))


@pytest.mark.slow
def test_in_float32_it_gives_what_torch_gives(
    minilm: SentenceTransformerEmbedder, compiled: SentenceTransformerEmbedder
) -> None:
    assert compiled.fingerprint == minilm.fingerprint
    np.testing.assert_allclose(compiled.embed_documents(TEXTS), minilm.embed_documents(TEXTS), atol=2e-6)
    prompted = SentenceTransformerEmbedder(config(query_prompt="query: ", max_tokens=10))
    wanted = SentenceTransformerEmbedder(EmbedderConfig(query_prompt="query: ", max_tokens=10, device="cpu"))
    np.testing.assert_allclose(prompted.embed_queries(TEXTS), wanted.embed_queries(TEXTS), atol=2e-6)


@pytest.mark.slow
def test_bfloat16_is_another_space_near_the_first(
    minilm: SentenceTransformerEmbedder, bfloat16: SentenceTransformerEmbedder
) -> None:
    assert bfloat16.fingerprint != minilm.fingerprint
    texts = [" ".join(TEXTS[:4]) * n + f" {n}" for n in range(1, 12)] + [TEXTS[0]] * 2
    made, wanted = bfloat16.embed_documents(texts), minilm.embed_documents(texts)
    assert 1e-7 < apart(made, wanted) < 2e-4
    # Nothing is padded, so that neighbours move nothing: attestation compares vectors of different batches.
    alone = np.concatenate([bfloat16.embed_documents([text]) for text in texts])
    assert apart(made, alone) < 1e-6


@pytest.mark.slow
def test_threads_share_it(compiled: SentenceTransformerEmbedder) -> None:
    texts = [f"{text} {n}" for n in range(8) for text in TEXTS[:4]]
    wanted = compiled.embed_documents(texts)
    found: dict[int, Vectors] = {}

    def embed(place: int) -> None:
        found[place] = compiled.embed_documents(texts[place::4])

    threads = [threading.Thread(target=embed, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in range(4):
        np.testing.assert_allclose(found[place], wanted[place::4], atol=2e-6)


@pytest.mark.slow
def test_nothing_is_sent_or_written(tmp_path: Path) -> None:
    need("float32")
    code = (
        "import sys\nfrom vector_pipeline.config import EmbedderConfig\n"
        "from vector_pipeline.embedding.sentence_transformers import SentenceTransformerEmbedder as Embedder\n"
        "Embedder(EmbedderConfig(backend='openvino')).embed_queries(['a'])\n"
        "print('openvino' in sys.modules, 'openvino_telemetry' in sys.modules)"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True, env=environment
    )
    assert (done.stdout, done.stderr) == ("True False\n", "")
    assert list(tmp_path.iterdir()) == []  # its reporter would leave its identity here


@pytest.mark.slow
def test_a_converted_model_that_gives_other_vectors_is_refused(compiled: SentenceTransformerEmbedder) -> None:
    import torch

    class Sums(torch.nn.Module):
        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return torch.stack([(input_ids * attention_mask).sum(1), input_ids[:, 0]], 1).float()

    read = {
        "input_ids": torch.tensor([[1, 2, 0], [3, 4, 5]]),
        "attention_mask": torch.tensor([[1, 1, 0], [1, 1, 1]]),
    }
    core, right = openvino.open_core("float32"), np.array([[3.0, 1.0], [12.0, 3.0]])
    made = openvino.CompiledModel(core, Sums().eval(), read, right, "float32", "sums")
    ids, mask = np.array([[0, 7, 8], [0, 9, 1], [0, 0, 6]]), np.array([[0, 1, 1], [0, 1, 1], [0, 0, 1]])
    np.testing.assert_array_equal(made.encode(ids, mask, batch_size=4), [[15, 7], [10, 9], [6, 6]])
    with pytest.raises(CorruptError, match="gives other vectors of sums than torch does"):
        openvino.CompiledModel(core, Sums().eval(), read, right[::-1], "float32", "sums")


def test_a_pass_holds_texts_of_one_length_and_not_too_many_tokens() -> None:
    lengths = [3, 1000, 3, 1, 1000, 1000, 3, 3]
    mask = np.zeros((len(lengths), 1000), np.int64)
    for row, length in enumerate(lengths):
        mask[row, -length:] = 1
    passes = [(rows.tolist(), len(columns)) for rows, columns in openvino._passes(mask[:7], 2)]
    assert passes == [([1, 4], 1000), ([5], 1000), ([0, 2], 3), ([6], 3), ([3], 1)]
    assert [len(rows) for rows, _ in openvino._passes(mask[[1, 4, 5]], 32)] == [2, 1]


def test_the_fingerprint_of_the_default_is_what_it_was() -> None:
    assert SentenceTransformerEmbedder(EmbedderConfig()).fingerprint == "d72617750ea036ba"
    assert SentenceTransformerEmbedder(config()).fingerprint == "d72617750ea036ba"
    assert SentenceTransformerEmbedder(config(precision="bfloat16")).fingerprint != "d72617750ea036ba"


def test_a_backend_declares_nothing_and_a_precision_does() -> None:
    assert declared(config()) == declared(EmbedderConfig())
    assert same_declaration(declared(config(precision="bfloat16")), declared(EmbedderConfig())) is False


def test_a_backend_has_an_embedder_of_its_own() -> None:
    assert open_embedder(config(), Path()) is not open_embedder(EmbedderConfig(), Path())
    assert open_embedder(config(), Path()) is open_embedder(config(), Path())


def test_a_missing_package_is_named_before_weights_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ConfigError, match="backend openvino needs openvino") as refused:
        SentenceTransformerEmbedder(config()).embed_queries(["a"])
    assert refused.value.fix == "pip install 'vector-pipeline[openvino]'"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"backend": "torch", "precision": "bfloat16"}, "precision bfloat16 needs another backend than torch"),
        ({"device": "cuda"}, "backend openvino runs on the CPU, not on cuda"),
    ],
)
def test_what_a_backend_cannot_do(fields: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        SentenceTransformerEmbedder(config(**fields))


@pytest.mark.parametrize("kind", ["static", "deterministic"])
def test_other_kinds_have_no_backend(kind: str) -> None:
    with pytest.raises(ValidationError, match="belong to kind: sentence-transformers"):
        config(kind=kind)
