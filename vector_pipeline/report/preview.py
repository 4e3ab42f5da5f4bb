"""The comment on a pull request, as Markdown: what merging it would do to what people find.

Laws
----
1. Its first line is a marker that names the dataset and the environment: whoever posts it looks for that line, and writes over the
   comment that has it. So a pull request has one comment a dataset, however often it is built.
2. What is said of gates, answers and documents is what the registry, the lake and the target said; texts from outside are words and
   nothing else (``report.words``): they make no link, no picture and no mention.
3. Where nothing is served to compare with, nothing is proved of what would change: headline and comparing gates say ❓, never ✅.
   A sample is called a sample.
4. It fits into a comment: long lists are cut, and say so.
"""

from collections.abc import Iterable, Sequence

from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.release.plan import Plan, StageKind
from vector_pipeline.release.registry import PreviewRecord
from vector_pipeline.report.changes import cost_line, plan_summary
from vector_pipeline.report.page.answers import Answer, answers_of
from vector_pipeline.report.page.facts import Facts, GateSaid, Missing
from vector_pipeline.report.page.render import verdict_of
from vector_pipeline.report.tables import failing_examples
from vector_pipeline.report.units import moment, plural
from vector_pipeline.report.words import legible
from vector_pipeline.report.words import markdown as plain
from vector_pipeline.verify.context import AGAINST
from vector_pipeline.verify.outcome import CheckResult, Status

LONGEST = 65_000
"""Characters: GitHub takes 65,536."""
_SIGNS = {"passed": "✅", "warned": "⚠️", "failed": "❌", "unknown": "❓"}
_MOST_ANSWERS, _MOST_HITS, _MOST_DOCUMENTS, _MOST_FAULTS = 5, 5, 20, 10
_CELL = 240
_JOINER = "\u2060"
"""Has no width and breaks no line."""


def marker(dataset: str, environment: str) -> str:
    """Law 1."""
    return f"<!-- vector-pipeline preview of {dataset} in {environment} -->"


def comment(
    preview: PreviewRecord,
    facts: Facts,
    proposal: Plan | Missing,
    *,
    refusal: str = "",
    links: Sequence[tuple[str, str]] = (),
    sample: Sample | None = None,
    environment: str = "",
) -> str:
    """The whole comment. ``links``: (words, address) of pages that say more. ``sample``: what of the source was built.
    ``environment``: whose production it was compared with (default: the preview's).
    """
    headline, because = _verdict(facts)
    words = {"Would be promoted": "✅ Would be promoted", "Would not be promoted": "❌ Would not be promoted"}
    served = facts.served
    production = f"production of {_code(environment or preview.environment)}"
    against = (
        f"against version {served.number}, which {production} serves"
        if served
        else f"alone: {production} serves nothing"
    )
    lines = [
        marker(preview.origin, preview.environment),
        f"### {markdown(preview.origin)}: {words.get(headline, f'❓ {headline}')}",
        "",
        f"{because} Built from {_revision(preview)}, judged {against}.",
        "",
        *_sampled(sample),
        *_documents(facts),
        *_answers(facts.gates),
        *_gates(facts.gates),
        *_release(proposal, refusal),
        *_standing(preview, facts, links),
    ]
    return _cut("\n".join(lines))


def failed(preview_name: str, dataset: str, environment: str, error: str) -> str:
    """The comment where nothing could be built, or it was not built to its end."""
    said = markdown(error)
    return f"{marker(dataset, environment)}\n### {markdown(dataset)}: ❌ No preview\n\n{said}\n\n`{preview_name}`\n"


def _verdict(facts: Facts) -> tuple[str, str]:
    """Law 3."""
    headline, because = verdict_of(facts)
    if facts.served is None and headline == "Would be promoted":
        return (
            "Nothing to compare with",
            "No gate stops it, and none could say what would change: nothing is served here.",
        )
    return headline, because


