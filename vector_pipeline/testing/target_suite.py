"""Conformance suite of targets: subclass ``TargetConformance``, give it a fixture ``target``, and pytest runs the laws.

    class TestMine(TargetConformance):
        @pytest.fixture
        def target(self, tmp_path):
            target = MyTarget(...)
            yield target
            target.close()

The laws are those of ``vector_pipeline.targets.base``. What a target declares not to be able to do is skipped, never
tried. ``reopen``, ``read_only``, ``raw`` and ``meddle`` are optional: they add the checks that need a second connection, or a look
or a hand past the adapter. pytest and hypothesis must be installed.
"""

from vector_pipeline.targets.base import Target
from vector_pipeline.testing.target_suite_derived import DeriveLaws
from vector_pipeline.testing.target_suite_limits import LimitLaws
from vector_pipeline.testing.target_suite_metadata import MetadataLaws
from vector_pipeline.testing.target_suite_owners import OwnerLaws
from vector_pipeline.testing.target_suite_queries import QueryLaws
from vector_pipeline.testing.target_suite_reads import ReadLaws
from vector_pipeline.testing.target_suite_services import ServiceLaws
from vector_pipeline.testing.target_suite_values import ValueLaws
from vector_pipeline.testing.target_suite_writes import WriteLaws


class TargetConformance(
    WriteLaws, OwnerLaws, DeriveLaws, MetadataLaws, ReadLaws, QueryLaws, ValueLaws, LimitLaws, ServiceLaws
):
    """Every law. The fixture ``target`` yields a fresh target (it may be shared: each test makes a namespace of its own)."""

    def reopen(self, target: Target) -> Target | None:  # noqa: ARG002 (for those who override it)
        """A second target over the same data, opened as if by another process; None where there is no such thing."""
        return None

    def raw(self, target: Target, namespace: str) -> list[str] | None:  # noqa: ARG002 (as above)
        """Ids in the namespace, read past the adapter; None where that cannot be done."""
        return None

    def meddle(self, target: Target, namespace: str) -> str | None:  # noqa: ARG002 (as above)
        """Change one record past the adapter, as another program would; its id. None where nothing can."""
        return None

    def read_only(self, target: Target) -> Target | None:  # noqa: ARG002 (as above)
        """The same target, opened read-only; None where there is no such thing."""
        return None
