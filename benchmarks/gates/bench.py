"""A collection as a dataset that is released again and again, without Dagster: source, lake, target and gates are real."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.gates.collections import Collection
from benchmarks.gates.models import Remembering
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.project import Project

DATASET = "collection"
CANARIES = 60
Documents = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Outcome:
    """What became of a release."""

    stopped_by: tuple[str, ...]
    """Gates that block, or the step that refused it."""
    says: str
    seconds: float

    @property
    def stopped(self) -> bool:
        return bool(self.stopped_by)


class BenchProject(Project):
    """A project whose model may change without saying so."""

    silent: Embedder | None = None
    """What stands in the model's place, under its name."""
    remembering: Remembering | None = None
    building = False

    def embedder(self, dataset: str, space: str | None = None) -> Embedder:
        if self.silent is not None:
            return self.silent
        honest = super().embedder(dataset, space)
        if not self.building or self.remembering is None:
            return honest
        return self.remembering


class Bench:
    """One collection, released once; every further release begins there."""

    def __init__(self, folder: Path, collection: Collection, embedder: dict[str, object]) -> None:
        self.folder, self.collection, self.settings = folder, collection, embedder
        self.documents: Documents = dict(collection.documents)
        self.base = folder / "base"
        self.work = folder / "work"
        self.memory: Remembering | None = None

    @property
    def name(self) -> str:
        return f"{self.collection.name}, {self.settings['model']}"

    def prepare(self) -> None:
        """Version 1 in production: with canaries that it answers, judgements and a query log."""
        self.work.mkdir(parents=True)
        self._write_questions()
        self._write(self.documents)
        with self.open() as project:
            project.building = True
            project.build(DATASET)
            project.building = False
            project.push(DATASET)
            self._write_canaries(project)
        with self.open() as project:
            _, results = project.verify(DATASET)
            blocking = [f"{one.name}: {one.summary}" for one in results if one.blocks]
            if blocking:
                raise SystemExit(f"{self.name}: the first release does not pass: {blocking}")
            project.promote(DATASET, by="benchmark")
        shutil.copytree(self.work, self.base)

    def open(self) -> BenchProject:
        project = BenchProject.load(self.work / "vector_pipeline.yaml")
        if self.memory is None:
            self.memory = Remembering(Project.embedder(project, DATASET))
        project.remembering = self.memory
        return project

    def restore(self) -> None:
        """Back to version 1."""
        shutil.rmtree(self.work)
        shutil.copytree(self.base, self.work)
        self.documents = dict(self.collection.documents)

    def release(
        self,
        documents: Documents,
        *,
        writing: Callable[[Embedder], Embedder] | None = None,
        built: Callable[[BenchProject], None] | None = None,
        pushed: Callable[[BenchProject], None] | None = None,
        build: Callable[[BenchProject], None] | None = None,
        promote: bool = False,
        moved: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Build, push and verify. ``writing``: the model that embeds meanwhile; ``built`` and ``pushed`` tamper with it.

        ``moved``: documents' new ids, for the canaries that name them.
        """
        started = time.perf_counter()
        self._write(documents)
        self._move_canaries(moved or {})
        step = "build"
        with self.open() as project:
            try:
                project.building = True
                if writing is not None:
                    project.silent = writing(project.embedder(DATASET))
                if build is not None:
                    build(project)
                else:
                    project.sync(DATASET)
                    project.chunk(DATASET)
                    project.embed(DATASET)
                project.silent, project.building = None, False
                if built is not None:
                    built(project)
                project.snapshot(DATASET)
                step = "push"
                project.push(DATASET)
                if pushed is not None:
                    pushed(project)
                step = "verify"
                _, results = project.verify(DATASET)
            except VectorPipelineError as error:
                return Outcome((f"refused by {step}",), str(error), time.perf_counter() - started)
            stopped = tuple(one.name for one in results if one.blocks)
            says = "; ".join(f"{one.name}: {one.summary}" for one in results if one.blocks)
            if not stopped and promote:
                project.promote(DATASET, by="benchmark")
                self.documents = dict(documents)
        return Outcome(stopped, says, time.perf_counter() - started)

    def _write(self, documents: Documents) -> None:
        with (self.work / "docs.jsonl").open("w", encoding="utf-8") as file:
            for name, one in documents.items():
                file.write(json.dumps({"id": name, **one}) + "\n")

    def _move_canaries(self, moved: Mapping[str, str]) -> None:
        file = self.work / "canaries.yaml"
        if not moved:
            return
        canaries = yaml.safe_load(file.read_text(encoding="utf-8"))["canaries"]
        for one in canaries:
            one["expect"] = [moved.get(name, name) for name in one["expect"]]
        text = yaml.safe_dump({"canaries": canaries}, allow_unicode=True, sort_keys=False)
        file.write_text(text, encoding="utf-8")

    def _write_questions(self) -> None:
        known = self.collection
        rows = [{"id": name, "text": text} for name, text in known.queries.items()]
        (self.work / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        lines = ["\t".join(map(str, one)) for one in known.judgements]
        (self.work / "qrels.tsv").write_text("\n".join(lines), encoding="utf-8")
        log = [json.dumps({"query": text}) for text in known.log]
        (self.work / "log.jsonl").write_text("\n".join(log), encoding="utf-8")
        self._configure(canaries=False)

    def _configure(self, *, canaries: bool) -> None:
        gates: dict[str, object] = {"retrieval": {"queries": "queries.jsonl", "judgements": "qrels.tsv"}}
        if self.collection.log:
            gates["answers"] = {"queries": "log.jsonl"}
        if canaries:
            gates["canaries"] = "canaries.yaml"
        source = {"kind": "jsonl", "path": "docs.jsonl", "title": "title", "text": "text"}
        chunker = {"max_tokens": 200, "overlap_tokens": 20, "min_tokens": 40}
        space = {"embedder": self.settings, "chunker": chunker}
        dataset = {"source": source, "shards": 16, "spaces": {"space": space}, "target": "local", "gates": gates}
        config = {"datasets": {DATASET: dataset}}
        (self.work / "vector_pipeline.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")

    def _write_canaries(self, project: BenchProject) -> None:
        """What a person would write down: questions that are answered today."""
        relevant: dict[str, set[str]] = {}
        for query, document, _ in self.collection.judgements:
            relevant.setdefault(query, set()).add(document)
        names = [name for name in self.collection.queries if name in relevant]
        target, version = project.target(DATASET), project.version(DATASET)
        vectors = project.embedder(DATASET).embed_queries([self.collection.queries[name] for name in names])
        namespace = project.deployment_of(version).namespace
        found = target.query(namespace, vectors, top_k=20, version=version.number, include_text=False)
        canaries = []
        for name, hits in zip(names, found, strict=True):
            first = list(dict.fromkeys(hit.document_id for hit in hits))[:3]
            expected = [one for one in first if one in relevant[name]]
            if expected:
                canaries.append({"query": self.collection.queries[name], "expect": expected[:1], "k": 5})
        text = yaml.safe_dump({"canaries": canaries[:CANARIES]}, allow_unicode=True, sort_keys=False)
        (self.work / "canaries.yaml").write_text(text, encoding="utf-8")
        self._configure(canaries=True)
