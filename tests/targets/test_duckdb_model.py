"""A DuckDB target against a dictionary: any sequence of writes, compactions and reopenings reads as the model does."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.targets.base import LIVE, NamespaceSpec
from vector_pipeline.targets.duckdb import DuckDBTarget, compaction
from vector_pipeline.targets.duckdb.folder import Folder
from vector_pipeline.testing.target_records import SPACE, make_derived, make_metadata, make_records

IDS = [f"d{index % 4}#{index:02d}" for index in range(16)]
SUBSETS = st.lists(st.sampled_from(IDS), min_size=1, max_size=8, unique=True)
VERSIONS = st.integers(1, 5)
GRID = st.integers(-2, 2)


class Model(RuleBasedStateMachine):
    """``model``: id to (vector, added_in, removed_in, text, metadata hash)."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.target = DuckDBTarget("model", self.root)
        self.reader = DuckDBTarget("reader", self.root, read_only=True)
        self.target.ensure_namespace(NamespaceSpec("ns", 2, "dotproduct", SPACE))
        self.model: dict[str, tuple[tuple[float, float], int, int, str, str]] = {}
        self.writes = 0

    @rule(ids=SUBSETS, at=VERSIONS, x=GRID, y=GRID)
    def upsert(self, ids: list[str], at: int, x: int, y: int) -> None:
        self.writes += 1
        vectors = np.array([(x + index, y) for index in range(len(ids))], np.float32)
        text = f"write {self.writes}"
        self.target.upsert("ns", make_records(ids, vectors, added_in=at, text=text))
        for index, name in enumerate(ids):
            self.model[name] = ((float(x + index), float(y)), at, LIVE, text, f"m-{name}")

    @rule(ids=SUBSETS, at=VERSIONS | st.just(LIVE))
    def set_removed(self, ids: list[str], at: int) -> None:
        receipt = self.target.set_removed("ns", pa.array(ids), at)
        assert receipt.records == sum(name in self.model and self.model[name][2] != at for name in ids)
        for name in set(ids) & set(self.model):
            vector, added_in, _, text, described = self.model[name]
            self.model[name] = (vector, added_in, at, text, described)

    @rule(ids=SUBSETS, sources=SUBSETS, at=VERSIONS, until=VERSIONS | st.just(LIVE))
    def derive(self, ids: list[str], sources: list[str], at: int, until: int) -> None:
        self.writes += 1
        wanted = dict(zip(ids, sources, strict=False))
        records = make_derived(wanted, added_in=at, removed_in=until, metadata_hash=f"d{self.writes}")
        if any(source in wanted and source != name for name, source in wanted.items()):
            error: type[Exception] = InputError
        elif set(wanted.values()) - set(self.model):
            error = RefusedError
        else:
            assert self.target.derive("ns", records).records == len(wanted)
            taken = {name: self.model[source] for name, source in wanted.items()}
            for name, (vector, _, _, text, _) in taken.items():
                self.model[name] = (vector, at, until, text, f"d{self.writes}")
            return
        with pytest.raises(error):
            self.target.derive("ns", records)

    @rule(ids=SUBSETS)
    def set_metadata(self, ids: list[str]) -> None:
        self.writes += 1
        told = {name: {"write": self.writes} for name in ids}
        receipt = self.target.set_metadata("ns", make_metadata(told, f"s{self.writes}"))
        assert receipt.records == len(set(ids) & set(self.model))
        for name in set(ids) & set(self.model):
            self.model[name] = (*self.model[name][:4], f"s{self.writes}")

    @rule(ids=SUBSETS)
    def delete(self, ids: list[str]) -> None:
        assert self.target.delete("ns", pa.array(ids)).records == len(set(ids) & set(self.model))
        for name in ids:
            self.model.pop(name, None)

    @rule()
    def compact(self) -> None:
        before = self.target.describe("ns")
        self.target.compact("ns")
        after = self.target.describe("ns")
        assert before is not None
        assert after is not None
        assert before.mark == after.mark

    @rule()
    def reopen(self) -> None:
        self.target.close()
        self.target = DuckDBTarget("model", self.root)

    @rule(x=GRID, y=GRID, top_k=st.integers(1, 20), version=st.none() | VERSIONS)
    def query(self, x: int, y: int, top_k: int, version: int | None) -> None:
        visible = {name: row for name, row in self.model.items() if version is None or row[1] <= version < row[2]}
        expected = sorted((-(x * row[0][0] + y * row[0][1]), name) for name, row in visible.items())[:top_k]
        hits = self.reader.query("ns", np.array([[x, y]], np.float32), top_k=top_k, version=version)[0]
        assert [(hit.id, hit.score, hit.text) for hit in hits] == [
            (name, -score, visible[name][3]) for score, name in expected
        ]

    @invariant()
    def reads_as_the_model(self) -> None:
        if not hasattr(self, "root"):
            return
        marks: list[dict[str, Any]] = [row for batch in self.reader.scan("ns") for row in batch.to_pylist()]
        assert [(row["id"], row["added_in"], row["removed_in"], row["metadata_hash"]) for row in marks] == [
            (name, self.model[name][1], self.model[name][2], self.model[name][4]) for name in sorted(self.model)
        ]
        state = self.reader.describe("ns")
        assert state is not None
        assert state.records == len(self.model)
        folder = Folder(self.root / "ns")
        pointer = folder.pointer()
        assert pointer is not None
        manifest = folder.load(pointer)
        assert len(manifest.segments) <= compaction.MAX_SEGMENTS
        assert len(manifest.changes) <= compaction.MAX_CHANGES

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self.target.close()
            self.reader.close()
            shutil.rmtree(self.root)


def _machine(examples: int, steps: int) -> type:
    case = type(f"Test{examples}", (Model.TestCase,), {})
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    return case


TestModel = _machine(8, 15)
TestModelAtLength = pytest.mark.slow(_machine(40, 50))
