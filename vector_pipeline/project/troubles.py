"""What a dataset names and what is not there: seen from its files alone. Opens no lake, no model and no target.

What is found stops this dataset's next run, and nothing of anybody else's.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from vector_pipeline.config import DatasetConfig, FileSourceConfig, RecordSourceConfig
from vector_pipeline.errors import NotFoundError, VectorPipelineError

_WILD = "*?["


def troubles(dataset: DatasetConfig, base: Path) -> list[str]:
    """Each as one line: what, where, what to do. ``base``: folder of the configuration file. Empty where all is there."""
    looks: list[Callable[[], None]] = [
        lambda: _source(dataset, base),
        lambda: _models(dataset, base),
        lambda: _files(dataset, base),
        lambda: _canaries(dataset, base),
        lambda: _suites(dataset, base),
    ]
    return list(_said(looks))


def _said(looks: list[Callable[[], None]]) -> Iterator[str]:
    for look in looks:
        try:
            look()
        except VectorPipelineError as error:
            yield str(error)


def _source(dataset: DatasetConfig, base: Path) -> None:
    source = dataset.source
    if isinstance(source, FileSourceConfig):
        folder = base / source.root.expanduser()
        if not folder.is_dir():
            raise NotFoundError(f"the source's folder {folder} does not exist", fix="Make it, or correct `root:`")
    elif isinstance(source, RecordSourceConfig) and source.path is not None and "://" not in source.path:
        file = base / Path(source.path).expanduser()
        if not any(mark in source.path for mark in _WILD) and not file.exists():
            raise NotFoundError(f"the source's file {file} does not exist", fix="Make it, or correct `path:`")


def _models(dataset: DatasetConfig, base: Path) -> None:
    for name, space in dataset.spaces.items():
        model = space.embedder.model
        if model.startswith(("./", "../", "/")) and not (base / model).exists():
            raise NotFoundError(f"space {name} names the model {model}, which does not exist", fix="Correct `model:`")


def _files(dataset: DatasetConfig, base: Path) -> None:
    for path in dataset.gates.files():
        if not (base / path).is_file():
            raise NotFoundError(
                f"the gates name {base / path}, which does not exist", fix="Make it, or correct `gates:`"
            )


def _canaries(dataset: DatasetConfig, base: Path) -> None:
    path = dataset.gates.canaries
    if path is not None and (base / path).is_file():
        from vector_pipeline.verify.canaries.file import read_canaries

        read_canaries(base / path)


def _suites(dataset: DatasetConfig, base: Path) -> None:
    folder = dataset.gates.expectations
    if folder is None:
        return
    if not (base / folder).is_dir():
        raise NotFoundError(
            f"the gates name the folder {base / folder}, which does not exist",
            fix="Make it, or correct `expectations:`",
        )
    from vector_pipeline.verify.expectations.reading import suite_of
    from vector_pipeline.verify.expectations.suite import KINDS

    for kind in KINDS:
        suite_of(kind, dataset.gates, base)
