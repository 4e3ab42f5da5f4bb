"""What the conformance suite cannot know: values at the edges, other hands in SQL, HNSW, purging, marks over time."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from tests.pgvector.conftest import MakeTarget
from tests.pgvector.test_conformance import config_of
from vector_pipeline.errors import ConflictError, InputError, RefusedError, UnavailableError
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.pgvector import PgvectorTarget, upkeep
from vector_pipeline.targets.pgvector.tables import table_name
from vector_pipeline.testing.target_records import SPACE, Namespace, make_metadata, make_records, unit_vectors

IDS = [f"doc{index % 3}#{index:02d}" for index in range(10)]
EXACT = [
    '{"a": 1.0, "b": 1, "c": -0, "d": -0.0, "e": 1e2, "f": 100.0}',
    '{"big": 123456789012345678901234567890, "tiny": 1e-400, "huge": 1e400, "long": 0.12345678901234567890}',
    '{"twice": 1, "twice": 2}',
    '{"nul\\u0000": "a\\u0000b", "not": "\\\\u0000", "mark": "\ue000", "\\ue000": ["\ue0000", {"\\u0000": 1}]}',
    '{"nested": [[{"x": null}], [], {}], "": ""}',
]


@pytest.fixture
def target(shared_database: str) -> Iterator[PgvectorTarget]:
    opened = PgvectorTarget("pg", config_of(shared_database))
    yield opened
    opened.close()


@pytest.fixture
def space(target: PgvectorTarget) -> Namespace:
    namespace = Namespace(target)
    namespace.create()
    return namespace


def sql(space: Namespace, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Another program's statement on the namespace's table."""
    assert isinstance(space.target, PgvectorTarget)
    with psycopg.connect(space.target.config.url) as connection:
        cursor = connection.execute(
            statement.replace("TABLE", f"vector_pipeline.{table_name(space.name)}"), values or None
        )
        return cursor.fetchall() if cursor.description else []


def count(space: Namespace) -> int:
    state = space.target.describe(space.name)
    assert state is not None
    return state.records


def in_order(value: Any) -> str:
    """Tells 1 from 1.0, and -0.0 from 0; not the order of keys, which is none of JSON's business."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("text", EXACT)
def test_metadata_is_the_same_json(space: Namespace, text: str) -> None:
    records = make_records(["a#1"])
    place = records.schema.get_field_index("metadata")
    space.upsert(records.set_column(place, "metadata", pa.array([text])))
    told = space.target.fetch(space.name, ["a#1"]).column("metadata")[0].as_py()
    assert in_order(json.loads(told)) == in_order(json.loads(text))
    hit = space.target.query(space.name, unit_vectors(1), top_k=1)[0][0]
    assert in_order(hit.metadata) == in_order(json.loads(text))


def test_a_number_of_another_kind_is_another_value(space: Namespace) -> None:
    space.upsert(make_records(["a#1"], metadata=[{"n": 1}]))
    assert space.set_metadata(make_metadata({"a#1": {"n": 1.0}}, metadata_hash="m-a#1")).records == 1
    assert repr(space.fetched(["a#1"])["a#1"]["metadata"]) == "{'n': 1.0}"


def test_a_changed_jsonb_is_not_hidden_by_the_exact_text(space: Namespace) -> None:
    space.upsert(make_records(["a#1"], metadata=[{"n": -0.0}]))
    sql(space, 'UPDATE TABLE SET metadata = metadata || \'{"by": "hand"}\'')
    assert space.fetched(["a#1"])["a#1"]["metadata"] == {"n": 0, "by": "hand"}


def test_nul_and_its_stand_in_survive_in_text(space: Namespace) -> None:
    for number, text in enumerate(["a\x00b", "\x00", "\ue000", "\ue0000\x00\ue0001", "", "\\N", "\\.", "a\tb\r\n\\"]):
        name = f"t#{number}"
        space.upsert(make_records([name], text=text))
        assert space.fetched([name])[name]["text"] == text
        hits = space.target.query(space.name, unit_vectors(1), top_k=20)[0]
        assert {hit.id: hit.text for hit in hits}[name] == text


def test_a_missing_text_stays_missing(space: Namespace) -> None:
    records = make_records(IDS[:2])
    place = records.schema.get_field_index("text")
    space.upsert(records.set_column(place, "text", pa.array([None, "there"], pa.string())))
    assert [space.fetched(IDS[:2])[name]["text"] for name in IDS[:2]] == [None, "there"]


def test_an_id_with_a_nul_is_refused_and_never_found(space: Namespace) -> None:
    with pytest.raises(InputError, match="NUL"):
        space.upsert(make_records(["a\x00#1"]))
    space.upsert(make_records(IDS[:1]))
    assert space.fetched(["a\x00#1", IDS[0]]).keys() == {IDS[0]}
    assert space.ids("a\x00") == space.ids("\ud800") == []
    assert space.delete(["a\x00#1"]).records == 0


SCALES = (1e-42, 1e-30, 1e-25, 1e-22, 1e-20, 1e-18, 1e-16, 1.0, 1e18)


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_vectors_at_the_edge_of_float32(target: PgvectorTarget, metric: str) -> None:
    """In all directions, denormal, short and long, and zero: scores are right, in 64 bits where 32 do not hold them."""
    lengths = [scale for scale in SCALES if metric != "cosine" or scale >= 1e-16]
    space = Namespace(target, metric)
    space.create()
    for scale in lengths:
        directions = unit_vectors(30)
        directions[0] = 0
        vectors = np.asarray(directions * np.float64(scale), np.float32)
        ids = [f"r#{index:02d}" for index in range(30)]
        space.upsert(make_records(ids, vectors))
        told = space.fetched(ids)
        assert np.array_equal(np.array([told[name]["vector"] for name in ids], np.float32), vectors)
        for length in SCALES if metric == "cosine" else (0.0, scale, 1.0):
            query = np.asarray(unit_vectors(1, seed=9) * np.float64(length), np.float32)
            scores = reference(metric, vectors.astype(np.float64), query[0].astype(np.float64))
            best = np.argsort(-scores, kind="stable")
            hits = target.query(space.name, query, top_k=30)[0]
            found = np.array([hit.score for hit in hits])
            # Of an inner product float32 holds the digits of its largest part.
            near = np.max(np.abs(scores)) * 1e-6
            assert np.allclose(found, scores[best], rtol=1e-5, atol=near), (scale, length)
            places = {name: scores[index] for index, name in enumerate(ids)}
            assert np.allclose([places[hit.id] for hit in hits], scores[best], rtol=1e-5, atol=near), (scale, length)


def reference(metric: str, vectors: "np.ndarray[Any, Any]", query: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Scores in 64 bits."""
    if metric == "euclidean":
        return np.asarray(-np.linalg.norm(vectors - query, axis=1))
    products = vectors @ query
    if metric == "dotproduct":
        return np.asarray(products)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    return np.asarray(np.divide(products, lengths, out=np.zeros(len(vectors)), where=lengths > 0))


