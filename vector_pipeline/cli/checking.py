"""``check``: would a build work? One line for each thing that it needs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vector_pipeline.cli.app import Command, Json, app, session_of
from vector_pipeline.cli.output import console, emit, say
from vector_pipeline.cli.session import Session
from vector_pipeline.errors import NotFoundError, VectorPipelineError

if TYPE_CHECKING:
    from vector_pipeline.project import Project


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail}


@app.command(cls=Command)
def check(ctx: typer.Context, json_: Json = False) -> None:
    """Validate the configuration and look whether everything that it names is there."""
    session = session_of(ctx)
    findings: list[Finding] = []
    for finding in look(session):
        findings.append(finding)
        if not json_:
            sign, style = ("✓", "green") if finding.ok else ("✗", "red")
            console().print(f"[{style}]{sign}[/] ", end="", markup=True)
            say(f"{finding.name}: {finding.detail}")
    if json_:
        emit([finding.to_json() for finding in findings])
    bad = sum(not finding.ok for finding in findings)
    if bad:
        if not json_:
            say(f"{bad} of {len(findings)} checks failed.")
        raise typer.Exit(1)
    if not json_:
        session.next(*_then(session))


def _then(session: Session) -> tuple[str, ...]:
    """A space beside the one that serves is filled by its own verb. Of several datasets the first stands for them."""
    project = session.project()
    build = ("build", *session.named(project.config.names[0]))
    try:
        registry = project.registry(read_only=True)
    except NotFoundError:
        return build
    for name, dataset in project.config.datasets.items():
        new = [one for one in dataset.spaces if registry.latest_version(name, one) is None]
        # Where the serving space has no version either, its build comes first.
        if new and dataset.serving_space not in new:
            return ("reembed", *session.named(name), f"--space {new[0]}")
    return build


def look(session: Session) -> Iterator[Finding]:
    """Every finding, as it is made. A configuration that cannot be read ends the list."""
    paths: list[Path] = []
    found = _finding("configuration", lambda: _configuration(session, paths))
    yield found
    if not found.ok:
        return
    project = session.project()
    yield _finding("lake", lambda: _lake(project))
    yield _finding("registry", lambda: _registry(project))
    for broken in project.config.broken.values():
        whose = f" (owners: {', '.join(broken.owners)})" if broken.owners else ""
        yield Finding(f"{broken.name}: configuration", False, f"{broken.reason}{whose}")
    for name in project.config.datasets:
        yield _finding(f"{name}: source", lambda name=name: _source(project, name))  # type: ignore[misc]
        for space in project.dataset(name).spaces:
            yield _finding(
                f"{name}: space {space}",
                lambda name=name, space=space: _space(project, name, space),  # type: ignore[misc]
            )
        yield _finding(f"{name}: canaries", lambda name=name: _canaries(project, name))  # type: ignore[misc]
        if project.gates(name).expectations is not None:
            yield _finding(f"{name}: expectations", lambda name=name: _expectations(project, name))  # type: ignore[misc]
        for target in project.configured(name):
            mirror = "" if target == project.dataset(name).target else f" {target}"
            yield _finding(f"{name}: target{mirror}", lambda target=target: _target(project, target))  # type: ignore[misc]


def _finding(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except VectorPipelineError as error:
        return Finding(name, False, str(error))


def _configuration(session: Session, paths: list[Path]) -> str:
    paths.append(session.config_path())
    project = session.project()
    names = ", ".join(project.config.datasets)
    return f"{paths[0]} is valid; environment {project.environment}; datasets: {names}"


def _lake(project: "Project") -> str:
    try:
        lake = project.lake(read_only=True)
    except NotFoundError:
        return "not made yet: the first build makes it"
    return f"{lake.where}, state {lake.snapshot_id()}"


def _registry(project: "Project") -> str:
    try:
        return project.registry(read_only=True).where
    except NotFoundError:
        return "not made yet: the first build makes it"


def _source(project: "Project", name: str) -> str:
    from vector_pipeline.config import RecordSourceConfig

    config = project.dataset(name).source
    if not isinstance(config, RecordSourceConfig):
        from vector_pipeline.corpus.sources import listed_source

        source = listed_source(config, project.base)
        count = sum(1 for _ in source.list())
        where, what = source.where, "file"
    else:
        from vector_pipeline.corpus import RecordSource

        count = sum(batch.num_rows for batch in RecordSource(config, project.base).batches())
        where, what = config.path or "the query", "record"
    if count == 0 and not config.allow_empty:
        raise NotFoundError(
            f"{where} lists nothing", fix="Check `root:`, `path:`, `prefix:` and `include:` of the source"
        )
    return f"{count:,} {what}{'' if count == 1 else 's'} in {where}"


def _space(project: "Project", name: str, space: str) -> str:
    found = project.space(name, space)
    return f"{found.model}, {found.dimension} dimensions, {found.metric} (fingerprint {found.fingerprint})"


def _canaries(project: "Project", name: str) -> str:
    path = project.gates(name).canaries
    if path is None:
        return "none configured: retrieval will not be checked before a version is promoted; set `gates: canaries:`"
    from vector_pipeline.verify.canaries.file import read_canaries

    file = read_canaries(project.base / path)
    wanted = {one: line for line, canary in zip(file.lines, file.canaries, strict=True) for one in canary.expect}
    gone = sorted(_absent(project, name, wanted), key=wanted.__getitem__)
    if gone:
        more = f", and {len(gone) - 1:,} more like it" if len(gone) > 1 else ""
        raise NotFoundError(
            f"{path}:{wanted[gone[0]]}: a canary expects {gone[0]}, which the source does not have{more}",
            fix=f"See all of it after a build: vector-pipeline canary check {name}",
        )
    return f"{len(file.canaries):,} in {path}"


def _absent(project: "Project", name: str, wanted: Iterable[str]) -> set[str]:
    """Names that no document will have after the next build. Of records, only those of the newest version are known."""
    from vector_pipeline.config import RecordSourceConfig

    config = project.dataset(name).source
    if not isinstance(config, RecordSourceConfig):
        from vector_pipeline.corpus.sources import listed_source
        from vector_pipeline.verify.canaries.names import names

        listed = {item.id for item in listed_source(config, project.base).list()}
        return {one for one in wanted if one not in listed and not any(names(one, document) for document in listed)}
    try:
        version = project.version(name)
    except NotFoundError:
        return set()
    from vector_pipeline.verify.canaries.names import absent
    from vector_pipeline.verify.context import Side

    return absent(project.lake(read_only=True), Side(version).chunks, list(wanted))


def _expectations(project: "Project", name: str) -> str:
    from vector_pipeline.verify.expectations.reading import suite_of
    from vector_pipeline.verify.expectations.suite import KINDS

    suites = [suite_of(kind, project.gates(name), project.base) for kind in KINDS]
    own = [f"{len(suite.expectations)} of {suite.kind}" for suite in suites if suite.path is not None]
    return (
        f"{', '.join(own) or 'none of its own'} in {project.gates(name).expectations}; the default suite for the rest"
    )


def _target(project: "Project", name: str) -> str:
    try:
        target = project.target_named(name, read_only=True)
    except NotFoundError:
        return f"{name}: not made yet: the first push makes it"
    count = len(target.namespaces())
    return f"{name} ({target.kind}) answers, {count} namespace{'' if count == 1 else 's'}"
