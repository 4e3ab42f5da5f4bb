"""Projects of several environments, each in a folder of its own; seals come from variables."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.conftest import page
from vector_pipeline.project import Project

SEAL = "TIERS_SEAL"
Open = Callable[..., Project]


def tier(folder: Path | str, **more: object) -> dict[str, object]:
    """An environment with everything in ``folder``."""
    return {
        "lake": {"catalog": f"sqlite:///{folder}/catalog.sqlite", "data": f"{folder}/data"},
        "registry": f"sqlite:///{folder}/registry.sqlite",
        "targets": {"local": {"path": f"{folder}/index"}},
        **more,
    }


def write(folder: Path, environments: Mapping[str, object], *, pages: int = 4, **dataset: object) -> Path:
    """A configuration file, and documents."""
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    for number in range(pages):
        (folder / "documents" / f"page{number}.md").write_text(page(number, 2), encoding="utf-8")
    space = {"embedder": {"kind": "deterministic", "model": "seed", "dimension": 16}}
    handbook = {
        "source": {"root": "documents", "include": ["**/*.md"]}, "shards": 2, "spaces": {"tiny": space}, "target": "local",
        **dataset,
    }  # fmt: skip
    file = folder / "vector_pipeline.yaml"
    file.write_text(
        yaml.safe_dump({"environments": dict(environments), "datasets": {"handbook": handbook}}, sort_keys=False)
    )
    return file


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a project in an environment; all are closed afterwards."""
    with ExitStack() as stack:
        yield lambda file, environment: stack.enter_context(Project.load(file, environment=environment))


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Sets the secret that seals are made of, or takes it away."""

    def use(secret: str | None) -> None:
        if secret is None:
            monkeypatch.delenv(SEAL, raising=False)
        else:
            monkeypatch.setenv(SEAL, secret)

    return use


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, to see that nothing was written. SQLite's shared memory is no content."""
    return {
        str(one.relative_to(folder)): one.read_bytes()
        for one in sorted(folder.rglob("*")) if one.is_file() and not one.name.endswith(("-shm", "-wal"))
    }  # fmt: skip
