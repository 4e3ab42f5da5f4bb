"""What an erasure found and left, place by place: for people and for the record. Plain values, no I/O."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

UNREACHABLE = (
    "the source itself: while it holds the document, builds leave it out and list it as quarantined (reason: erased)",
    "Dagster's own storage: the configuration of this run names the document (never its text), and earlier runs may name it in "
    "examples; delete those runs in its UI",
    "backups and snapshots of disks, databases and buckets, a PostgreSQL server's own log; object versions of an S3 bucket",
    "plan files that were saved, canary files (whose questions may quote it, in verdicts too), reports, Data Docs and other copies "
    "that people made",
    "what other programs read from the index and kept; a reader keeps deleted files open until its next query",
    "words that people wrote about it: an id that is an ordinary word or number stays in them where it is not quoted",
    "other datasets with the same document: each is erased by a command of its own",
)
"""Where this pipeline cannot look. Part of every report."""


@dataclass(frozen=True, slots=True)
class Place:
    """How often something of the document was (and is) in one place."""

    where: str
    what: str
    before: int
    remaining: int | None = None
    """Counted by reading again; None while nothing was done."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate said of an aliased deployment afterwards."""

    version: int
    name: str
    status: str
    summary: str


@dataclass(frozen=True, slots=True)
class Erased:
    """Report of an erasure, or of what one would touch."""

    dataset: str
    document: str
    document_key: str
    dry_run: bool
    by: str
    reason: str
    at: str
    """ISO time, UTC."""
    places: tuple[Place, ...]
    versions: tuple[int, ...]
    """Kept versions that were made again without the document (or would be)."""
    not_reached: tuple[str, ...] = ()
    """Places of ours that could not be looked at: the erasure is not complete there."""
    notes: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    unreachable: tuple[str, ...] = UNREACHABLE
    searched: bool = True
    """Whether a line of its text was at hand to look for in database files: else only its rows were counted."""

    @property
    def gone(self) -> bool:
        """Whether nothing of it was found in any place that is ours."""
        return not self.dry_run and not self.not_reached and all(one.remaining == 0 for one in self.places)

    @property
    def state(self) -> str:
        """In words: no more than what was looked at."""
        if self.dry_run:
            return "nothing was changed"
        if not self.gone:
            return "NOT COMPLETE"
        return "gone" if self.searched else "no row of it is left; its text was not looked for in database files"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "gone": self.gone}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Erased":
        fields = {name: one for name, one in value.items() if name != "gone"}
        for name, kind in (("places", Place), ("gates", Gate)):
            fields[name] = tuple(kind(**one) for one in fields[name])
        for name in ("versions", "not_reached", "notes", "unreachable"):
            fields[name] = tuple(fields[name])
        return cls(**fields)

    def to_markdown(self) -> str:
        """The page for whoever asked for the erasure."""
        lines = [
            f"# Erasure of `{self.document}` from {self.dataset}: {self.state}", "",
            f"- when: {self.at}", f"- by: {self.by}", f"- reason: {self.reason or '-'}", f"- key: `{self.document_key}`",
            f"- versions made again without it: {', '.join(f'v{one}' for one in self.versions) or 'none'}", "",
            "| place | what | before | remaining |", "|---|---|---:|---:|",
            *(
                f"| {one.where} | {one.what} | {one.before} | {'-' if one.remaining is None else one.remaining} |"
                for one in self.places
            ),
        ]  # fmt: skip
        for title, ones in (
            ("Not reached", self.not_reached), ("Notes", self.notes),
            ("Gates afterwards", [f"v{one.version} {one.name}: {one.status}, {one.summary}" for one in self.gates]),
            ("What this cannot reach", self.unreachable),
        ):  # fmt: skip
            if ones:
                lines += ["", f"## {title}", "", *(f"- {one}" for one in ones)]
        return "\n".join([*lines, ""])
