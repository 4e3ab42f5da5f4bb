"""The registry: versions, deployments, aliases, verdicts, leases and the journal. Small, transactional, the only
mutable truth.

    with Registry.open("sqlite:////home/me/project/.vector_pipeline/registry.sqlite") as registry:
        version, made = registry.record_version(NewVersion(dataset="handbook", ...))

SQLite for one machine, PostgreSQL for several. Every method is one short transaction that repeats itself when it loses
to others, and raises from ``vector_pipeline.errors`` only: ``UnavailableError`` (no database), ``ConflictError``
(somebody was first), ``NotFoundError``, ``RefusedError`` (a rule forbids it; nothing was written), ``InputError``.
"""

from vector_pipeline.release.registry.aliases import Alias, AliasMove, MoveKind, mirror_name, plain_name
from vector_pipeline.release.registry.audits import Audit
from vector_pipeline.release.registry.bridges import Bridge, NewBridge
from vector_pipeline.release.registry.deployments import Deployment, DeploymentStatus
from vector_pipeline.release.registry.erasures import Erasure
from vector_pipeline.release.registry.fills import Fill, FillStatus, NewFill
from vector_pipeline.release.registry.grouping import GroupCommit
from vector_pipeline.release.registry.journal import Intent, JournalEntry, Outcome, OutcomeRecord
from vector_pipeline.release.registry.leases import Lease
from vector_pipeline.release.registry.listening import Listener
from vector_pipeline.release.registry.moving import Move
from vector_pipeline.release.registry.namespaces import NamespaceRecord
from vector_pipeline.release.registry.overrides import NewOverride, Override
from vector_pipeline.release.registry.previews import PreviewRecord
from vector_pipeline.release.registry.pushes import Push, PushStatus
from vector_pipeline.release.registry.registry import Registry
from vector_pipeline.release.registry.routes import Route
from vector_pipeline.release.registry.spaces import Use
from vector_pipeline.release.registry.throughput import Throughput
from vector_pipeline.release.registry.verdicts import Verdict, VerdictStatus
from vector_pipeline.release.registry.versions import NewVersion, Version
from vector_pipeline.release.registry.withdrawals import Withdrawal

__all__ = [
    "Alias",
    "AliasMove",
    "Audit",
    "Bridge",
    "Deployment",
    "DeploymentStatus",
    "Erasure",
    "Fill",
    "FillStatus",
    "GroupCommit",
    "Intent",
    "JournalEntry",
    "Lease",
    "Listener",
    "Move",
    "MoveKind",
    "NamespaceRecord",
    "NewBridge",
    "NewFill",
    "NewOverride",
    "NewVersion",
    "Outcome",
    "OutcomeRecord",
    "Override",
    "PreviewRecord",
    "Push",
    "PushStatus",
    "Registry",
    "Route",
    "Throughput",
    "Use",
    "Verdict",
    "VerdictStatus",
    "Version",
    "Withdrawal",
    "mirror_name",
    "plain_name",
]
