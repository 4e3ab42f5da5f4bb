"""``adopt``: take over an index that grew by hand. Says what it would do; does it with ``--yes``."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vector_pipeline.cli.app import Command, Dataset, Json, app, session_of
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.cli.progress import watching
from vector_pipeline.cli.running import run, stop
from vector_pipeline.cli.session import Session, who
from vector_pipeline.errors import InputError
from vector_pipeline.report.units import plural

if TYPE_CHECKING:
    from vector_pipeline.adopt import AdoptionPlan

SAMPLE = 256
"""As the core has it, which is not imported before it is needed."""


@app.command(cls=Command)
def adopt(
    ctx: typer.Context,
    dataset: Dataset = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="NAME", help="Target that holds the index. Default: the dataset's.", show_default=False),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", metavar="NAME", help="Without it, namespaces are listed.", show_default=False),
    ] = None,
    sample: Annotated[int, typer.Option("--sample", metavar="N", min=1, help="Texts embedded to compare vectors.")] = SAMPLE,
    text_key: Annotated[
        str | None,
        typer.Option(
            "--text-key", metavar="KEY", show_default=False,
            help="Metadata key that holds the text, where records have none. Default: the usual ones.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Save the report, with every foreign record.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without: only say what would be done.")] = False,
    json_: Json = False,
) -> None:  # fmt: skip
    """Take over an index that grew by hand: what it holds, what the source explains, which vectors are worth keeping."""
    from vector_pipeline.report.adoption import adoption_lines

    session = session_of(ctx)
    name = session.dataset(dataset)
    if namespace is None:
        _list(session, name, target, json_=json_)
        return
    options: dict[str, Any] = {"namespace": namespace, "target": target, "sample": sample}
    if text_key is not None:
        options["text_keys"] = [text_key]
    given = {key: value for key, value in options.items() if value is not None}
    with watching():
        plan = session.project().plan_adoption(name, **given)
    if out is not None:
        _save(out, plan)
    if not json_:
        show(adoption_lines(plan))
        if out is not None:
            say(f"Saved to {out}")
    done = _accepted(session, name, given, quiet=json_) if yes else None
    if json_:
        emit(plan.to_json() | ({"adopted": done[0], "push": done[1]} if done else {}))
    elif not yes:
        chosen = [f"--target {target}"] if target is not None else []
        chosen += [f"--namespace {namespace}"]
        chosen += [f"--sample {sample}"] if sample != SAMPLE else []
        chosen += [f"--text-key {shlex.quote(text_key)}"] if text_key is not None else []
        session.next("adopt", *session.named(name), *chosen, "--yes")


def _list(session: Session, dataset: str, target: str | None, *, json_: bool) -> None:
    from vector_pipeline.report.adoption import namespaces_table

    found = session.project().adoptable(dataset, target=target)
    if json_:
        emit([
            {"namespace": one.namespace, "records": one.records, "dimension": one.dimension, "metric": one.metric,
             "dataset": one.dataset}
            for one in found
        ])  # fmt: skip
        return
    if found:
        show(namespaces_table(found))
    else:
        say("The target holds no namespace.")
    grown = [one.namespace for one in found if one.dataset is None]
    chosen = [] if target is None else [f"--target {target}"]
    if grown:
        session.next("adopt", *session.named(dataset), *chosen, f"--namespace {grown[0]}")
    else:
        session.next("status", *session.named(dataset))


def _accepted(
    session: Session, name: str, options: dict[str, Any], *, quiet: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Do it, as a run; returns what was done and the plan of the push that comes next."""
    from vector_pipeline.cli.shapes import plan_json
    from vector_pipeline.report.changes import plan_lines

    outcome = run(session, name, "adopt", {**options, "by": who()})
    stop(outcome, [], f"the adoption into {name}")
    done: dict[str, Any] = outcome.values["adopt"]
    planned = session.project().plan(name, version=done["version"])
    if not quiet:
        say()
        made = "Made" if done["made"] else "Stood already:"
        say(
            f"{made} v{done['version']}, the baseline: {plural(done['stored'], 'vector')} kept, "
            f"{plural(done['embedded'], 'text')} embedded."
        )
        say()
        show(plan_lines(planned))
        session.next(*(("status",) if planned.empty else ("push",)), *session.named(name))
    return {key: value for key, value in done.items() if key != "report"}, plan_json(planned)


def _save(path: Path, plan: "AdoptionPlan") -> None:
    """The report, and every foreign record, one to a line: there may be many."""
    head = json.dumps(plan.to_json(), indent=2, ensure_ascii=False)
    try:
        with path.open("w", encoding="utf-8") as file:
            file.write(head.removesuffix("\n}") + ',\n  "foreign": [')
            first = True
            for batch in plan.foreign.to_batches(max_chunksize=4096):
                for record in batch.to_pylist():
                    file.write(("\n    " if first else ",\n    ") + json.dumps(record, ensure_ascii=False))
                    first = False
            file.write("\n  ]\n}\n" if not first else "]\n}\n")
    except OSError as error:
        raise InputError(f"the report cannot be saved to {path}: {error.strerror}") from None
