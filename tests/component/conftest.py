"""The example project, copied and loaded as Dagster loads it: with an embedder that needs no model."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from vector_pipeline.assets.partitions import range_tags
from vector_pipeline.resources.project import close_projects

EXAMPLE = Path(__file__).parents[2] / "examples" / "existing_project"
TINY = "tiny: {embedder: {kind: deterministic, model: seed, dimension: 128}}"


@dataclass(frozen=True)
class Existing:
    """A project on disk."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "vector_pipeline.yaml"

    @property
    def attributes(self) -> Path:
        return self.folder / "src" / "support_desk" / "defs" / "search" / "defs.yaml"

    @property
    def articles(self) -> Path:
        return self.folder / "data" / "articles.csv"

    def load(self) -> dg.Definitions:
        """Its definitions, read anew."""
        for name in [one for one in sys.modules if one.partition(".")[0] == "support_desk"]:
            del sys.modules[name]
        from support_desk.definitions import defs  # type: ignore[import-not-found]

        return defs()  # type: ignore[no-any-return]


@pytest.fixture
def existing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Existing]:
    """The example, in the test's own folder."""
    left = shutil.ignore_patterns(".vector_pipeline", "storage", "__pycache__")
    made = Existing(Path(shutil.copytree(EXAMPLE, tmp_path / "desk", ignore=left)))
    made.config.write_text(made.config.read_text().replace("minilm: {}", TINY))
    monkeypatch.syspath_prepend(made.folder / "src")
    yield made
    close_projects()
    for name in [one for one in sys.modules if one.partition(".")[0] == "support_desk"]:
        del sys.modules[name]


Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run() -> Iterator[Run]:
    """Materialise an asset of theirs, or run a job of ours over every shard, on one instance."""
    with dg.DagsterInstance.ephemeral() as instance:

        def go(
            defs: dg.Definitions, what: str, *, shards: int = 4, partition: str | None = None
        ) -> dg.ExecuteInProcessResult:
            if "__" in what:
                job, tags = defs.resolve_job_def(what), range_tags(0, shards - 1)
                return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
            key = dg.AssetKey.from_user_string(what)
            asset, resources = defs.resolve_assets_def(key), defs.resources or {}
            return dg.materialize([asset], instance=instance, resources=resources, partition_key=partition)

        yield go