def _sampled(sample: Sample | None) -> list[str]:
    """Law 3."""
    if sample is None:
        return []
    share = f"{sample.share:.0%}" if sample.share >= 0.01 else f"{sample.share:.2%}"
    return [
        f"⚠️ A sample of {share} of the documents was built, with those that are named. What is not in it was not looked at; "
        "one that production's sample lacks counts as added.", "",
    ]  # fmt: skip


def _revision(preview: PreviewRecord) -> str:
    return f"`{legible(preview.revision)}`" if preview.revision else "the working tree"


def _documents(facts: Facts) -> list[str]:
    changes = facts.changes
    if isinstance(changes, Missing):
        held = f"{plural(facts.version.documents, 'document')}, {plural(facts.version.records, 'record')}"
        return ["#### Documents", "", f"{held}. {markdown(changes.why)}", ""]
    return [
        "#### Documents", "",
        "| added | changed | removed | moved | unchanged |", "| ---: | ---: | ---: | ---: | ---: |",
        f"| {changes.documents_added:,} | {changes.documents_changed:,} | {changes.documents_removed:,} | "
        f"{changes.documents_moved:,} | {changes.documents_unchanged:,} |", "",
        *_named(changes),
    ]  # fmt: skip


def _named(changes: VersionDiff) -> list[str]:
    counts = {
        "added": changes.documents_added, "changed": changes.documents_changed, "removed": changes.documents_removed,
    }  # fmt: skip
    lines = []
    for sign, change in (("+", "added"), ("~", "changed"), ("-", "removed")):
        names = changes.examples.get(change, [])[:_MOST_DOCUMENTS]
        if names:
            more = f" and {counts[change] - len(names):,} more" if counts[change] > len(names) else ""
            shown = ", ".join(_code(name) for name in names)
            lines.append(f"- {sign} {change}: {shown}{more}")
    return [*lines, ""] if lines else []


def _answers(gates: Iterable[GateSaid]) -> list[str]:
    """Answers that change, the most different first: what production says, and what it would say."""
    found = [one for gate in gates for one in answers_of(gate.detail) if not one.same]
    once = list({one.query: one for one in reversed(found)}.values())[::-1]
    ordered = [one for one in once if _seen(one)]
    unseen = len(once) - len(ordered)
    below = f"Below the first {_MOST_HITS} documents {plural(unseen, 'more answer')} change." if unseen else ""
    if not ordered:
        return ["#### Answers", "", below or "No answer that was looked at changes.", ""]
    lines = ["#### Answers that change", ""]
    for one in ordered[:_MOST_ANSWERS]:
        lines += [
            f"<details><summary>{markdown(one.query)}{_overlap(one)}</summary>",
            "",
            *_side_by_side(one),
            "",
            "</details>",
            "",
        ]
    if len(ordered) > _MOST_ANSWERS:
        lines += [f"And {len(ordered) - _MOST_ANSWERS:,} more.", ""]
    return [*lines, below, ""] if below else lines


def _seen(answer: Answer) -> bool:
    """Whether the documents that are shown differ."""
    sides = (answer.production, answer.candidate)
    first, second = ([hit.document for hit in hits[:_MOST_HITS]] for hits in sides)
    return first != second


def _overlap(answer: Answer) -> str:
    return "" if answer.overlap is None else f" ({answer.overlap:.0%} the same)"


def _side_by_side(answer: Answer) -> list[str]:
    lines = ["| | production | this change |", "| ---: | --- | --- |"]
    sides = answer.production[:_MOST_HITS], answer.candidate[:_MOST_HITS]
    for at in range(max(map(len, sides))):
        cells = []
        for number, hits in enumerate(sides):
            hit = hits[at] if at < len(hits) else None
            sign = "" if hit is None or hit.moved is not None else " (gone)" if number == 0 else " **(new)**"
            cells.append("" if hit is None else f"{_code(hit.document)}{sign}")
        lines.append(f"| {at + 1} | {cells[0]} | {cells[1]} |")
    return lines


