"""Charts as gates describe them (``detail["charts"]``), read back and checked: what is not drawable is told, not drawn."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

MOST_POINTS = 1_500
MOST_ROWS = 50
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else str(value))]


class _Chart(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    title: _Text = ""


class Histogram(_Chart):
    """How often values fall between ``edges``."""

    kind: Literal["histogram"]
    edges: list[_Finite] = Field(min_length=2)
    series: dict[str, list[Annotated[float, Field(ge=0, allow_inf_nan=False)]]] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> "Histogram":
        if any(len(counts) != len(self.edges) - 1 for counts in self.series.values()):
            raise ValueError("every series needs one count between two edges")
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must rise")
        return self


class Bars(_Chart):
    """One number a label and series; None where there is none."""

    kind: Literal["bars"]
    labels: list[_Text] = Field(min_length=1, max_length=MOST_ROWS)
    series: dict[str, list[_Finite | None]] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> "Bars":
        if any(len(values) != len(self.labels) for values in self.series.values()):
            raise ValueError("every series needs one number a label")
        return self


class Scatter(_Chart):
    """Points [x, y, label, group]."""

    kind: Literal["scatter"]
    points: list[tuple[_Finite, _Finite, _Text, _Text]] = Field(min_length=1, max_length=MOST_POINTS)


class Rows(_Chart):
    """A table."""

    kind: Literal["table"]
    columns: list[_Text] = Field(min_length=1)
    rows: list[list[Any]] = Field(max_length=MOST_ROWS)

    @model_validator(mode="after")
    def _fits(self) -> "Rows":
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row needs one cell a column")
        return self


class Intervals(_Chart):
    """Shares (0 to 1) with their intervals: rows [label, share, low, high, passed of total]."""

    kind: Literal["intervals"]
    rows: list[tuple[_Text, _Finite, _Finite, _Finite, _Text]] = Field(min_length=1)
    required: _Finite | None = None
    """The share that is demanded."""


class Undrawable(_Chart):
    """A chart that is not as it should be."""

    kind: Literal["undrawable"] = "undrawable"
    why: str


Chart = Histogram | Bars | Scatter | Rows | Intervals
_ONE: TypeAdapter[Chart] = TypeAdapter(Annotated[Chart, Field(discriminator="kind")])


def chart_of(value: Any) -> Chart | Undrawable:
    """One chart as a gate wrote it."""
    try:
        return _ONE.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        title = str(value.get("title", "")) if isinstance(value, Mapping) else ""
        where = ".".join(str(part) for part in first["loc"][1:])
        return Undrawable(title=title, why=f"{where}: {first['msg']}" if where else first["msg"])


def charts_of(detail: Mapping[str, Any]) -> list[Chart | Undrawable]:
    """Every chart of a gate's detail, in its order."""
    found = detail.get("charts")
    return [chart_of(one) for one in found] if isinstance(found, list) else []
