"""Which secrets a configuration refers to, so that no message of a library shows one to a client."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from vector_pipeline.config.secrets import SecretTemplate


def secrets_of(config: BaseModel) -> tuple[SecretTemplate, ...]:
    """Every value in it that may hold a reference, for ``config.secrets.scrub``."""
    return tuple(dict.fromkeys(one for one in _within(config) if one.names()))


def _within(value: Any) -> Iterator[SecretTemplate]:
    if isinstance(value, SecretTemplate):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _within(getattr(value, name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _within(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _within(one)
