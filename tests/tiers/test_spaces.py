"""Another model than the one that an index was filled with: nothing is mixed, and what cannot be served is refused."""

from pathlib import Path

import pytest

from tests.tiers.conftest import Open, tier, write
from vector_pipeline.errors import RefusedError
from vector_pipeline.targets.base import NamespaceSpec


@pytest.mark.slow
def test_another_model_meets_the_index_of_the_first(tmp_path: Path, opened: Open) -> None:
    file = write(tmp_path, {"prod": tier("prod")}, gates={"modes": {"attestation": "off"}})
    with opened(file, "prod") as project:
        project.build("handbook")
        project.push("handbook")
        version = project.version("handbook")
        (namespace,) = project.target("handbook").namespaces()
        before = project.target("handbook").describe(namespace)
    file.write_text(file.read_text().replace("model: seed", "model: other"))
    project = opened(file, "prod")
    target, space = project.target("handbook"), project.space("handbook")
    assert space.fingerprint != version.fingerprint
    # Queries of this model find nothing there, so they are not asked.
    with pytest.raises(RefusedError, match="is served in another space than tiny is here"):
        project.query_space(version)
    # Nor is it written into, whoever tries.
    with pytest.raises(RefusedError, match=f"namespace {namespace} exists: space is {version.fingerprint}"):
        target.ensure_namespace(NamespaceSpec(namespace, space.dimension, space.metric, space.fingerprint), fence=99)
    # A build and a push of it have a namespace of their own; the first one is as it was.
    project.build("handbook")
    pushed = project.push("handbook")
    assert pushed.plan.namespace != namespace
    assert target.describe(namespace) == before
