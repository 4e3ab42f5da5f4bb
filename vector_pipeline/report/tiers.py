"""Environments beside each other, as a terminal shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from vector_pipeline.report.tables import table

COLUMNS = ("environment", "sealed", "sample", "reuses", "registry", "shared with", "targets", "production serves")


@dataclass(frozen=True, slots=True)
class Tier:
    """One environment of the configuration, as it stands."""

    name: str
    here: bool
    """It is the one that commands mean now."""
    sealed: str
    """``no``; ``open``: its seal is here; ``closed``: it is not; ``at first write``: nothing was sealed yet."""
    sample: float | None
    reuse: str | None
    registry: str
    """Id; empty where there is none yet."""
    where: str
    """The registry's address, without secrets."""
    shares_with: tuple[str, ...]
    """Other environments that its registry serves."""
    targets: tuple[str, ...]
    serves: tuple[tuple[str, int], ...]
    """Datasets and the versions that production serves there."""
    fault: str = ""
    """Why it could not be looked at; empty: it was."""


def tiers_table(tiers: Sequence[Tier]) -> Table:
    """One line an environment; ``*`` marks the one that commands mean."""
    return table(
        COLUMNS,
        (
            (
                f"{one.name} *" if one.here else one.name,
                Text(one.sealed, style="yellow" if one.sealed == "closed" else ""),
                "all" if one.sample is None else f"{one.sample:.0%}" if one.sample >= 0.01 else f"{one.sample:g}",
                one.reuse,
                one.registry or ("not known" if one.fault else "none yet"),
                ", ".join(one.shares_with),
                ", ".join(one.targets),
                ", ".join(f"{name} v{version}" for name, version in one.serves),
            )
            for one in tiers
        ),
    )
