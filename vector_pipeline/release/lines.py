"""Lines: the namespaces that versions of one dataset in one space share, and how they are named.

Laws
----
1. A line's name says whose it is: two datasets or spaces never share one, and what no rule here names is nobody's of ours.
2. ``<dataset>--<space>--<fingerprint>`` is the first line of a space, ``…--v<N>`` one that began with version N (``…--v<N>-2``
   where an older line of that name still holds something), ``…--<environment>--next`` and ``…--live`` the two of the in-place
   strategy: what is written over is never shared with another environment.
3. Which versions a line holds is what the registry's deployments say; whether it really does, only the target can.
4. Records of an in-place line have no versions: bare record ids, and the interval [``IN_PLACE_ADDED_IN``, ``LIVE``), so that they
   are visible at whatever version the line is said to hold. Anything else in such a line is not wanted there.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from vector_pipeline.errors import RefusedError
from vector_pipeline.release.registry import Deployment

IN_PLACE_ADDED_IN = 0
"""``added_in`` of every record of an in-place line; its ``removed_in`` is ``LIVE``."""
_SUFFIX = re.compile(r"--(v[1-9][0-9]*(-[1-9][0-9]*)?|[a-z][a-z0-9_]*--(next|live))")
_LONGEST = 100
"""Characters of a namespace's name."""


@dataclass(frozen=True, slots=True)
class Line:
    """One namespace with the deployments in it that were not retired, oldest version first."""

    target: str
    namespace: str
    deployments: tuple[Deployment, ...]

    @property
    def whole(self) -> tuple[Deployment, ...]:
        """Those that were pushed to their end, oldest version first."""
        return tuple(one for one in self.deployments if one.status == "pushed")


def base_namespace(dataset: str, space: str, fingerprint: str) -> str:
    """Name of the first line of a dataset in a space: another model or chunker gets another. Names hold no ``-``."""
    return f"{dataset}--{space}--{fingerprint[:8]}"


def fresh_namespace(base: str, version: int, *, taken: Collection[str] = ()) -> str:
    """Name of a line that begins with ``version``, other than those ``taken``."""
    name, again = f"{base}--v{version}", 2
    while name in taken:
        name, again = f"{base}--v{version}-{again}", again + 1
    return name


def in_place_namespaces(base: str, environment: str) -> tuple[str, str]:
    """``(next, live)``: what the gates look at, and what readers read. ``RefusedError`` where the names get too long."""
    following, live = f"{base}--{environment}--next", f"{base}--{environment}--live"
    if len(live) > _LONGEST:
        raise RefusedError(
            f"{live} is longer than a namespace's name may be ({_LONGEST} characters)",
            fix="Give the dataset, its space or the environment a shorter name, or use another strategy",
        )
    return following, live


def is_in_place(namespace: str) -> bool:
    """Whether a line is one of the two of the in-place strategy."""
    return namespace.endswith(("--next", "--live"))


def belongs(namespace: str, base: str) -> bool:
    """Whether a namespace is a line of ``base``."""
    return namespace == base or (
        namespace.startswith(base) and _SUFFIX.fullmatch(namespace.removeprefix(base)) is not None
    )


def to_continue(lines: Iterable[Line]) -> Line | None:
    """The line that a later version goes on with: the one that holds the newest whole version. What a killed push left is
    gone on with only where nothing else is.
    """
    lines = list(lines)
    whole = [line for line in lines if line.whole]
    newest = max(whole, key=lambda line: (line.whole[-1].version, line.whole[-1].id), default=None)
    return newest or (lines[0] if lines else None)


def lines_of(deployments: Iterable[Deployment]) -> list[Line]:
    """Deployments (as the registry gives them) by line; the line that was begun or continued last comes first."""
    found: dict[tuple[str, str], list[Deployment]] = {}
    for one in deployments:
        if one.status != "retired":
            found.setdefault((one.target, one.namespace), []).append(one)
    lines = [
        Line(target, namespace, tuple(sorted(ones, key=lambda one: one.version)))
        for (target, namespace), ones in found.items()
    ]
    return sorted(lines, key=lambda line: max((one.version, one.id) for one in line.deployments), reverse=True)