def test_a_vector_too_short_for_cosine_is_refused(space: Namespace) -> None:
    vectors = unit_vectors(3)
    vectors[1] *= np.float32(1e-20)
    with pytest.raises(InputError, match=r"the vector of a#2 has length 1.0e-20.*no cosine below 1e-17"):
        space.upsert(make_records(["a#1", "a#2", "a#3"], vectors))
    assert space.ids() == []


def test_every_statement_of_another_hand_moves_the_mark_and_is_counted(space: Namespace) -> None:
    space.upsert(make_records(IDS))
    marks, statements = [space.mark()], [
        ("DELETE FROM TABLE WHERE id = 'doc0#00'", 9),
        ("UPDATE TABLE SET removed_in = 7", 9),
        ("INSERT INTO TABLE SELECT id || '~2', vector, document_id, content_hash, metadata_hash, space, 2 FROM TABLE", 18),
        ("WITH gone AS (DELETE FROM TABLE WHERE id LIKE '%~2' RETURNING 1) SELECT count(*) FROM gone", 9),
        ("SET session_replication_role = replica; DELETE FROM TABLE WHERE id = 'doc1#01'", 8),
        ("TRUNCATE TABLE TABLE".replace("TABLE TABLE", "TABLE"), 0),
    ]  # fmt: skip
    for statement, left in statements:
        sql(space, statement)
        marks.append(space.mark())
        assert count(space) == left, statement
    assert len(set(marks)) == len(marks)
    space.upsert(make_records(IDS[:3]))
    assert count(space) == 3


def test_another_user_needs_no_right_on_the_catalogue(make_target: MakeTarget, database: str) -> None:
    space = Namespace(make_target())
    space.create()
    space.upsert(make_records(IDS))
    before = space.mark()
    table = f"vector_pipeline.{table_name(space.name)}"
    with psycopg.connect(database) as connection:
        connection.execute("DROP ROLE IF EXISTS clerk")
        connection.execute("CREATE ROLE clerk")
        connection.execute("GRANT USAGE ON SCHEMA vector_pipeline TO clerk")
        connection.execute(f"GRANT SELECT, DELETE ON {table} TO clerk")
        connection.execute("SET ROLE clerk")
        connection.execute(f"DELETE FROM {table} WHERE id = %s", [IDS[0]])
    assert space.mark() != before
    assert count(space) == len(IDS) - 1


