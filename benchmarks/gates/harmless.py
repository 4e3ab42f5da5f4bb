"""Releases that must not be stopped: what happens to a collection on an ordinary day."""

import random
import re
import textwrap
import unicodedata
from collections.abc import Callable

from benchmarks.gates.bench import Documents

Change = Callable[[Documents, Documents, random.Random], Documents]
"""From (documents, others that may be added, chance) to the documents of the next release. Others are of the same collection, for
``FOREIGN`` changes of another one."""
_WORDS = {
    "however": "but", "showed": "demonstrated", "large": "big", "important": "significant", "because": "since",
    "about": "approximately", "many": "numerous", "use": "employ", "found": "observed", "first": "initial",
}  # fmt: skip


def _some(documents: Documents, share: float, chance: random.Random) -> list[str]:
    return chance.sample(sorted(documents), max(1, round(len(documents) * share)))


def _edited(text: str, chance: random.Random) -> str:
    """A sentence put elsewhere, a word replaced, a typing error, a date at the end."""
    sentences = re.split(r"(?<=[.!?])\s+", text)
    kind = chance.randrange(4)
    if kind == 0 and len(sentences) > 2:
        place = chance.randrange(len(sentences) - 1)
        sentences[place], sentences[place + 1] = sentences[place + 1], sentences[place]
        return " ".join(sentences)
    if kind == 1:
        return re.sub(r"\b(" + "|".join(_WORDS) + r")\b", lambda found: _WORDS[found.group(1)], text)
    if kind == 2:
        words = text.split(" ")
        place = chance.randrange(len(words))
        words[place] = words[place][:-1] if len(words[place]) > 4 else words[place] + ","
        return " ".join(words)
    return f"{text} Reviewed in {chance.choice(['May', 'June', 'July'])} {2020 + chance.randrange(7)}."


def edits(documents: Documents, _: Documents, chance: random.Random) -> Documents:
    """1 to 5% of the documents edited a little."""
    some = _some(documents, chance.uniform(0.01, 0.05), chance)
    return documents | {name: {**documents[name], "text": _edited(documents[name]["text"], chance)} for name in some}


def additions(documents: Documents, others: Documents, chance: random.Random) -> Documents:
    """1 to 10% new documents."""
    free = sorted(set(others) - set(documents))
    count = min(len(free), round(len(documents) * chance.uniform(0.01, 0.1)))
    return documents | {name: others[name] for name in chance.sample(free, count)}


def reformatted(documents: Documents, _: Documents, chance: random.Random) -> Documents:
    """Every document wrapped at another width: the words stay."""
    width = chance.choice([60, 72, 88, 100])
    return {name: {**one, "text": textwrap.fill(one["text"], width)} for name, one in documents.items()}


def paragraphs(documents: Documents, _: Documents, chance: random.Random) -> Documents:
    """A fifth of the documents cut into paragraphs anew."""
    changed = dict(documents)
    for name in _some(documents, 0.2, chance):
        sentences = re.split(r"(?<=[.!?])\s+", documents[name]["text"])
        size = chance.randint(2, 4)
        parts = [" ".join(sentences[at : at + size]) for at in range(0, len(sentences), size)]
        changed[name] = {**documents[name], "text": "\n\n".join(parts)}
    return changed


def normalised(documents: Documents, _: Documents, __: random.Random) -> Documents:
    """Unicode in its composed form, curly quotes made straight: everywhere."""
    table = str.maketrans({"“": '"', "”": '"', "’": "'", "‘": "'", "–": "-", "\u00a0": " "})
    return {
        name: {key: unicodedata.normalize("NFC", value).translate(table) for key, value in one.items()}
        for name, one in documents.items()
    }


def deletions(documents: Documents, _: Documents, chance: random.Random) -> Documents:
    """Up to 1% of the documents retired."""
    gone = set(_some(documents, chance.uniform(0.002, 0.01), chance))
    return {name: one for name, one in documents.items() if name not in gone}


def renames(documents: Documents, _: Documents, chance: random.Random) -> Documents:
    """2 to 10% of the documents under another id, with the same text."""
    moved = set(_some(documents, chance.uniform(0.02, 0.1), chance))
    return {(f"moved-{name}" if name in moved else name): one for name, one in documents.items()}


