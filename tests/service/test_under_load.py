"""Cut-overs and rollbacks under clients that never stop asking: no request fails, and no answer is mixed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.conftest import write_project
from tests.process.test_reader import DOCUMENTS, release, text
from tests.service.conftest import QUERY, Serve
from tests.service.test_process import until
from vector_pipeline.project import Project

CLIENTS = 2
PAUSE_S = 0.005
"""Between two requests of a client, so that the releases beside them get their turn on a small machine."""


@dataclass
class Clients:
    """What they saw."""

    url: str
    stop: threading.Event = field(default_factory=threading.Event)
    answers: list[tuple[int, tuple[int, ...], int]] = field(default_factory=list)
    """Version that it says, releases of its hits, documents."""
    failures: list[str] = field(default_factory=list)

    def ask(self, several: bool) -> None:
        body = {"query": ["common words of all pages"] * (2 if several else 1), "top_k": DOCUMENTS}
        # Without TLS nobody needs certificates, which take longest to load.
        with httpx.Client(base_url=self.url, timeout=60, verify=False) as client:
            while not self.stop.wait(PAUSE_S):
                try:
                    found = client.post(QUERY, json=body)
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                if found.status_code != 200:
                    self.failures.append(found.text)
                    continue
                said = found.json()
                hits = [hit for one in said["results"] for hit in one["hits"]]
                releases = {int(hit["text"].partition("in release")[2].split()[0]) for hit in hits}
                documents = {hit["document"] for hit in hits}
                self.answers.append((said["version"], tuple(releases), len(documents)))

    def told(self) -> str:
        """How things stand."""
        return f"{len(self.answers)} answers, the last {self.answers[-CLIENTS:]}; failures: {self.failures}"

    def saw(self, version: int) -> bool:
        """Whether the last answers are of a version."""
        assert self.failures == []
        return bool(self.answers) and all(one[0] == version for one in self.answers[-CLIENTS:])


@pytest.mark.parametrize("moves", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_no_request_fails_while_production_moves(tmp_path: Path, serve: Serve, moves: int) -> None:
    config = write_project(tmp_path, {f"page{n}.md": text(n, 0) for n in range(DOCUMENTS)}, shards=2)
    with Project.load(config) as project:
        says = {release(project, 0, "auto"): 0}
        clients = Clients(serve(config).url)
        with ThreadPoolExecutor(CLIENTS) as threads:
            asking = [threads.submit(clients.ask, number % 2 == 0) for number in range(CLIENTS)]
            try:
                for number in range(1, moves + 1):
                    version = release(project, number, ("versioned", "blue-green")[number % 2])
                    says[version] = number
                    until(lambda version=version: clients.saw(version), clients.told)  # type: ignore[misc]
                    back = project.rollback("handbook", by="writer")[0].deployment.version
                    until(lambda back=back: clients.saw(back), clients.told)  # type: ignore[misc]
            finally:
                clients.stop.set()
        for one in asking:
            one.result()
    assert clients.failures == []
    for version, releases, documents in clients.answers:
        assert (releases, documents) == ((says[version],), DOCUMENTS)
    assert {version for version, *_ in clients.answers} == set(says)
