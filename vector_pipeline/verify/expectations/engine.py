"""Great Expectations itself: for expectations that have no plain meaning in SQL, and for Data Docs.

Laws
----
1. Nothing is sent: analytics and progress bars are off, and its warnings stay in here.
2. It takes seconds to import: only the functions that use it do.
"""

import json
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from vector_pipeline.errors import InputError
from vector_pipeline.verify.expectations.finding import Finding
from vector_pipeline.verify.expectations.suite import Expectation, Kind
from vector_pipeline.verify.facts import METADATA, NAMES
from vector_pipeline.verify.outcome import EXAMPLES

_LOCK = threading.RLock()
"""One at a time: Great Expectations keeps the current context in a global, and ``catch_warnings`` is global."""
_RULE = "vector_pipeline_number"


@contextmanager
def quiet() -> Iterator[None]:
    """Around everything that touches Great Expectations."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def make(one: Expectation) -> Any:
    """Great Expectations' own object. ``InputError`` for a type or arguments that it does not know."""
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations import registry
    from great_expectations.expectations.metadata_types import FailureSeverity

    try:
        found = registry.get_expectation_impl(one.type)
        return found(**one.kwargs, meta=dict(one.meta), severity=FailureSeverity(one.severity))
    except ExpectationNotFoundError:
        raise InputError(f"Great Expectations has no {one.type}") from None
    except (ValueError, TypeError) as error:
        raise InputError(_mistake(error)) from None


def _mistake(error: Exception) -> str:
    """Pydantic's first complaint in a line."""
    errors = getattr(error, "errors", None)
    first = errors()[0] if callable(errors) else None
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else " ".join(str(error).split())


def run(kind: Kind, facts: pa.Table, expectations: Sequence[Expectation]) -> list[Finding]:
    """Evaluate expectations over ``facts``, in order; JSON columns become what they hold."""
    with quiet():
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral", project_config=settings())
        asset = context.data_sources.add_pandas("facts").add_dataframe_asset(kind)
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch(
            batch_parameters={"dataframe": _frame(facts)}
        )
        made = []
        for number, one in enumerate(expectations):
            found = make(one)
            found.meta = {**(found.meta or {}), _RULE: number}
            made.append(found)
        # The rows' positions come back without `unexpected_index_column_names`, which costs two seconds for each 100,000
        # failing rows (it reads them one by one in Python); positions are free and name the same rows.
        outcome = batch.validate(
            gx.ExpectationSuite(name=kind, expectations=made),
            result_format={
                "result_format": "SUMMARY",
                "partial_unexpected_count": EXAMPLES,
                "return_unexpected_index_query": False,
            },
        )
        results: list[Any] = sorted(outcome.results, key=_number)
        return [_finding(kind, facts, one, result) for one, result in zip(expectations, results, strict=True)]


def _number(result: Any) -> int:
    return int(result.expectation_config.meta[_RULE])


def settings(sites: Mapping[str, Any] | None = None) -> Any:
    """Configuration of a context that keeps everything in memory; ``sites``: of Data Docs."""
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
        data_docs_sites=dict(sites or {}),
    )


def _frame(facts: pa.Table) -> Any:
    import pandas as pd

    frame = facts.to_pandas()
    for column in facts.column_names:
        if column.startswith(METADATA):
            values = [None if one is None else json.loads(one) for one in facts[column].to_pylist()]
            frame[column] = pd.Series(values, index=frame.index, dtype=object)
    return frame


def _finding(kind: Kind, facts: pa.Table, one: Expectation, result: Any) -> Finding:
    raised = _raised(result.exception_info or {})
    if raised is not None:
        private = Finding(one, False, error=f"Great Expectations does not know how over {', '.join(one.columns)}")
        # Its message may repeat values: "Could not convert string 'Jane' to numeric".
        return private if private.private else replace(private, error=" ".join(raised.split()))
    seen = dict(result.result)
    positions = (seen.pop("partial_unexpected_index_list", None) or [])[:EXAMPLES]
    seen.pop("partial_unexpected_counts", None)
    rows = _named(kind, facts, one, positions) if not result.success else []
    return Finding(one, bool(result.success), seen, rows)


def _raised(info: Mapping[str, Any]) -> str | None:
    """The message of an exception inside an expectation: flat for some, keyed by the metric for others."""
    for item in (info, *(value for value in info.values() if isinstance(value, Mapping))):
        if item.get("raised_exception"):
            return str(item.get("exception_message"))
    return None


def _named(kind: Kind, facts: pa.Table, one: Expectation, positions: Sequence[int]) -> list[dict[str, Any]]:
    columns = [column for column in dict.fromkeys([*NAMES[kind], *one.columns]) if column in facts.column_names]
    rows: list[dict[str, Any]] = facts.select(columns).take(pa.array(positions, pa.int64())).to_pylist()
    return rows