def moved(documents: Documents, _: Documents, chance: random.Random) -> Documents:
    """2 to 10% of the documents under another id, and edited a little."""
    some = set(_some(documents, chance.uniform(0.02, 0.1), chance))
    return {
        (f"moved-{name}" if name in some else name): {**one, "text": _edited(one["text"], chance)}
        if name in some
        else one
        for name, one in documents.items()
    }


def merged(documents: Documents, _: Documents, chance: random.Random) -> Documents:
    """2 to 6% of the documents put together two by two, under the id of the first or one of their own."""
    some = _some(documents, chance.uniform(0.02, 0.06), chance)
    changed = {name: one for name, one in documents.items() if name not in set(some)}
    for first, second in zip(some[::2], some[1::2], strict=False):
        text = f"{documents[first]['text']}\n\n{documents[second]['text']}"
        changed[chance.choice([first, f"both-{first}"])] = {**documents[first], "text": text}
    return changed | {name: documents[name] for name in some[len(some) // 2 * 2 :]}


def followed(before: Documents, after: Documents) -> dict[str, str]:
    """Ids that a release took away, and where their documents went: who moves pages changes the canaries that name them."""
    fresh = {name: one["text"] for name, one in after.items() if before.get(name) != one}
    found: dict[str, str] = {}
    for name in sorted(before.keys() - after.keys()):
        holders = (other for other, text in fresh.items() if before[name]["text"] in text)
        new = f"moved-{name}" if f"moved-{name}" in fresh else next(holders, None)
        if new is not None:
            found[name] = new
    return found


def titles(documents: Documents, _: Documents, chance: random.Random) -> Documents:
    """A tenth of the documents with another title."""
    some = _some(documents, 0.1, chance)
    return documents | {
        name: {**documents[name], "title": (documents[name]["title"] or "Notes") + " (revised)"} for name in some
    }


def nothing(documents: Documents, _: Documents, __: random.Random) -> Documents:
    """The same again."""
    return dict(documents)


def mixed(documents: Documents, others: Documents, chance: random.Random) -> Documents:
    """An ordinary week: edits, additions and a deletion."""
    return deletions(additions(edits(documents, others, chance), others, chance), others, chance)


def new_kind(documents: Documents, others: Documents, chance: random.Random) -> Documents:
    """20 to 40 documents of a kind that there was none of: another collection's, error messages, or tables of numbers."""
    count, which = chance.randint(20, 40), chance.randrange(3)
    if which == 0 and others:
        return documents | {
            f"other-{name}": others[name] for name in chance.sample(sorted(others), min(count, len(others)))
        }
    write = _error if which == 1 else _table
    return documents | {f"{write.__name__[1:]}-{chance.randrange(10**9)}": write(chance) for _ in range(count)}


def _error(chance: random.Random) -> dict[str, str]:
    number, what = chance.randrange(1000, 9999), chance.choice(["file", "port", "queue", "table", "socket", "index"])
    who, said = (
        chance.choice(["reader", "writer", "loader"]),
        chance.choice(["cannot open", "timed out on", "refused", "lost"]),
    )
    cure = chance.choice(["Restart the service", "Ask the host's owner", "Raise the limit", "Look at the log"])
    return {
        "title": f"E{number}",
        "text": f"Error E{number}: the {who} {said} the {what} {number * 37}. {cure}, line {number}.",
    }


def _table(chance: random.Random) -> dict[str, str]:
    names = ["revenue", "cost", "total", "units", "margin", "quarter", "region", "price", "stock", "orders"]
    week, rows = chance.randrange(1, 53), (f"{chance.choice(names)} {chance.randrange(10, 9999)}" for _ in range(40))
    return {
        "title": f"Week {week}",
        "text": f"The figures of week {week}, as they were reported to us: {', '.join(rows)}.",
    }


FOREIGN: tuple[Change, ...] = (new_kind,)
KINDS: tuple[Change, ...] = (
    edits, additions, mixed, moved, edits, new_kind, additions, paragraphs, mixed, deletions, titles, merged, edits, mixed,
    reformatted, edits, additions, nothing, renames, mixed, normalised, edits, additions,
)  # fmt: skip
"""One round; edits and additions are the most frequent."""
