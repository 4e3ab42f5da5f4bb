"""Texts that show what a model does: embedded once when an embedding table begins, and again before whatever is written to it.

Laws
----
1. Together they feel whatever may change under a model's name: weights, tokenizer, case, scripts, stop words, prompts, pooling, and
   how much of a long text is read. So there are texts of just above a half and of just above the whole of what the model reads.
2. They are the same for ever: a table keeps the texts that it began with, and what is added here is added there once.
3. No two of them are alike: every sentence of a long one is its own, so that what is cut off is missed.
"""

from collections.abc import Iterator
from pathlib import Path

from vector_pipeline.errors import ConfigError
from vector_pipeline.hashing import content_hash

PACKAGED, OWN = "packaged", "file"
"""Where a text comes from: this module, or the file of ``gates.attestation.golden``."""
MOST_OWN = 200
"""Texts of the user's file that are taken."""
_LONGEST_WORDS = 4096
_WORDS = (100, 140, 270, 540)
"""Just around what usual models read (128, 256, 512 tokens), in words: a word is one token or more."""

_SHORT: tuple[tuple[str, str], ...] = (
    ("dot", "."),
    ("letter", "q"),
    ("word", "lighthouse"),
    ("question", "How do I reset the password of an account that was locked?"),
    ("statement", "The reservoir behind the dam reached its lowest level in forty years."),
    ("stop words", "to be or not to be, that is what it is and all that there is of it"),
    ("without stop words", "tribunal upheld patent infringement damages semiconductor manufacturer"),
    ("upper case", "NASA SAID IT WILL NOT LAUNCH THE ROCKET IN MAY"),
    ("lower case", "nasa said it will not launch the rocket in may"),
    ("negated", "The patients who took the drug did not recover any faster than those who did not."),
    ("order", "The dog that bit the man was chased by the cat of the neighbour."),
    (
        "numbers",
        "Invoice 2024-0117: 3 x 19.99 EUR + 7.7 % VAT = 64.59 EUR, due 2024-02-29, IBAN CH93 0076 2011 6238 5295 7",
    ),
    ("units", "0.5 mg/kg at 37 °C for 12 h, then 4 µm filtration at 1,200 rpm"),
    ("code", "def mean(xs: list[float]) -> float:\n    return sum(xs) / len(xs) if xs else float('nan')  # O(n)"),
    (
        "sql",
        "SELECT c.name, COUNT(*) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY 1 HAVING COUNT(*) > 3;",
    ),
    ("markup", '<p class="note">See <a href="https://example.org/a?b=1&amp;c=2">the notes</a> of § 4.2</p>'),
    ("blanks", "  two  blanks\tand a tab,\n\n\nthree new lines   "),
    ("german", "Die Übergangsfrist für Großkraftwerke endet frühestens im März, sofern der Bundesrat zustimmt."),
    ("french", "L'été dernier, l'œuvre inachevée fut présentée à un public déçu mais bienveillant."),
    ("spanish", "¿Cuándo llegará el próximo tren nocturno a la estación de montaña?"),
    ("russian", "Учёные обнаружили новый вид глубоководных рыб у берегов Камчатки."),
    ("chinese", "研究人员发现,睡眠不足会影响儿童的记忆力。"),
    ("japanese", "新しい図書館は来年の春に開館する予定です。"),
    ("arabic", "افتتحت المدينة متحفا جديدا للفنون الإسلامية هذا الأسبوع."),
    ("hindi", "मानसून इस वर्ष सामान्य से दस दिन पहले पहुँच गया।"),
    ("signs", "naïve café — “quoted” … ½ × ≤ ∑ 👩‍🔬 e\u0301 ﬁ Å"),
)
_PLACES = (
    "harbour",
    "orchard",
    "archive",
    "foundry",
    "clinic",
    "quarry",
    "theatre",
    "glacier",
    "market",
    "observatory",
    "vineyard",
)
_WHO = ("a surveyor", "two nurses", "the archivist", "an apprentice", "our engineer", "the committee", "a botanist")
_DID = ("measured", "repaired", "catalogued", "abandoned", "photographed", "rebuilt", "auctioned", "mapped", "flooded")
_WHAT = (
    "copper valves",
    "wool carpets",
    "tax ledgers",
    "solar panels",
    "fossil shells",
    "bee colonies",
    "steam pumps",
    "violins",
)


def packaged(limit: int | None) -> Iterator[tuple[str, str]]:
    """(name, text) of those that come along. ``limit``: tokens that the model reads, where it has a limit."""
    yield from _SHORT
    lengths = set(_WORDS)
    if limit is not None and limit > _WORDS[-1]:
        lengths |= {min(words, _LONGEST_WORDS) for words in (limit // 2 + 8, limit + 8)}
    for words in sorted(lengths):
        yield f"{words} words", long_text(words)


def own(file: Path) -> list[tuple[str, str]]:
    """(name, text) of the lines of a user's file, each once; empty lines are skipped. ``ConfigError`` where it cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"gates.attestation.golden: {file} cannot be read: {error}",
            fix="Name a text file in UTF-8, one text a line",
        ) from None
    texts = list(dict.fromkeys(line for line in lines if line.strip()))
    if len(texts) > MOST_OWN:
        raise ConfigError(
            f"gates.attestation.golden: {file} has {len(texts)} texts", fix=f"Keep {MOST_OWN} at the most"
        )
    # Named by content: a name must tell nothing of the text, and survive a line that is put in before it.
    return [(f"own {content_hash(text)[:8]}", text) for text in texts]


def long_text(words: int) -> str:
    """Sentences that are all different, of exactly so many words. The first is their number: no two texts begin alike."""
    found = [str(words)]
    number = 0
    while len(found) < words:
        who, did = _WHO[number % len(_WHO)], _DID[number % len(_DID)]
        what, place = _WHAT[number % len(_WHAT)], _PLACES[number % len(_PLACES)]
        found += f"In {1801 + number * 7 % 223} {who} {did} {3 + number * 5} {what} near the {place}.".split()
        number += 1
    return " ".join(found[:words])
