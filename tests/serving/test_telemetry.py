"""Spans: what they say, what they never say, and that nothing is imported for them where they are not wanted."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.spans import collected
from vector_pipeline.errors import InputError, NotFoundError
from vector_pipeline.project import Project
from vector_pipeline.serving import open_index

trace = pytest.importorskip("opentelemetry.trace")


@pytest.fixture
def exporter() -> Iterator[Any]:
    with collected() as found:
        yield found


def test_a_query_is_a_span_with_its_parts_below_that_of_the_application(released: Project, exporter: Any) -> None:
    with open_index("handbook", project=released.base) as index:
        with trace.get_tracer("application").start_as_current_span("request"):
            index.search("a secret question", top_k=3, filter={"title": "nobody may know"}, key="user@example.org")
        with pytest.raises(InputError):
            index.query("another secret", filter={"year": {"$bad": 1}})
    spans = exporter.get_finished_spans()
    byname = {span.name: span for span in spans[:5]}
    assert list(byname) == [
        "vector_pipeline.alias", "vector_pipeline.embed", "vector_pipeline.search", "vector_pipeline.query", "request",
    ]  # fmt: skip
    query = byname["vector_pipeline.query"]
    assert query.parent.span_id == byname["request"].context.span_id
    assert {byname[f"vector_pipeline.{one}"].parent.span_id for one in ("alias", "embed", "search")} == {
        query.context.span_id
    }
    told = {key.removeprefix("vector_pipeline."): value for key, value in query.attributes.items()}
    assert told == {
        "dataset": "handbook", "alias": "production", "version": 1, "space": "tiny", "arm": "production", "top_k": 3,
        "hits": 0,
    }  # fmt: skip
    failed = next(span for span in spans[5:] if span.name == "vector_pipeline.query")
    assert (failed.attributes["error.type"], failed.status.status_code.name) == ("input", "ERROR")
    said = " ".join(span.to_json() for span in spans)
    assert not [word for word in ("secret", "nobody", "user@", "$bad") if word in said]


def test_a_query_that_fails_says_whom_it_asked(released: Project, exporter: Any) -> None:
    released.promote("handbook", by="test")
    with open_index("handbook", project=released.base, retries=0) as index:
        with pytest.raises(InputError):
            index.query("a secret", filter={"year": {"$bad": 1}})
        released.target("handbook").drop_namespace(
            released.deployment_of(released.version("handbook", 2)).namespace, fence=1_000
        )
        for _ in range(2):
            with pytest.raises(NotFoundError):
                index.query("a secret")
    failed = [span for span in exporter.get_finished_spans() if span.name == "vector_pipeline.query"]
    assert [span.attributes["error.type"] for span in failed] == ["input", "not-found", "not-found"]
    for span in failed:
        told = {key.removeprefix("vector_pipeline."): value for key, value in span.attributes.items()}
        del told["error.type"]
        assert told == {
            "dataset": "handbook", "alias": "production", "version": 2, "space": "tiny", "arm": "production", "top_k": 5,
        }  # fmt: skip
        assert "secret" not in span.to_json()


@pytest.mark.slow
def test_nothing_heavy_is_imported_by_reading(released: Project) -> None:
    script = (
        "import sys\n"
        "from vector_pipeline.serving import open_index\n"
        "HEAVY = ('dagster', 'torch', 'pandas', 'great_expectations', 'sentence_transformers', 'alembic', 'rich', 'typer',\n"
        "         'fastapi', 'chromadb', 'pinecone', 'psycopg')\n"
        "print([name for name in HEAVY if name in sys.modules])\n"
        f"with open_index('handbook', project={str(released.base)!r}) as index:\n"
        "    assert index.health().ok\n"
        "    print([name for name in HEAVY if name in sys.modules])\n"
        "    assert index.search('about page 1').hits\n"
        "print([name for name in HEAVY if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    # DuckDB looks for pandas by itself when it is given a vector to search for.
    assert done.stdout.splitlines() == ["[]", "[]", "['pandas']"], done.stderr


@pytest.mark.slow
def test_without_the_library_there_are_no_spans_and_no_import(released: Project) -> None:
    script = (
        "import sys, importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name.startswith('opentelemetry') else find(name, *more)\n"
        "from vector_pipeline.serving import open_index\n"
        f"with open_index('handbook', project={str(released.base)!r}) as index:\n"
        "    assert index.search('about page 1').hits\n"
        "print('opentelemetry' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr
