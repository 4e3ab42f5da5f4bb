"""What ``deploy/terraform`` and ``deploy/pulumi`` take as variables: names and sizes that only the project knows.

Laws
----
1. No secret is among them: passwords and keys reach Terraform as variables of the environment.
2. One shape for both: the names are those of the root modules' variables.
"""

from typing import Any

from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.provision.buckets import lake_place
from vector_pipeline.provision.places import Places
from vector_pipeline.provision.provisioning import Provisioning
from vector_pipeline.provision.stores import Store, stores_of


def variables(project: Provisioning) -> dict[str, Any]:
    """Of one environment. Whatever a space raises whose model is not here: its index cannot be named."""
    settings, found = project.settings, {"environment": project.environment, "indexes": _indexes(project)}
    place = lake_place(settings.lake.data)
    if place is not None:
        found |= {"bucket": place[0], "lake_prefix": place[1]}
    stores = stores_of(settings)
    if stores:
        found |= {"database": stores[0].login.database, "writer": stores[0].login.user}
        # One database has one owner there; the schemas of others are not in it, and `provision` makes those.
        found["vector_schemas"] = sorted(
            {one.schema for one in stores if one.vectors and _owner(one) == _owner(stores[0])}
        )
    if settings.provision.reader is not None:
        found["reader"] = settings.provision.reader
    wanted = settings.provision.bucket
    return {
        **found,
        "versioning": wanted.versioning,
        "noncurrent_days": wanted.noncurrent_days,
        "kms_key": wanted.kms_key,
    }


def left_out(project: Provisioning) -> list[str]:
    """A line for each store on PostgreSQL that the variables do not have: there is one database, with one owner, in them."""
    stores = stores_of(project.settings)
    return [
        f"not among the variables: the database {one.login.database} of {one.login.user}, for the {one.what}. "
        "Make it by: vector-pipeline provision"
        for one in stores
        if _owner(one) != _owner(stores[0])
    ]


def _owner(store: Store) -> tuple[tuple[str, str], str, str]:
    return store.login.server, store.login.database, store.login.user


def _indexes(project: Provisioning) -> dict[str, Any]:
    from vector_pipeline.targets.pinecone.provisioning import IndexProvisioning

    found: dict[str, Any] = {}
    for name, config in project.settings.targets.items():
        if not isinstance(config, PineconeTargetConfig):
            continue
        indexes = IndexProvisioning(name, config)
        for _, spec in Places(project).spaces(name):
            if isinstance(spec, VectorPipelineError):
                raise spec
            found[indexes.name_of(spec)] = {
                "dimension": spec.dimension, "metric": spec.metric, "cloud": config.cloud, "region": config.region,
                "deletion_protection": config.deletion_protection, "tags": indexes.tags_of(spec),
            }  # fmt: skip
    return found
