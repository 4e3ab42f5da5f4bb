"""Data Docs: Great Expectations' own static pages of suites and of what became of them.

They are made from findings, not from rows: whoever counted them, and however many rows there are.

Laws
----
1. A page shows what documents and suites say, and never runs it. Great Expectations writes some values as they are, escapes others,
   and takes ``$`` for its own sign: none of their signs of markup reaches it, and the pages hold them as entities.
2. Pages of before are gone: they may show a document that was erased since.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vector_pipeline.errors import UnavailableError
from vector_pipeline.verify.expectations import engine
from vector_pipeline.verify.expectations.gate import Evaluated
from vector_pipeline.verify.expectations.suite import Expectation
from vector_pipeline.verify.outcome import json_safe

DATA_DOCS = Path(".vector_pipeline/data_docs")
"""Beside the configuration: a folder for each dataset. Pages show what documents say: an erasure deletes the dataset's."""
_SITE = "local"
_HIDDEN = {ord(sign): chr(0x14400 + number) for number, sign in enumerate("<>&\"'$`")}
"""Signs that mean something to a page or a template, and what stands for each while Great Expectations writes:
Anatolian hieroglyphs, which ``repr`` shows as they are."""
_ENTITIES = {ord(hidden): f"&#{sign};" for sign, hidden in _HIDDEN.items()}


def build(folder: Path, name: str, version: str, evaluated: Sequence[Evaluated]) -> Path:
    """Write pages into a folder, in place of all that is there; returns the page to open.

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
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
            context = gx.get_context(mode="ephemeral", project_config=engine.settings(_sites(folder)))
            now = datetime.now(UTC)
            for one in evaluated:
                suite = gx.ExpectationSuite(
                    name=f"{name}.{one.suite.kind}",
                    expectations=[engine.make(_hidden(found.expectation)) for found in one.findings],
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
            for page in folder.rglob("*.html"):
                page.write_text(page.read_text(encoding="utf-8").translate(_ENTITIES), encoding="utf-8")
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


def _hidden(one: Expectation) -> Expectation:
    return replace(one, kwargs=_hide(one.kwargs), meta=_hide(one.meta))


def _hide(value: Any) -> Any:
    """Law 1: every string of a JSON value."""
    if isinstance(value, str):
        return value.translate(_HIDDEN)
    if isinstance(value, Mapping):
        return {_hide(key): _hide(one) for key, one in value.items()}
    return [_hide(one) for one in value] if isinstance(value, list | tuple) else value


def _result(suite: Any, one: Evaluated, now: datetime) -> Any:
    """Findings as Great Expectations' own result object."""
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

    results = [
        ExpectationValidationResult(
            success=found.success,
            expectation_config=made.configuration,
            result=_hide(json_safe(found.result)),
            exception_info={
                "raised_exception": found.error is not None, "exception_message": _hide(found.error or ""),
                "exception_traceback": "",
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