def _gates(gates: Sequence[GateSaid]) -> list[str]:
    lines = ["#### Gates", "", "| | gate | what it found |", "| --- | --- | --- |"]
    for gate in gates:
        said = " ".join((gate.outdated or gate.summary).split())
        cut = said if len(said) <= _CELL else f"{said[: _CELL - 1]}…"
        mode = "" if gate.mode == "block" else f" ({gate.mode}s only)" if gate.mode == "warn" else f" ({gate.mode})"
        lines.append(f"| {_sign(gate)} | {markdown(gate.name)}{mode} | {markdown(cut)} |")
    results = [CheckResult(one.name, one.status, one.summary, one.detail, one.examples) for one in gates if one.blocks]
    faults = failing_examples(results, limit=_MOST_FAULTS)
    if faults:
        lines += ["", "Faults, for example:", "", *(f"- {markdown(one[:_CELL])}" for one in faults)]
    return [*lines, ""]


def _sign(gate: GateSaid) -> str:
    """Law 3: one that compares, and had nothing to compare with, passed nothing."""
    alone = gate.status is Status.PASSED and AGAINST in gate.detail and not gate.detail[AGAINST]
    return _SIGNS["unknown" if alone else gate.status.value]


def _release(proposal: Plan | Missing, refusal: str) -> list[str]:
    """What a release of the same content would take, by the plan of just that."""
    lines = ["#### The release that this would become", ""]
    if isinstance(proposal, Missing):
        return [*lines, f"It could not be planned: {markdown(proposal.why)}", ""]
    if not any(stage.kind is not StageKind.MOVE_ALIAS for stage in proposal.stages):
        return [*lines, "Nothing would be written: production holds all of it.", ""]
    lines += [
        f"{markdown(plan_summary(proposal))}", "",
        f"- Cost: {markdown(cost_line(proposal.cost))}",
        f"- Strategy: {proposal.strategy.value}, into {_code(proposal.namespace)} on {_code(proposal.target)} "
        f"({markdown(proposal.why)})",
    ]  # fmt: skip
    if refusal:
        lines.append(f"- ❌ It would be refused: {markdown(refusal)}")
    lines += [f"- {markdown(note)}" for note in proposal.notes if not note.startswith("to be checked first")]
    return [*lines, ""]


def _standing(preview: PreviewRecord, facts: Facts, links: Sequence[tuple[str, str]]) -> list[str]:
    texts = preview.detail.get("texts") or {}
    said = f"{plural(facts.version.documents, 'document')}, {plural(facts.version.records, 'record')}"
    if texts:
        said += f"; {plural(int(texts['embed']), 'text')} embedded, {int(texts['reused']):,} taken over"
    more = "".join(f" · [{markdown(word)}]({address})" for word, address in links if _is_link(address))
    return [
        f"<sub>Preview {_code(preview.name)} in {_code(preview.environment)}: {said}. It serves nobody, and stands until it is "
        f"taken down, {moment(preview.expires_at)} UTC at the latest.{more}</sub>",
        "",
    ]


def markdown(text: str) -> str:
    """Law 2. GitHub looks for mentions once escapes are resolved: nothing that stands behind an ``@`` is a name."""
    return plain(text).replace("@", f"@{_JOINER}")


def _is_link(address: str) -> bool:
    return address.startswith(("https://", "http://")) and not any(mark in address for mark in " \n()<>")


def _code(text: str) -> str:
    """A name as code: nothing in it is markup, and no bar ends a cell of a table."""
    return f"`{str(legible(' '.join(text.split()))).replace('`', chr(0x2019)).replace('|', chr(0x2758))}`"


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    said = "\n\n…\n\nThe rest is too long for a comment.\n"
    return text[: LONGEST - len(said)].rpartition("\n")[0] + said
