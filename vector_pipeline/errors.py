"""One error root, grouped by what a handler does with it.

A command line prints ``str(error)`` as one line and exits 1; a Dagster step fails with the same line. Every message says
what happened, where, and what to do. ``kind`` is a stable code for machines: codes are only ever added, never renamed.
Secrets are never part of a message: whoever raises passes templates (``${env:NAME}``), not their values.
"""

import re
from typing import ClassVar

_WORD = re.compile(r"(?!(?:pip|export|init)\b)[a-z]+(?=[,:;.]?(?: |$))")
"""A plain word that begins a sentence: no command, no name of a key, a file or a function."""


class VectorPipelineError(Exception):
    """Root of every error that this project raises on purpose."""

    kind: ClassVar[str] = "error"

    def __init__(self, what: str, *, fix: str | None = None, kind: str | None = None) -> None:
        self.what = " ".join(what.split())
        self.fix = " ".join(fix.split()) if fix else None
        self.code = kind or type(self).kind
        super().__init__(self.what if self.fix is None else _sentences(self.what, self.fix))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.fix, self.code))


def _sentences(what: str, fix: str) -> str:
    """Both as one line: a full stop where none ends the first, a capital where a word begins the second."""
    stop = "" if what.endswith((".", "?", "!")) else "."
    return f"{what}{stop} {fix[:1].upper()}{fix[1:]}" if _WORD.match(fix) else f"{what}{stop} {fix}"


def _rebuild(cls: type[VectorPipelineError], what: str, fix: str | None, code: str) -> VectorPipelineError:
    return cls(what, fix=fix, kind=code)


class ConfigError(VectorPipelineError):
    """The person must change ``vector_pipeline.yaml`` or the environment. Never retry."""

    kind = "config"


class InputError(VectorPipelineError):
    """An argument of the call is wrong: an empty query, a filter that is no filter, a vector of another dimension."""

    kind = "input"


class NotFoundError(VectorPipelineError):
    """A named thing does not exist: dataset, space, version, alias, target, model."""

    kind = "not-found"


class RefusedError(VectorPipelineError):
    """A rule forbids the operation: a guard, a gate, a precondition. Nothing was changed."""

    kind = "refused"


class ConflictError(VectorPipelineError):
    """Somebody else was first: a compare-and-swap lost, a lease is held. Look again, then retry."""

    kind = "conflict"


class UnavailableError(VectorPipelineError):
    """A part outside this process does not answer: lake, registry, target, model. Retry later."""

    kind = "unavailable"


class UnknownOutcomeError(UnavailableError):
    """A write was sent and its outcome is not known. Read back before writing again; never retry blindly."""

    kind = "unknown-outcome"


class CorruptError(VectorPipelineError):
    """What was read contradicts what must hold. Stop, and let a person look."""

    kind = "corrupt"
