"""Every row of the table of speed: ``python -m benchmarks [--quick] [WORK ...]``.

Ratios of the same work, measured side by side on one machine; kept in ``benchmarks/results/latest.json`` and drawn in
``docs/performance.md``. Exit 0: every goal is reached or explained; 1: a goal is missed without a word; 2: a work failed.
"""

import subprocess
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import billion
from benchmarks.measuring import PEERS, FailedError
from benchmarks.rows import Row, keep
from benchmarks.works import WORKS, Sizes, work

console = Console()


def main(
    works: Annotated[list[str] | None, typer.Argument(help=f"some of: {', '.join(WORKS)} (all of them)")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="small sizes: minutes instead of hours")] = False,
    rounds: Annotated[int, typer.Option(help="how often each side runs")] = 3,
    save: Annotated[bool, typer.Option(help="keep the figures and draw the page")] = True,
) -> None:
    """Measure, print each row as it is known, keep the results."""
    unknown = set(works or []) - set(WORKS)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(WORKS)}")
    missed, failed = 0, 0
    for key in works or WORKS:
        console.print(f"[bold]{key}[/bold]: {WORKS[key]}")
        started, rows = time.monotonic(), []
        try:
            for row in work(key).measure(Sizes(quick, rounds)):
                rows.append(row)
                console.print(_line(row))
        except FailedError as error:
            console.print(f"  [red]failed[/red]: {error}", highlight=False)
            failed += 1
        console.print(f"  {len(rows)} rows, {time.monotonic() - started:.0f} s", style="dim")
        missed += sum(row.reached is False and not row.limit for row in rows)
        if save and rows:
            keep(rows, quick=quick)
    if save and not quick:
        billion.write()
        subprocess.run([PEERS / "bin" / "python", "-m", "benchmarks.page"], check=True)
    raise typer.Exit(2 if failed else 1 if missed else 0)


def _line(row: Row) -> Table:
    table = Table.grid(padding=(0, 2))
    mark = {True: "[green]reached[/green]", False: "[yellow]missed[/yellow]", None: "[dim]no goal[/dim]"}[row.reached]
    goal = "" if row.goal is None else f"{row.kind} {row.goal:g} {row.unit}"
    table.add_row("  " + row.name, f"{row.figure:g} {row.unit}", goal, mark)
    return table


if __name__ == "__main__":
    typer.run(main)
