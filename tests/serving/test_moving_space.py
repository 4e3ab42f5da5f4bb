"""A reader while production moves into another space, whose model takes its time to be found and loaded."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import write_project
from tests.serving.conftest import namespace_of
from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding import factory
from vector_pipeline.embedding.base import Vectors
from vector_pipeline.embedding.deterministic import DeterministicEmbedder
from vector_pipeline.embedding.tokens import WordTokens
from vector_pipeline.project import Project
from vector_pipeline.serving import open_index, warming

ASKED = "about page 1"
_SPACE = """      big:
        embedder: {kind: deterministic, model: big, dimension: 64}
        chunker: {max_tokens: 60, overlap_tokens: 5, min_tokens: 10}
    serving: SERVING
"""


class Model(DeterministicEmbedder):
    """Of the new space: its files can be read once ``found``, its weights once ``loaded``."""

    def __init__(self, config: EmbedderConfig) -> None:
        self.found, self.loaded, self.texts = threading.Event(), threading.Event(), list[str]()
        self.found.set()
        super().__init__(config)

    @property
    def tokens(self) -> WordTokens:  # type: ignore[override]
        assert self.found.wait(120)
        return self._tokens

    @tokens.setter
    def tokens(self, tokens: WordTokens) -> None:
        self._tokens = tokens

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        self.texts.extend(texts)
        assert self.loaded.wait(120)
        return super().embed_queries(texts)


@pytest.fixture(scope="module")
def two_spaces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 of one space in production, version 2 of another one verified. Only copied."""
    config = write_project(tmp_path_factory.mktemp("spaces"), 2, shards=1)
    text = config.read_text(encoding="utf-8").replace("    target:", _SPACE + "    target:")
    for serving in ("tiny", "big"):
        config.write_text(text.replace("SERVING", serving), encoding="utf-8")
        with Project.load(config) as project:
            project.build("handbook")
            project.push("handbook")
            project.verify("handbook")
            if serving == "tiny":
                project.promote("handbook", by="test")
    return config.parent


@pytest.fixture
def project(two_spaces: Path, tmp_path: Path) -> Iterator[Project]:
    folder = shutil.copytree(two_spaces, tmp_path / "project")
    with Project.load(folder / "vector_pipeline.yaml") as project:
        yield project


@pytest.fixture
def model(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """In the place of the new space's embedder in this process."""
    config = project.dataset("handbook").spaces["big"].embedder
    made = Model(config)
    monkeypatch.setitem(factory._open, factory.opened_as(made, config), made)
    yield made
    made.found.set()
    made.loaded.set()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_cut_over_waits_for_the_model_and_health_says_what_is_served(project: Project, model: Model) -> None:
    with open_index("handbook", project=project.base, max_staleness_s=0) as index:
        assert index.search(ASKED).version == 1
        project.promote("handbook", by="test")
        for _ in range(3):
            answer = index.search(ASKED)
            assert (answer.version, answer.space, answer.arm) == (1, "tiny", "production")
        eventually(lambda: model.texts == ["ready"])
        health = index.health()
        assert (health.ok, health.version, health.space) == (True, 1, "tiny")
        model.loaded.set()
        eventually(lambda: index.search(ASKED).version == 2)
        health = index.health()
        assert (health.ok, health.version, health.space) == (True, 2, "big")
        assert model.texts.count("ready") == 1


def test_no_query_waits_while_the_files_of_a_model_are_read(project: Project, model: Model) -> None:
    model.found.clear()
    with open_index("handbook", project=project.base, max_staleness_s=0) as index:
        assert index.search(ASKED).version == 1
        project.promote("handbook", by="test")
        # The registry and the target are asked at each: neither waits for the space.
        assert [index.search(ASKED).version for _ in range(3)] == [1, 1, 1]
        assert index.health().version == 1
        model.found.set()
        model.loaded.set()
        eventually(lambda: index.search(ASKED).version == 2)


def test_loading_begins_with_the_news_and_not_with_the_next_query(project: Project, model: Model) -> None:
    with open_index("handbook", project=project.base, max_staleness_s=3600) as index:
        assert index.search(ASKED).version == 1
        project.promote("handbook", by="test")
        index.refresh()
        eventually(lambda: model.texts == ["ready"])
        model.loaded.set()
        eventually(lambda: index.search(ASKED).version == 2)


def test_a_reader_that_was_idle_goes_back_to_nothing(
    project: Project, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "WARM_S", 0.0)  # However short: the registry named version 1 longer ago.
    with open_index("handbook", project=project.base, max_staleness_s=0) as index, ThreadPoolExecutor(1) as threads:
        assert index.search(ASKED).version == 1
        project.promote("handbook", by="test")
        answer = threads.submit(index.search, ASKED)
        eventually(lambda: ASKED in model.texts)
        model.loaded.set()
        assert answer.result().version == 2


def test_a_reader_that_was_never_asked_loads_with_its_first_query(project: Project, model: Model) -> None:
    with open_index("handbook", project=project.base, max_staleness_s=0) as index, ThreadPoolExecutor(1) as threads:
        project.promote("handbook", by="test")
        index.refresh()
        assert index.health().version == 2
        assert model.texts == []
        answer = threads.submit(index.search, ASKED)
        eventually(lambda: ASKED in model.texts)
        model.loaded.set()
        assert answer.result().version == 2


def test_where_the_version_before_is_gone_the_present_one_is_asked_at_once(project: Project, model: Model) -> None:
    with (
        open_index("handbook", project=project.base, max_staleness_s=0, retries=0) as index,
        ThreadPoolExecutor(1) as threads,
    ):
        assert index.search(ASKED).version == 1
        project.promote("handbook", by="test")
        project.target("handbook").drop_namespace(namespace_of(project, 1), fence=1000)
        answer = threads.submit(index.search, ASKED)
        eventually(lambda: ASKED in model.texts)
        assert index.health().version == 2
        model.loaded.set()
        assert answer.result().version == 2


def test_a_route_takes_nobody_before_its_model_is_there(project: Project, model: Model) -> None:
    project.route("handbook", 2, 1.0, by="test", reason="to try it")
    with open_index("handbook", project=project.base, max_staleness_s=0) as index:
        assert {index.search(ASKED, key="a").arm for _ in range(3)} == {"production"}
        eventually(lambda: model.texts == ["ready"])
        model.loaded.set()
        eventually(lambda: index.search(ASKED, key="a").arm == "route")
        assert index.metrics().arms["route"].errors == 0
