"""A suite of expectations as plain data, in Great Expectations' own words: type, keyword arguments, meta, severity.

Laws
----
1. A suite is data: building, showing and filling one imports nothing heavy.
2. ``{$PARAMETER: name}`` stands for a value of the dataset or its space (``Parameters``). An expectation whose parameter has no
   value here (the length of vectors in a space that does not normalise them) does not apply, and is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from vector_pipeline.config import GateConfig

Kind = Literal["documents", "chunks", "embeddings"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Severity = Literal["critical", "warning", "info"]
"""As Great Expectations has them. ``critical`` fails the gate, ``warning`` warns, ``info`` is told."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
PARAMETER = "$PARAMETER"
METADATA = "metadata."
"""Columns that begin so are keys of a row's metadata."""
Parameters = Mapping[str, Any]
_UNIT_NORM = (0.99, 1.01)
"""Length of a vector that its space calls normalised."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing that must hold."""

    type: str
    """``expect_column_values_to_be_between``."""
    kwargs: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)
    """``says``: the sentence for people; ``{name}`` in it is a parameter's value."""
    severity: Severity = "critical"
    line: int = 0
    """Of the file, from 1; 0: it is in none."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it names."""
        named = [self.kwargs.get(key) for key in ("column", "column_A", "column_B")]
        for key in ("column_list", "column_set"):
            several = self.kwargs.get(key)
            named += list(several) if isinstance(several, list | tuple) else []
        return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))

    @property
    def says(self) -> str:
        """One sentence for a person."""
        return str(self.meta.get("says") or self.meta.get("description") or _sentence(self))

    def parameters(self) -> Iterator[str]:
        """Names of the parameters that its arguments refer to."""
        return _parameters(self.kwargs)


@dataclass(frozen=True, slots=True)
class Suite:
    """What must hold of every row of one kind."""

    kind: Kind
    expectations: tuple[Expectation, ...]
    path: Path | None = None
    """Where the dataset says it; None: nowhere, it is the default suite."""

    def columns(self) -> tuple[str, ...]:
        """Every column that it names."""
        return tuple(dict.fromkeys(column for one in self.expectations for column in one.columns))


def fill(suite: Suite, parameters: Parameters) -> Suite:
    """The suite with values for parameters; law 2."""
    kept = []
    for one in suite.expectations:
        names = list(one.parameters())
        if names and all(parameters.get(name) is None for name in names):
            continue
        meta = dict(one.meta)
        if isinstance(meta.get("says"), str):
            meta["says"] = _formatted(meta["says"], parameters)
        kept.append(replace(one, kwargs=_filled(one.kwargs, parameters), meta=meta))
    return replace(suite, expectations=tuple(kept))


def parameters_of(
    gates: GateConfig, *, shards: int, allow_empty: bool, dimension: int | None = None, normalized: bool = True
) -> dict[str, Any]:
    """Values that suites may refer to, by name."""
    return {
        # A source that may be empty may be released empty: nothing is what was asked for.
        "min_rows": 0 if allow_empty else 1,
        "last_shard": shards - 1,
        "min_text_chars": gates.min_text_chars,
        "max_text_chars": gates.max_text_chars,
        "max_duplicate_share": gates.max_duplicate_share,
        "dimension": dimension,
        "min_norm": _UNIT_NORM[0] if normalized else None,
        "max_norm": _UNIT_NORM[1] if normalized else None,
    }


PARAMETERS = tuple(parameters_of(GateConfig(), shards=1, allow_empty=False))
"""Every name."""


def _parameters(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if set(value) == {PARAMETER}:
            yield str(value[PARAMETER])
        else:
            for item in value.values():
                yield from _parameters(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parameters(item)


def _filled(value: Any, parameters: Parameters) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {PARAMETER}:
            return parameters.get(str(value[PARAMETER]))
        return {key: _filled(item, parameters) for key, item in value.items()}
    return [_filled(item, parameters) for item in value] if isinstance(value, list | tuple) else value


def _formatted(says: str, parameters: Parameters) -> str:
    for name, value in parameters.items():
        says = says.replace("{" + name + "}", str(value))
    return says


def _sentence(one: Expectation) -> str:
    """``chars: values to be between, min_value 1``."""
    what = one.type.removeprefix("expect_").removeprefix("column_").removeprefix("table_").replace("_", " ")
    rest = [
        f"{key} {value}"
        for key, value in one.kwargs.items()
        if key not in ("column", "column_list") and value is not None and value is not False
    ]
    where = ", ".join(one.columns)
    return ", ".join([f"{where}: {what}" if where else what, *rest])
