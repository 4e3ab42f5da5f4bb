"""Data Docs: Great Expectations' own static pages of suites and of what became of them.

They are made from findings, not from rows: whoever counted them, and however many rows there are.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vector_pipeline.errors import UnavailableError
from vector_pipeline.verify.expectations import engine
from vector_pipeline.verify.expectations.gate import Evaluated
from vector_pipeline.verify.outcome import json_safe

_SITE = "local"


def build(folder: Path, name: str, version: str, evaluated: Sequence[Evaluated]) -> Path:
    """Write pages into a folder, in place of those that are there; returns the page to open.

    ``name``: the dataset; ``version``: what was looked at, as the pages call it.
    """
    with engine.quiet():
        import great_expectations as gx
        from great_expectations.core.run_identifier import RunIdentifier
        from great_expectations.data_context.types.resource_identifiers import (
            ExpectationSuiteIdentifier,
            ValidationResultIdentifier,
        )

        try:
            folder.mkdir(parents=True, exist_ok=True)
            context = gx.get_context(mode="ephemeral", project_config=engine.settings(_sites(folder)))
            now = datetime.now(UTC)
            for one in evaluated:
                suite = gx.ExpectationSuite(
                    name=f"{name}.{one.suite.kind}",
                    expectations=[engine.make(found.expectation) for found in one.findings],
                )
                context.suites.add(suite)
                result = _result(suite, one, now)
                key = ValidationResultIdentifier(
                    expectation_suite_identifier=ExpectationSuiteIdentifier(suite.name),
                    run_id=RunIdentifier(run_name=version, run_time=now),
                    batch_identifier=f"{name}-{version}-{one.suite.kind}",
                )
                context.validation_results_store.set(key, result)
            built = context.build_data_docs(site_names=[_SITE])
        except OSError as error:
            raise UnavailableError(f"{folder}: Data Docs cannot be written: {error.strerror}") from None
    return Path(str(built[_SITE]).removeprefix("file://"))


def _sites(folder: Path) -> dict[str, Any]:
    return {
        _SITE: {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        }
    }


def _result(suite: Any, one: Evaluated, now: datetime) -> Any:
    """Findings as Great Expectations' own result object."""
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

    results = [
        ExpectationValidationResult(
            success=found.success,
            expectation_config=made.configuration,
            result=json_safe(found.result),
            exception_info={
                "raised_exception": found.error is not None, "exception_message": found.error, "exception_traceback": None,
            },
        )
        for made, found in zip(suite.expectations, one.findings, strict=True)
    ]  # fmt: skip
    good = sum(found.success for found in one.findings)
    count = len(results)
    return ExpectationSuiteValidationResult(
        success=good == count,
        results=results,
        suite_name=suite.name,
        statistics={
            "evaluated_expectations": count,
            "successful_expectations": good,
            "unsuccessful_expectations": count - good,
            "success_percent": good / count * 100 if count else None,
        },
        meta={"rows": one.rows, "validation_time": now.isoformat()},
    )
