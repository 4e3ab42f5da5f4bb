"""Which texts of a sample a bridge is measured on, chosen by and fitted on: whole documents, and nothing of one part in another.

Laws
----
1. What is measured with is decided first, then what chooses, then what fits. A document is of one part; a text that stands in
   several documents is of the first part that one of them is of; one that stands in more than ``HELD`` is of none.
2. Two texts are one where only case, white space and punctuation differ (``key``). No document that fits or chooses holds a
   question that is measured with, in any of its headings, lines or sentences; none that fits holds one that chooses.
3. A real question takes the documents that hold it along. One that would take more than ``_SHARE`` leaves, because it is a line of
   a template, is left out; so are those after the share is full.
4. The question of a text is its first sentence that no document of another part holds: of a page that begins as all pages do, it is
   the first line of its own. A text without one asks nothing.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vector_pipeline.bridge.texts import HELD, Texts
from vector_pipeline.hashing import content_hash

MEASURED = 300
"""Most questions of a kind that are measured with."""
CHOSEN = 200
"""Most that settings are chosen by."""
BESIDE = 1_000
"""First sentences that a map is fitted on beside whole texts: a model may embed questions otherwise than documents."""
_SHARE = 4
"""Of a small sample one part in so many is set aside for each."""
_SENTENCE = re.compile(r"(?<=[.!?。])\s+|\n+")
_ABOVE = " > "
"""Between the headings above a text."""
_WORD = re.compile(r"[^\W_]+")
_WORDS, _CHARS = 4, 300
"""A question has so many words at least, and so many characters at most."""
_MEASURE, _CHOOSE, _FIT, _NONE = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Rows of a sample by what they are for, and the questions of each."""

    measure: npt.NDArray[np.intp]
    choose: npt.NDArray[np.intp]
    fit: npt.NDArray[np.intp]
    real: tuple[str, ...]
    """Real questions that are measured with."""
    measured: tuple[str, ...]
    """Those, and first sentences."""
    chosen: tuple[str, ...]
    """Questions and first sentences that settings are chosen by."""
    beside: tuple[str, ...]
    """First sentences that are fitted on."""

    @property
    def questions(self) -> int:
        """That both models embed."""
        return len(self.measured) + len(self.chosen) + len(self.beside)


def key(text: str) -> str:
    """What two texts share that are one to law 2: their words. Empty for a text without any."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def pieces(text: str) -> list[str]:
    """Its sentences and lines, as they would be asked: without marks of a heading or of a list, and not too long."""
    found = (" ".join(piece.lstrip("#>*- \t").split())[:_CHARS].strip() for piece in _SENTENCE.split(text))
    return [piece for piece in found if piece]


def parted(sample: Texts, asked: Sequence[str]) -> Parts:
    """Laws 1 to 4. ``asked``: real questions; the first ones measure."""
    standing, holders = _standing(sample), _holders(sample)
    order = sorted({one for documents in sample.documents for one in documents}, key=content_hash)
    role: dict[str, int] = {}
    allowed = len(order) // _SHARE
    measured = _taken(asked, holders, role, _MEASURE, MEASURED, allowed)
    begun = {key(one[:_CHARS]) for one in measured}
    rest = [one for one in asked if key(one[:_CHARS]) not in begun]
    chosen = _taken(rest, holders, role, _CHOOSE, CHOSEN, allowed)
    _set_aside(sample, order, role)
    rows = np.array([min((role[one] for one in held), default=_NONE) for held in standing], dtype=np.intp)
    measure, choose, fit = (np.flatnonzero(rows == number) for number in range(3))
    known: set[str] = {key(one[:_CHARS]) for one in (*measured, *chosen)}

    def sentences(part: npt.NDArray[np.intp], number: int, limit: int) -> tuple[str, ...]:
        found: dict[str, str] = {}
        for row in part.tolist():
            if len(found) == limit:
                break
            said = _question(sample.bare[row], holders, role, number, known)
            if said is not None:
                found.setdefault(key(said), said)
        return tuple(found.values())

    beside = sentences(fit, _FIT, BESIDE)
    return Parts(
        measure, choose, fit, measured, (*measured, *sentences(measure, _MEASURE, MEASURED)),
        (*chosen, *sentences(choose, _CHOOSE, CHOSEN)), beside,
    )  # fmt: skip


def _standing(sample: Texts) -> list[tuple[str, ...]]:
    """Documents that each text stands in, whatever its case and punctuation; none for one that stands in too many."""
    names = [key(text) for text in sample.texts]
    found: dict[str, set[str]] = {}
    for name, documents in zip(names, sample.documents, strict=True):
        found.setdefault(name, set()).update(documents)
    return [tuple(found[name]) if len(found[name]) <= HELD else () for name in names]


def _holders(sample: Texts) -> dict[str, set[str]]:
    """Documents by the key of everything that they say: each whole text, and every heading, line and sentence of it."""
    found: dict[str, set[str]] = {}
    for text, bare, documents in zip(sample.texts, sample.bare, sample.documents, strict=True):
        said = {bare[:_CHARS], *(part for piece in pieces(text) for part in (piece, *piece.split(_ABOVE)))}
        for name in set(map(key, said)) - {""}:
            found.setdefault(name, set()).update(documents)
    return found


def _taken(
    asked: Iterable[str],
    holders: Mapping[str, Collection[str]],
    role: dict[str, int],
    number: int,
    limit: int,
    allowed: int,
) -> tuple[str, ...]:
    """Law 3: the real questions of a part, each once; their documents get its role."""
    found: dict[str, str] = {}
    mine: set[str] = set()
    for one in asked:
        if len(found) == limit:
            break
        name = key(one[:_CHARS])
        holding = set(holders.get(name, ()))
        elsewhere = any(role.get(holder, number) != number for holder in holding)
        if not name or name in found or elsewhere or len(mine | holding) > allowed:
            continue
        found[name] = one
        mine |= holding
        role.update(dict.fromkeys(holding, number))
    return tuple(found.values())


def _set_aside(sample: Texts, order: Sequence[str], role: dict[str, int]) -> None:
    """Documents in the order of a hash, until enough of their texts are set aside for each; those of real questions count."""
    sizes = dict.fromkeys(order, 0)
    for documents in sample.documents:
        sizes[documents[0]] += 1
    share = len(sample) // _SHARE
    for number, most in ((_MEASURE, min(MEASURED, share)), (_CHOOSE, min(CHOSEN, share))):
        full = sum(sizes[one] for one, given in role.items() if given == number)
        for one in order:
            if full >= most:
                break
            if one not in role:
                role[one] = number
                full += sizes[one]
    for one in order:
        role.setdefault(one, _FIT)


def _question(
    text: str, holders: Mapping[str, Collection[str]], role: Mapping[str, int], number: int, known: Collection[str]
) -> str | None:
    """Law 4."""
    candidates = [one for one in pieces(text) if len(one.split()) >= _WORDS]
    for one in candidates or [" ".join(text[:_CHARS].split())]:
        name = key(one)
        if name and name not in known and all(role[holder] == number for holder in holders.get(name, ())):
            return one
    return None
