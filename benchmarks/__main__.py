"""Every row of the table of speed: ``python -m benchmarks [--quick] [WORK ...]``.

Ratios of the same work, measured side by side on one machine; kept in ``benchmarks/results/latest.json`` and drawn in
``docs/performance.md``. ``--quick`` keeps them in ``quick.json`` beside it, and leaves the page alone. A work's rows are kept once
it is through: one that fails leaves those of before.

Exit 0: every goal is reached or explained; 1: a goal is missed without a word; 2: a work failed.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import billion
from benchmarks.measuring import PEERS, REPOSITORY
from benchmarks.provenance import Provenance, provenance
from benchmarks.rows import QUICK, RESULTS, Row, keep
from benchmarks.works import WORKS, Sizes, work

console = Console()


def main(
    works: Annotated[list[str] | None, typer.Argument(help=f"some of: {', '.join(WORKS)} (all of them)")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="small sizes: minutes instead of hours; not for the page")
    ] = False,
    rounds: Annotated[int, typer.Option(help="how often each side runs")] = 3,
    save: Annotated[bool, typer.Option(help="keep the figures and, of full sizes, draw the page")] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="where a work fails, with its traceback")] = False,
) -> None:
    """Measure, print each row as it is known, keep the results."""
    unknown = set(works or []) - set(WORKS)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(WORKS)}")
    # As an interrupt does: sides, which are in groups of their own, and their folders go with us.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

    def through(rows: list[Row], made: Provenance) -> None:
        if save:
            keep(rows, quick=quick, made=made)

    chosen = {key: partial(_rows, key) for key in works or WORKS}
    found = measured(chosen, Sizes(quick, rounds), through, verbose=verbose)
    if save and any(rows is not None for rows in found.values()):
        console.print(f"kept in {(QUICK if quick else RESULTS).relative_to(REPOSITORY)}", highlight=False)
        if not quick:
            billion.write()
            subprocess.run([PEERS / "bin" / "python", "-m", "benchmarks.page"], cwd=REPOSITORY, check=True)
    missed = [row for rows in found.values() for row in rows or [] if row.reached is False and not row.limit]
    raise typer.Exit(2 if None in found.values() else 1 if missed else 0)


def measured(
    works: Mapping[str, Callable[[Sizes], Iterator[Row]]],
    sizes: Sizes,
    through: Callable[[list[Row], Provenance], None],
    *,
    verbose: bool = False,
) -> dict[str, list[Row] | None]:
    """Rows of each work, printed as they are known; None for one that failed, which stops no other.

    ``through`` is given the rows of a work that did not fail, with what was the case when it began. Where it raises,
    the work failed.
    """
    found: dict[str, list[Row] | None] = {}
    for key, measure in works.items():
        console.print(f"[bold]{key}[/bold]: {WORKS.get(key, '')}")
        started, made, rows = time.monotonic(), provenance(), list[Row]()
        try:
            for row in measure(sizes):
                rows.append(row)
                console.print(_line(row))
            through(rows, made)
        except Exception as error:  # noqa: BLE001 - libraries raise anything; the works after this one are measured all the same
            console.print(f"  [red]failed[/red] after {len(rows)} rows, {time.monotonic() - started:.0f} s:", end=" ")
            console.print(_short(error), highlight=False, markup=False, soft_wrap=True)
            console.print("  What was kept of it before stays as it is.")
            if verbose:
                console.print_exception()
            found[key] = None
            continue
        console.print(f"  {len(rows)} rows, {time.monotonic() - started:.0f} s", style="dim")
        found[key] = rows
    return found


def _rows(key: str, sizes: Sizes) -> Iterator[Row]:
    """The work is imported with its first row: what it lacks stops no other work."""
    yield from work(key).measure(sizes)


def _short(error: Exception) -> str:
    """One line: of a side's words the first and the last."""
    lines = [line.strip() for line in f"{type(error).__name__}: {error}".splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}"


def _line(row: Row) -> Table:
    table = Table.grid(padding=(0, 2))
    mark = {True: "[green]reached[/green]", False: "[yellow]missed[/yellow]", None: "[dim]no goal[/dim]"}[row.reached]
    goal = "" if row.goal is None else f"{row.kind} {row.goal:g} {row.unit}"
    table.add_row("  " + row.name, f"{row.figure:g} {row.unit}", goal, mark)
    return table


if __name__ == "__main__":
    typer.run(main)
