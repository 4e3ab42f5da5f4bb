"""What makes an environment a tier: its seal, its sample, and whose vectors it may read. See ``docs/environments.md``.

Laws
----
1. A seal is a reference to a secret, never the secret: whoever copies the file copies no right with it.
2. ``reuse`` names an environment of the same file, and never a circle: what is read there was made there.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from vector_pipeline.config.fields import Model, Name
from vector_pipeline.config.secrets import SecretTemplate


def _reference(value: SecretTemplate) -> SecretTemplate:
    names = value.names()
    if len(names) != 1 or value != f"${{env:{names[0]}}}":
        raise ValueError("a seal is a reference to one secret, such as ${env:VECTOR_PIPELINE_SEAL}: never write it out")
    return value


Seal = Annotated[SecretTemplate, AfterValidator(_reference)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class TierConfig(Model):
    """What sets environments apart from each other, beside where they keep things."""

    sealed: Seal | None = None
    """Reference to a secret that only the deployment has, such as `${env:VECTOR_PIPELINE_SEAL}`. Where it is not set, or is not the
    one that the registry was sealed with, everything that writes is refused; readers need none. The first run that has it seals."""
    sample: Share | None = None
    """Share of the documents that are built here, such as 0.1: those whose hash is below it, the same ones on every machine. A
    larger share contains the smaller one. Default: all."""
    sample_also: list[str] = []
    """Ids of documents that are in the sample whatever their hash, or patterns with `*`, `?` and `[…]`. What canaries name is in it
    anyway."""
    reuse: Name | None = None
    """Another environment, whose lake is read for vectors of the same text and model before anything is embedded. Read-only; what
    was read is attested as if it had been made here."""
    reusable: bool = True
    """Whether environments of this file may `reuse` the vectors of this one."""


def check_reuse(environments: Mapping[str, Any]) -> None:
    """Law 2, for a validator of the whole file; and whom previews are compared with."""
    for name, environment in environments.items():
        _check_against(name, environment, environments)
        seen, other = [name], environment.reuse
        while other is not None:
            if other not in environments:
                known = ", ".join(one for one in environments if one != name)
                said = (
                    f"{{other}} is not one of the other environments: {known}"
                    if known
                    else "there is no other environment"
                )
                raise PydanticCustomError(
                    "unknown_environment", said, {"at": ("environments", name, "reuse"), "other": other}
                )
            if other in seen:
                raise PydanticCustomError(
                    "circle", "environments reuse each other in a circle: {circle}",
                    {"at": ("environments", name, "reuse"), "circle": ", ".join([*seen, other])},
                )  # fmt: skip
            if not environments[other].reusable:
                said = "environment {other} lets nobody read its vectors (reusable: false)"
                raise PydanticCustomError("not_reusable", said, {"at": ("environments", name, "reuse"), "other": other})
            seen.append(other)
            other = environments[other].reuse


def _check_against(name: str, environment: Any, environments: Mapping[str, Any]) -> None:
    against = environment.previews.against
    at = ("environments", name, "previews", "against")
    if against is not None and against not in environments:
        known = ", ".join(environments)
        raise PydanticCustomError(
            "unknown_environment", f"{{other}} is not one of the environments: {known}", {"at": at, "other": against}
        )
    if against is not None and environments[against].sample != environment.sample:
        said = "environment {other} has another sample: previews compared with it would seem to add or lose documents"
        raise PydanticCustomError("another_sample", said, {"at": at, "other": against})
