"""What the models of the configuration have in common: their base, and kinds of values."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from vector_pipeline.config.secrets import SecretTemplate, check_url

# A dataset's name becomes a schema of the lake and a group in Dagster; a space's name becomes part of a table's name.
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
MEMORY_PATTERN = r"^\d+(\.\d+)?\s*[KMG]i?B$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Url = Annotated[SecretTemplate, AfterValidator(lambda value: SecretTemplate(check_url(value)))]
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)$", re.IGNORECASE)
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def _apart(name: str) -> str:
    """A dataset's name, if the names of its jobs (``handbook__release``) are nobody else's and can be taken apart again."""
    if "__" in name or name.endswith("_"):
        plain = re.sub("_+", "_", name).strip("_")
        raise ValueError(
            f"a dataset's name has no __ and no _ at its end: __ parts it from its jobs. Name it {plain}, perhaps"
        )
    return name


DatasetName = Annotated[Name, AfterValidator(_apart)]
"""Its jobs, ops and checks are named by joining it with others by ``__``."""


def bytes_of(value: Any) -> Any:
    """``20 MB`` as a number of bytes; whatever else stays as it is."""
    if isinstance(value, str):
        match = _SIZE.match(value.strip())
        if match is None:
            raise ValueError("a size is a number with a unit: 500 KB, 20 MB, 2 GB")
        return int(float(match.group(1)) * _UNITS[match.group(2).upper()])
    return value


class Model(BaseModel):
    """Base: frozen, unknown keys refused, field docstrings kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)
