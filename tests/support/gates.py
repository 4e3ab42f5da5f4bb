"""Gates in tests that are about something else."""

from vector_pipeline.project import Project
from vector_pipeline.project.gating import SETTINGS
from vector_pipeline.release.registry import Deployment, VerdictStatus


def say_passed(project: Project, deployment: Deployment, *, index: bool = False) -> None:
    """Record that a deployment passed the gates of its version: that data is good here, and a look costs a second.

    ``index``: those that look at its index too, for the state that it is in.
    """
    settings, mark = project.gate_settings(deployment.dataset), project.mark_of(deployment) if index else None
    looking = project.index_gates_of(deployment.dataset, deployment.target) if index else ()
    for gate in (*project.version_gates(deployment.dataset), *looking):
        project.registry().record_verdict(
            deployment.id, gate, VerdictStatus.PASSED, digest=str(deployment.digest), detail={SETTINGS: settings},
            mark=mark if gate in looking else None,
        )  # fmt: skip


def verify_index(project: Project, dataset: str, version: int) -> Deployment:
    """The gates of the index for real, those of the version as ``say_passed``."""
    target = project.places(dataset)[0]
    deployment, _ = project.verify(dataset, only=project.index_gates_of(dataset, target), version=version)
    say_passed(project, deployment)
    return deployment
