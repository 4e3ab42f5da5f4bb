"""Lakes of environments beside each other: what several of one file may share, and what they may not.

Laws
----
1. Environments share a whole lake with its registry, or nothing of it: one catalog has one folder of data, and one folder one
   catalog. Else a collection in one of them would delete files of the other.
2. No lake's data lie within another's.
"""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError


def check_lakes(environments: Mapping[str, Any], base: Path) -> None:
    """The laws, for a validator of the whole file. ``base``: the folder that paths are relative to."""
    for (one, first), (other, second) in combinations(environments.items(), 2):
        said = _fault(one, other, first, second, base)
        if said is not None:
            raise PydanticCustomError(
                "shared_lake", "{said}", {"at": ("environments", other, "lake"), "said": said}
            )  # fmt: skip


def _fault(one: str, other: str, first: Any, second: Any, base: Path) -> str | None:
    catalogs = [_catalog(str(each.lake.catalog), base) for each in (first, second)]
    data = [_folder(each.lake.data, base) for each in (first, second)]
    both = f"environments {one} and {other}"
    if catalogs[0] == catalogs[1] and data[0] == data[1]:
        if str(first.registry) != str(second.registry):
            return (
                f"{both} share a lake but not a registry: expiring in one would forget versions of the other; give each "
                "its own lake, or both one registry"
            )
        return None
    if data[0] == data[1]:
        left = [name for name, each in ((one, first), (other, second)) if "data" not in each.lake.model_fields_set]
        default = f", which is the default of {' and '.join(left)}" if left else ""
        return (
            f"{both} have one folder of data, {second.lake.data}{default}, and two catalogs: collecting in one would delete "
            f"files of the other; give {other} `lake: data:` of its own"
        )
    if catalogs[0] == catalogs[1]:
        return (
            f"{both} have one catalog, and data in {first.lake.data} and {second.lake.data}: one would not find what the "
            f"other commits; give {other} `lake: catalog:` of its own, or both the same `data:`"
        )
    if data[0].startswith(data[1]) or data[1].startswith(data[0]):
        return (
            f"{both} have data within each other, {first.lake.data} and {second.lake.data}: collecting in one would delete "
            f"files of the other; give {other} `lake: data:` beside that of {one}"
        )
    return None


def _folder(data: str, base: Path) -> str:
    whole = data if "://" in data else str((base / data).resolve())
    return whole.rstrip("/") + "/"


def _catalog(url: str, base: Path) -> str:
    file = url.removeprefix("sqlite:///")
    return url if file == url else f"sqlite:///{(base / file).resolve()}"
