"""Gates in tests that are about something else."""

from collections.abc import Collection

from vector_pipeline.project import Project
from vector_pipeline.project.gating import OF_INDEX, SETTINGS
from vector_pipeline.release.registry import Deployment, VerdictStatus
from vector_pipeline.verify.catalogue import GATES

FEW = f"modes: {{{', '.join(f'{gate.key}: off' for gate in GATES if gate.name not in OF_INDEX and 'expect' not in gate.name)}}}"
"""Of a configuration's ``gates``: expectations, coverage and canaries alone, for runs that are about something else."""


def say_passed(project: Project, deployment: Deployment, *, index: bool = False, but: Collection[str] = ()) -> None:
    """Record that a deployment passed the gates of its version: that data is good here, and looking at it takes its time.

    ``index``: those that look at its index too, for the state that it is in. ``but``: gates that have spoken for themselves.
    """
    settings, mark = project.gate_settings(deployment.dataset), project.mark_of(deployment) if index else None
    looking = project.index_gates_of(deployment.dataset, deployment.target) if index else ()
    for gate in (*project.version_gates(deployment.dataset), *looking):
        if gate not in but:
            project.registry().record_verdict(
                deployment.id, gate, VerdictStatus.PASSED, digest=str(deployment.digest), detail={SETTINGS: settings},
                mark=mark if gate in looking else None,
            )  # fmt: skip


def verify_index(project: Project, dataset: str = "handbook", version: int | None = None) -> Deployment:
    """Coverage and canaries for real, what else a promotion wants as ``say_passed``. Default: what staging holds."""
    number = project.staged(dataset) if version is None else version
    deployment, _ = project.verify(dataset, only=OF_INDEX, version=number)
    say_passed(project, deployment, index=True, but=OF_INDEX)
    return deployment
