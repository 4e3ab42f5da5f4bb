"""What a sentence-transformers folder says of itself, read without torch: weights, dimension, token limit, tokenizer.

Laws
----
1. ``weights_digest`` covers every file that can move a vector (weights, tokenizer, configuration of the model and of
   each of its modules) and nothing else: a changed README is no other model, one changed weight is.
2. It is computed from the bytes on every start. Hashing costs 0.06 s for 90 MB here; remembering digests on disk by
   size and time would save that and could miss a swap. Within a process a file whose stat is unchanged is not read
   again.
3. What the files do not say is None; the caller then asks the loaded model.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vector_pipeline.errors import CorruptError, NotFoundError

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")  # the libraries take the first kind that is there
_TOKENIZER = ("vocab.txt", "merges.txt", "*.model", "vocab.json")
_NOT_READ = {"data_config.json", "train_results.json", "eval_results.json", "all_results.json", "trainer_state.json"}
_KEEPS_WIDTH = {"Normalize", "Dropout", "LayerNorm"}
_LEGACY_POOLING = (
    "pooling_mode_cls_token",
    "pooling_mode_max_tokens",
    "pooling_mode_mean_tokens",
    "pooling_mode_mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens",
    "pooling_mode_lasttoken",
)
_NO_LIMIT = 10**6
"""transformers writes 1e30 where a tokenizer has no limit."""

_hashed: dict[tuple[str, int, int], str] = {}


@dataclass(frozen=True, slots=True)
class Module:
    """One step of a model: the last part of its class name, and its folder."""

    kind: str
    folder: Path


def read_json(path: Path) -> Any:
    """Parsed content, or an empty mapping where there is no such file. Raises ``CorruptError``."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CorruptError(f"{path} cannot be read: {error}", fix="Install the model again") from None


def modules_of(folder: Path) -> list[Module]:
    """The model's steps in order; a plain transformer without ``modules.json`` gets mean pooling from the library."""
    listed = read_json(folder / "modules.json")
    if not listed:
        return [Module("Transformer", folder)]
    try:
        return [Module(str(item["type"]).rsplit(".", 1)[-1], folder / item["path"]) for item in listed]
    except (KeyError, TypeError):
        raise CorruptError(f"{folder / 'modules.json'} does not list modules", fix="Install the model again") from None


def is_model(folder: Path) -> bool:
    """Whether this folder holds a sentence-transformers model, or a transformer that can be one."""
    return (folder / "modules.json").is_file() or ((folder / "config.json").is_file() and bool(_weights(folder)))


def weights_digest(folder: Path) -> str:
    """SHA-256 over the sorted relative names and contents of the files that move vectors: 32 hex characters.

    Raises:
        NotFoundError: the folder has no weights.
    """
    places = dict.fromkeys([folder, *(module.folder for module in modules_of(folder))])
    if not any(_weights(place) for place in places):
        raise NotFoundError(f"no weights (*.safetensors) in {folder}", fix="Install or copy the model again, complete")
    files = {file for place in places for file in [*_weights(place), *_settings(place)]}
    return digest_of(folder, files)


def digest_of(folder: Path, files: set[Path]) -> str:
    """SHA-256 over names (relative to ``folder``) and contents of files, in sorted order: 32 hex characters."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.relative_to(folder).as_posix()):
        total.update(f"{file.relative_to(folder).as_posix()}\0{file_digest(file)}\n".encode())
    return total.hexdigest()[:32]


def file_digest(file: Path) -> str:
    """SHA-256 of a file, read once per process while its size and time of change stay the same: 64 hex characters."""
    try:
        stat = file.stat()
        key = (str(file), stat.st_size, stat.st_mtime_ns)
        if key not in _hashed:
            with file.open("rb") as stream:
                _hashed[key] = hashlib.file_digest(stream, "sha256").hexdigest()
        return _hashed[key]
    except OSError as error:
        raise NotFoundError(f"{file} cannot be read: {error.strerror}", fix="Install the model again") from None


def native_dimension(folder: Path) -> int | None:
    """Width of the model's vectors before any cut; None where the files do not say."""
    width: int | None = None
    for module in modules_of(folder):
        config = read_json(module.folder / "config.json")
        if module.kind == "Transformer":
            width = _first_int(config, "hidden_size", "dim", "d_model", "n_embd")
        elif module.kind == "Pooling":
            width = _first_int(config, "embedding_dimension", "word_embedding_dimension")
            width = width * _pooling_modes(config) if width else None
        elif module.kind == "Dense":
            width = _first_int(config, "out_features")
        elif module.kind not in _KEEPS_WIDTH:
            return None
    return width


def author_dimension(folder: Path) -> int | None:
    """Width that the model's author cuts its vectors to, if any."""
    return _first_int(read_json(folder / "config_sentence_transformers.json"), "truncate_dim")


def is_matryoshka(folder: Path) -> bool:
    """Whether the model says that its first components stand alone: in its configuration, or on its model card."""
    if author_dimension(folder) or read_json(folder / "config.json").get("matryoshka_dimensions"):
        return True
    try:
        return "matryoshka" in (folder / "README.md").read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return False


def sequence_limit(folder: Path) -> int | None:
    """Tokens that the model reads of a text, special tokens included; None where the files name no limit."""
    first = modules_of(folder)[0]
    if first.kind != "Transformer":
        return None
    for file in sorted(first.folder.glob("sentence_*_config.json")):
        if limit := _first_int(read_json(file), "max_seq_length"):
            return limit
    limits = [
        _first_int(read_json(first.folder / "tokenizer_config.json"), "model_max_length"),
        position_limit(folder),
    ]
    return min((limit for limit in limits if limit and limit < _NO_LIMIT), default=None)


def position_limit(folder: Path) -> int | None:
    """Most tokens that the architecture has positions for; None where it has no such limit."""
    first = modules_of(folder)[0]
    return _first_int(read_json(first.folder / "config.json"), "max_position_embeddings")


def tokenizer_path(folder: Path) -> Path:
    """The model's ``tokenizer.json``. Raises ``NotFoundError``."""
    for place in dict.fromkeys([modules_of(folder)[0].folder, folder]):
        if (place / "tokenizer.json").is_file():
            return place / "tokenizer.json"
    raise NotFoundError(
        f"no tokenizer.json in {folder}",
        fix="Save the model again with a recent sentence-transformers, which writes one",
    )


def _weights(folder: Path) -> list[Path]:
    return next((found for pattern in _WEIGHTS if (found := sorted(folder.glob(pattern)))), [])


def _settings(folder: Path) -> list[Path]:
    found = [file for pattern in ("*.json", *_TOKENIZER) for file in folder.glob(pattern)]
    return [file for file in found if file.is_file() and file.name not in _NOT_READ]


def _first_int(config: Any, *keys: str) -> int | None:
    values = (config.get(key) for key in keys) if isinstance(config, dict) else ()
    return next((int(value) for value in values if isinstance(value, int | float) and value > 0), None)


def _pooling_modes(config: dict[str, Any]) -> int:
    """Pooled vectors that are put side by side."""
    mode = config.get("pooling_mode")
    if mode is not None:
        return 1 if isinstance(mode, str) else len(mode)
    return sum(bool(config.get(key)) for key in _LEGACY_POOLING) or 1