def test_a_mark_never_comes_twice(target: PgvectorTarget) -> None:
    space = Namespace(target)
    marks = [space.create().mark]
    for _ in range(3):
        space.upsert(make_records(IDS), fence=3)
        marks.append(space.mark())
        target.drop_namespace(space.name, fence=3)
        with pytest.raises(ConflictError, match="fence 3"):
            space.create(fence=2)
        marks.append(space.create(fence=3).mark)
    assert len(set(marks)) == len(marks)


def test_writes_that_change_nothing_leave_the_mark(space: Namespace) -> None:
    space.upsert(make_records(IDS))
    before = space.mark()
    assert space.set_removed(["unknown#1"], 3).mark == before
    assert space.delete([]).mark == before
    assert space.set_metadata(make_metadata({"unknown#1": {}})).mark == before
    assert space.mark() == before


def test_two_writers_at_once_lose_nothing(target: PgvectorTarget, space: Namespace) -> None:
    batches = [[f"w{writer}#{index}" for index in range(50)] for writer in range(6)]
    threads = [threading.Thread(target=space.upsert, args=(make_records(batch),)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert space.ids() == sorted(name for batch in batches for name in batch)
    assert count(space) == 300


def test_namespaces_that_are_made_at_once(make_target: MakeTarget) -> None:
    """Four processes meet a database that has nothing yet."""
    space = Namespace(make_target())
    targets = [make_target(f"pg{number}") for number in range(4)]
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda one=one: made.append(one.ensure_namespace(space.spec).mark)) for one in targets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_a_scan_is_one_snapshot(space: Namespace) -> None:
    space.upsert(make_records([f"d#{index:03d}" for index in range(100)]))
    batches = space.target.scan(space.name, batch_records=10)
    seen = next(batches).num_rows
    space.delete([f"d#{index:03d}" for index in range(50)])
    space.upsert(make_records(["d#999"]))
    assert seen + sum(batch.num_rows for batch in batches) == 100
    assert len(space.ids()) == 51


@pytest.mark.slow
def test_names_of_namespaces(target: PgvectorTarget) -> None:
    long = "a-very-long-dataset--with-a-space--and-a-fingerprint-0123456789abcdef--v"
    for name in (f"{long}1", f"{long}2", "Grüße 'x\" %s", "a.b"):
        space = Namespace(target)
        space.name, space.spec = name, NamespaceSpec(name, 8, "cosine", SPACE)
        space.create()
        space.upsert(make_records([f"{abs(hash(name))}#1"]))
        assert space.ids() == [f"{abs(hash(name))}#1"]
        assert name in target.namespaces()
        target.drop_namespace(name)
    for bad in ("", "a\x00b", "a\nb", "x" * 513):
        with pytest.raises(InputError):
            target.describe(bad)


class TestHNSW:
    @pytest.fixture
    def indexed(self, shared_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Namespace]:
        monkeypatch.setattr(upkeep, "INDEX_FROM_RECORDS", 500)
        target = PgvectorTarget("pg", config_of(shared_database, hnsw=True))
        space = Namespace(target, dimension=32)
        space.create()
        yield space
        target.close()

    def indexes(self, space: Namespace) -> list[str]:
        query = "SELECT indexdef FROM pg_indexes WHERE tablename = %s AND indexdef LIKE '%%hnsw%%'"
        return [row[0] for row in sql(space, query, table_name(space.name))]

    def test_it_is_built_when_a_push_ends_and_answers_like_exact_search(self, indexed: Namespace) -> None:
        ids = [f"d#{index:04d}" for index in range(3000)]
        vectors = unit_vectors(3000, dimension=32)
        metadata = [{"rare": index % 301 == 0} for index in range(3000)]
        indexed.target.upsert(indexed.name, make_records(ids[:400], vectors[:400], metadata=metadata[:400]))
        assert self.indexes(indexed) == []
        indexed.upsert(make_records(ids, vectors, metadata=metadata))
        (definition,) = self.indexes(indexed)
        assert "vector_cosine_ops" in definition
        indexed.set_removed(ids[::2], 2)
        plan = sql(
            indexed,
            "EXPLAIN SELECT id FROM TABLE WHERE removed_in > 2 ORDER BY vector <=> %s::vector LIMIT 10",
            str(vectors[0].tolist()),
        )
        assert any("_hnsw" in line for (line,) in plan)
        queries = unit_vectors(20, seed=5, dimension=32)
        for options in ({"version": 2}, {"version": 2, "filter": {"rare": True}}, {"filter": {"rare": True}}):
            exact = indexed.target.query(indexed.name, queries, top_k=10, **options)  # type: ignore[arg-type]
            near = indexed.target.query(indexed.name, queries, top_k=10, exact=False, **options)  # type: ignore[arg-type]
            assert [len(hits) for hits in near] == [len(hits) for hits in exact]
            pairs = [({a.id for a in one}, {b.id for b in two}) for one, two in zip(exact, near, strict=True)]
            same = [len(one & two) / len(one) for one, two in pairs]
            assert np.mean(same) > 0.8, options
            for hits in near:
                assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        indexed.target.purge(indexed.name)
        assert len(self.indexes(indexed)) == 1

    def test_dimensions_that_it_cannot_take(self, shared_database: str) -> None:
        for hnsw, dimension, said in ((True, 2001, "HNSW takes at most 2000"), (False, 16001, "holds at most 16000")):
            target = PgvectorTarget("pg", config_of(shared_database, hnsw=hnsw))
            space = Namespace(target, dimension=dimension)
            with pytest.raises(RefusedError, match=said) as caught:
                space.create()
            assert caught.value.fix
            target.close()
        target = PgvectorTarget("pg", config_of(shared_database))
        space = Namespace(target, dimension=3072)
        space.create()
        vectors = unit_vectors(3, dimension=3072)
        space.upsert(make_records(IDS[:3], vectors))
        assert np.array_equal(np.array(space.fetched(IDS[1:2])[IDS[1]]["vector"], np.float32), vectors[1])
        assert space.hits(vectors[2], top_k=1) == [IDS[2]]
        target.close()


def test_what_was_deleted_is_gone_from_the_files(space: Namespace, postgres_folder: Path) -> None:
    secret = "a sentence that nobody may read again"
    space.upsert(make_records(IDS, text="kept {id}", metadata=[{"kept": True}] * len(IDS)))
    space.upsert(make_records(IDS[:2], text=secret, metadata=[{"said": secret}] * 2))

    def on_disk() -> bytes:
        path = sql(space, "SELECT pg_relation_filepath('TABLE')")[0][0]
        assert isinstance(space.target, PgvectorTarget)
        with psycopg.connect(space.target.config.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        return (postgres_folder / str(path)).read_bytes()

    space.delete(IDS[:2])
    assert secret.encode() in on_disk()
    space.target.purge(space.name)
    assert secret.encode() not in on_disk()
    assert b"kept" in on_disk()


def test_purge_says_who_is_in_its_way(make_target: MakeTarget, database: str) -> None:
    target = make_target(timeout_s=1)
    space = Namespace(target)
    space.create()
    space.upsert(make_records(IDS))
    with psycopg.connect(database) as reader:
        space.delete(IDS[:2])
        reader.execute(f"SELECT count(*) FROM vector_pipeline.{table_name(space.name)}")
        with pytest.raises(UnavailableError, match="somebody else's transaction holds the table"):
            target.purge(space.name)
    target.purge(space.name)
    assert space.ids() == sorted(IDS[2:])


def test_purge_believes_no_statistics(make_target: MakeTarget, database: str, postgres_folder: Path) -> None:
    """Nobody counts dead rows here, and the transaction that sees them has not touched the table."""
    name = database.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET track_counts = off")
    target = make_target(timeout_s=1)
    space = Namespace(target)
    space.create()
    space.upsert(make_records(IDS, text="secret of {id}"))
    with psycopg.connect(database) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM pg_class")
        space.delete(IDS[:2])
        with pytest.raises(UnavailableError, match="a transaction still sees 2 deleted records") as caught:
            target.purge(space.name)
        assert caught.value.fix
    target.purge(space.name)
    ((path,),) = sql(space, "SELECT pg_relation_filepath('TABLE')")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    held = (postgres_folder / str(path)).read_bytes()
    assert (b"secret of " + IDS[0].encode() in held, b"secret of " + IDS[2].encode() in held) == (False, True)


@pytest.mark.parametrize(
    ("said", "dead"),
    [
        (["0 dead row versions cannot be removed yet."], 0),
        (["12 tote Zeilenversionen können noch nicht entfernt werden."], 12),
        (['В данный момент нельзя удалить "мёртвых" строк: 3.'], 3),
        ([], None),
        (["0 dead row versions", "7 of another kind"], None),
        (["0 dead of 7 row versions cannot be removed yet."], None),
        (["none"], None),
    ],
)
def test_purge_claims_nothing_that_it_was_not_told(said: list[str], dead: int | None) -> None:
    assert upkeep.dead_rows(said) == dead
