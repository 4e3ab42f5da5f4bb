"""Secrets by reference: ``${env:NAME}`` in a value, resolved only at the moment of use.

A ``SecretTemplate`` prints as its template, so a configuration may be shown, logged and stored as it is.
"""

import os
import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from vector_pipeline.errors import ConfigError

_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


class SecretTemplate(str):
    """A string that may hold ``${env:NAME}`` references. ``resolve`` fills them in; ``str`` shows the template."""

    __slots__ = ()

    def names(self) -> list[str]:
        """Environment variables that the template names."""
        return _REFERENCE.findall(self)

    def resolve(self) -> str:
        """The value, for the library that needs it: never log it. ``ConfigError`` names a variable that is not set."""
        missing = [name for name in self.names() if name not in os.environ]
        if missing:
            raise ConfigError(f"environment variable {missing[0]} is not set", fix=f"export {missing[0]}=…")
        return _REFERENCE.sub(lambda match: os.environ[match.group(1)], self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=core_schema.plain_serializer_function_ser_schema(str.__str__)
        )


def refuse_literal_password(url: str) -> str:
    """Validator for URLs: a password in one must be a reference."""
    try:
        password = urlsplit(_REFERENCE.sub("REFERENCE", url)).password
    except ValueError:
        return url
    if password not in (None, "", "REFERENCE"):
        # The value itself must not be repeated in the message.
        raise ValueError("a password in a URL must be a reference such as ${env:DATABASE_PASSWORD}")
    return url
