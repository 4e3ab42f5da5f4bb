"""Environments beside each other, as a terminal shows them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from vector_pipeline.report.tables import table

if TYPE_CHECKING:
    from vector_pipeline.project.sealing import Tier


COLUMNS = ("environment", "sealed", "sample", "reuses", "registry", "shared with", "targets", "production serves")


def tiers_table(tiers: "Sequence[Tier]") -> Table:
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
