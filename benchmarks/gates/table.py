"""The table of what caught what, for ``docs/gates.md``."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.gates.bench import Outcome

BEGIN, END = "<!-- caught:begin -->", "<!-- caught:end -->"


def write_table(
    page: Path,
    found: Mapping[str, Sequence[Outcome]],
    harmless: Sequence[tuple[str, Outcome]],
    where: str,
) -> None:
    """Replace what stands between the markers."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{_section(found, harmless, where)}\n{END}{after}", encoding="utf-8")


def _section(found: Mapping[str, Sequence[Outcome]], harmless: Sequence[tuple[str, Outcome]], where: str) -> str:
    lines = [
        f"Made by `make bench-gates` on {where}: {sum(map(len, found.values()))} seeded releases.",
        "",
        "| seeded failure | stopped | by |",
        "|---|---|---|",
    ]
    for name, outcomes in found.items():
        counted = Counter(gate for one in outcomes for gate in one.stopped_by)
        by = ", ".join(gate if count == len(outcomes) else f"{gate} ({count})" for gate, count in counted.most_common())
        lines.append(f"| {name} | {sum(one.stopped for one in outcomes)} of {len(outcomes)} | {by} |")
    kinds = Counter(kind for kind, _ in harmless)
    wrong = Counter(kind for kind, one in harmless if one.stopped)
    lines += ["", "| harmless release | stopped |", "|---|---|"]
    lines += [f"| {kind} | {wrong[kind]} of {count} |" for kind, count in kinds.most_common()]
    lines.append(f"| all | {sum(wrong.values())} of {sum(kinds.values())} |")
    return "\n".join(lines)
