"""Texts that are worse than production's, and texts that only look different."""

import json
import random
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.given_texts import SMALL, Doc, Docs, TextWorld, library, sentence, story, word
from vector_pipeline.config.gates import TextDamageConfig
from vector_pipeline.verify.damage import gate as damage
from vector_pipeline.verify.damage import texts as damage_texts
from vector_pipeline.verify.damage.documents import Changed
from vector_pipeline.verify.damage.gate import _of_documents
from vector_pipeline.verify.damage.signs import signs
from vector_pipeline.verify.lost.moved import plain
from vector_pipeline.verify.outcome import CheckResult, Status

COUNT = 120


def written(number: int) -> str:
    """With an apostrophe, a dash, quotation marks and letters beyond ASCII."""
    return f"{story(number)} It’s “naïve” – a café {word(number)} in Łódź wasn’t {word(number + 500)} far, item{number} said."


OLD = {f"doc{n}": written(n) for n in range(COUNT)}
MENU = '<nav><a href="/">Home</a> <a href="/about">About us</a></nav> '
Change = Callable[[str], str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextWorld]:
    made = TextWorld(tmp_path_factory.mktemp("damage"))
    yield made
    made.lake.close()


def judged(world: TextWorld, old: Docs, new: Docs, **limits: object) -> CheckResult:
    before, now = world.version(old), world.version(new)
    return damage.judge(world.context(now, before, text_damage=limits))


def bad(result: CheckResult) -> set[str]:
    found = {one["sign"] for one in result.detail.get("signs", []) if one["bad"]}
    assert (result.status is Status.FAILED) == bool(found)
    assert {one["fault"] for one in result.examples} <= found
    return found


def each(change: Change, share: float = 1.0) -> dict[str, str]:
    """``change`` applied to the first of the documents."""
    return {name: change(text) if n < share * COUNT else text for n, (name, text) in enumerate(OLD.items())}


def misread(text: str) -> str:
    return text.encode("utf-8").decode("cp1252", errors="replace")


def stripped(text: str) -> str:
    return " ".join(one for one in text.split() if one.lower().rstrip(".") not in SMALL)


DAMAGE: dict[str, tuple[Change, float]] = {
    "encoding": (misread, 0.1),
    "encoding ": (lambda text: text.encode("cp1252", "ignore").decode("utf-8", "replace"), 0.1),
    "encoding  ": (lambda text: text.encode("ascii", "replace").decode(), 0.1),
    "encoding   ": (lambda text: text.replace("’", "&amp;rsquo;"), 0.1),
    "encoding    ": (lambda text: text.replace(" ", "\x07", 1), 0.1),
    "markup": (lambda text: MENU + text, 0.1),
    "markup ": (lambda text: text.replace("’", "&rsquo;"), 0.1),
    "markup  ": (lambda text: f"<p>{text}</p>", 0.1),
    "repeated": (lambda text: "Home About us Products Careers Contact Press. " + text, 0.3),
    "repeated ": (lambda text: text + "\n\nCopyright of the example company, all rights reserved.", 0.3),
    "repeated  ": (lambda text: text.replace(". ", ". We use cookies to give you a better experience. ", 1), 0.3),
    "capitals": (str.lower, 0.2),
    "capitals ": (str.upper, 0.2),
    "punctuation": (lambda text: re.sub(r"[^\w\s]", "", text), 0.2),
    "blanks": (lambda text: text.replace(" ", ""), 0.2),
    "shrunk": (lambda text: text[: len(text) // 2], 0.06),
    "shorter": (lambda text: text[: len(text) * 2 // 3], 0.5),
    "unaccented": (lambda text: unicodedata.normalize("NFD", text).encode("ascii", "ignore").decode(), 0.1),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_shown(world: TextWorld, name: str) -> None:
    change, share = DAMAGE[name]
    result = judged(world, OLD, each(change, share))
    assert name.strip() in bad(result), result.summary
    if name.strip() != "shorter":
        assert any(one["fault"] == name.strip() for one in result.examples)
    told = json.dumps(result.to_json())
    assert [word for word in ("Careers", "rights", "cookies") if word in told] == [], (
        "a verdict outlives what texts say"
    )
    assert all(len(word) < 40 for word in re.findall(r'"[^"]*"', json.dumps(result.examples)))


def test_stripped_small_words_are_found(world: TextWorld) -> None:
    old = library(COUNT, 7000)
    result = judged(
        world, old, {name: stripped(text) if n < 20 else text for n, (name, text) in enumerate(old.items())}
    )
    assert "small_words" in bad(result)


@pytest.mark.slow
def test_copies_exchanged_texts_and_error_pages_are_found(world: TextWorld) -> None:
    copies = judged(world, OLD, OLD | {f"copy-of-{name}": OLD[name] for name in list(OLD)[:10]})
    assert "copies" in bad(copies)
    titled = {f"copy-of-{name}": Doc(OLD[name], title="Another title") for name in list(OLD)[:10]}
    assert "copies" in bad(judged(world, OLD, {**OLD, **titled})), "a title does not hide a copy"
    names = list(OLD)
    turned = dict(zip(names, [*(OLD[name] for name in names[1:]), OLD[names[0]]], strict=True))
    assert "exchanged" in bad(judged(world, OLD, turned))
    chance = random.Random(1)
    refused = {
        name: f"Access was denied: {sentence(chance)} Try {chance.random()} later, please." for name in names[:10]
    }
    assert "replaced" in bad(judged(world, OLD, OLD | refused))
    others = {name: written(40_000 + n) for n, name in enumerate(names[:10])}
    assert "replaced" in bad(judged(world, OLD, OLD | others)), "small words are in every text"


def additions(docs: dict[str, str]) -> dict[str, str]:
    return docs | {f"new{n}": written(5000 + n) for n in range(COUNT // 10)}


def bullets(text: str) -> str:
    return "\n".join(f"- {part}" for part in re.split(r"(?<=\.) ", text))


HARMLESS: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "nothing": dict,
    "additions": additions,
    "small edits": lambda docs: {name: text.replace(" the ", " that ", 1) for name, text in docs.items()},
    "wrapped": lambda docs: {name: textwrap.fill(text, 60) for name, text in docs.items()},
    "a list": lambda docs: {name: bullets(text) for name, text in docs.items()},
    "decomposed": lambda docs: {name: unicodedata.normalize("NFD", text) for name, text in docs.items()},
    "straight quotes": lambda docs: {
        name: text.translate(str.maketrans("’“”–", "'\"\"-")) for name, text in docs.items()
    },
    "a date": lambda docs: {name: f"{text} Seen in May {n}." for n, (name, text) in enumerate(docs.items())},
    "renamed": lambda docs: {f"moved/{name}": text for name, text in docs.items()},
    "split": lambda docs: {
        (name if n == 0 else f"{name}/{n}"): part
        for name, text in docs.items() for n, part in enumerate(textwrap.wrap(text, 200))
    },
    "merged": lambda docs: {f"all{n}": "\n\n".join(list(docs.values())[n : n + 4]) for n in range(0, COUNT, 4)},
    "a tenth is gone": lambda docs: dict(list(docs.items())[COUNT // 10 :]),
    "a few copies": lambda docs: docs | {"again": docs["doc1"]},
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_changes_pass(world: TextWorld, name: str) -> None:
    assert bad(judged(world, OLD, HARMLESS[name](dict(OLD)))) == set()


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(
    width=st.integers(20, 200), form=st.sampled_from(["NFC", "NFD", "NFKC"]), curly=st.booleans(), listed=st.booleans()
)
def test_reformatting_never_fails(world: TextWorld, width: int, form: str, curly: bool, listed: bool) -> None:
    def change(text: str) -> str:
        text = unicodedata.normalize(form, text)  # type: ignore[arg-type]
        text = text.replace("'", "’") if curly else text.replace("’", "'")
        return bullets(text) if listed else textwrap.fill(text, width)

    assert bad(judged(world, OLD, each(change))) == set()


GERMAN = (
    "Die Anmeldung erfolgt über das Formular auf der Seite des Teams, und die Bestätigung kommt per Mail. Wer bereits ein Konto "
    "hat, kann sich mit seinem Namen anmelden und findet dort alle Unterlagen, die für den Beginn der Arbeit gebraucht werden: {}."
)
CHINESE = (
    "注册请在团队页面上填写表格，确认信将通过邮件发送。已有帐户的用户可以使用 Python 登录，有问题请咨询二楼办公室{}号。"
    * 4
)


@pytest.mark.parametrize("text", [GERMAN, CHINESE], ids=["German", "Chinese"])
def test_pages_in_another_language_are_no_damage(world: TextWorld, text: str) -> None:
    others = {f"new{n}": text.format(*[n] * 4) for n in range(COUNT // 12)}
    assert bad(judged(world, OLD, OLD | others)) == set()
    assert bad(judged(world, OLD | others, {**OLD, **{name: f"{one} {one}" for name, one in others.items()}})) == set()


def test_scripts_without_blanks_lack_none(world: TextWorld) -> None:
    assert "blanks" not in carried(world, CHINESE)
    assert "blanks" in carried(world, story(1).replace(" ", "") + " 注册")


def test_what_production_has_itself_is_no_damage(world: TextWorld) -> None:
    """A manual of HTML, with a footer on every page: more of the same."""

    def page(n: int) -> str:
        return f"{written(n)} Write <div class='x'>…</div> here.\n\nPart of the manual of markup for everybody."

    old = {f"page{n}": page(n) for n in range(COUNT)}
    assert bad(judged(world, old, old | {f"page{n}": page(n) for n in range(COUNT, COUNT + 30)})) == set()


@pytest.mark.slow
def test_a_few_new_texts_that_are_all_misread_are_found(world: TextWorld) -> None:
    old = library(2000, 30_000)
    new = {f"new{n}": misread(written(n)) for n in range(9)}
    result = judged(world, old, old | new)
    assert bad(result) == {"encoding"}
    assert "0.4% texts look wrongly encoded" in result.summary


def test_little_is_no_evidence(world: TextWorld) -> None:
    small = dict(list(OLD.items())[:12])
    broken = {name: misread(MENU + text) if n < 4 else text for n, (name, text) in enumerate(small.items())}
    assert judged(world, small, broken).status is Status.PASSED


def test_a_first_release_and_the_same_again_pass(world: TextWorld) -> None:
    version = world.version(OLD)
    assert damage.judge(world.context(version)).status is Status.PASSED
    assert damage.judge(world.context(version, version)).summary == "the texts are those that production serves"


def test_another_chunker_is_judged_by_documents(world: TextWorld) -> None:
    before = world.version(OLD)
    now = world.version(each(misread, 0.2), space="other", chunker='{"max_tokens": 9}')
    result = damage.judge(world.context(now, before))
    assert result.detail["unit"] == "documents"
    assert "encoding" in bad(result)


def test_large_versions_are_sampled(world: TextWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage_texts, "SAMPLE", 80)
    monkeypatch.setattr("vector_pipeline.verify.damage.documents.READ", 50)
    result = judged(world, OLD, each(lambda text: misread(MENU + text)))
    assert {"encoding", "markup"} <= bad(result)
    assert result.detail["texts"] < COUNT
    assert bad(judged(world, OLD, additions(dict(OLD)))) == set()


def test_what_was_read_in_part_fails_only_when_that_part_proves_it() -> None:
    limits = TextDamageConfig(max_shrunk=0.02)

    def found(read: int, shrunk: int, changed: int = 100_000) -> bool:
        seen = Changed(1_000_000, changed, read, shrunk, 0, 0, 0, 0.0, {})
        return next(one.bad for one in _of_documents(seen, limits) if one.name == "shrunk")

    assert found(100_000, 20_001), "counted in full"
    assert not found(100_000, 20_000)
    assert not found(100, 21), "2.1% of all, and hardly sure"
    assert found(50_000, 10_800), "the same, surely more"
    assert not found(8, 4), "few"


def test_limits_are_the_datasets(world: TextWorld) -> None:
    new = each(misread, 0.1)
    assert bad(judged(world, OLD, new, max_encoding=1)) == set()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("na\ufffdve", "encoding"), ("naÃ¯ve", "encoding"), ("itâ€™s", "encoding"), ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "encoding"),
        ("æ—¥æœ¬èªž", "encoding"), ("a\x01b", "encoding"), ("na?ve", "encoding"), ("&amp;unknown;", "encoding"),
        ("na\\u00efve", "encoding"), ("=C3=AFve", "encoding"), ("<p>x", "markup"), ("a&nbsp;b", "markup"),
        ("<!-- x -->", "markup"), ("nav { color: red; }", "markup"), ("window.alert", "markup"),
    ],
)  # fmt: skip
def test_signs(world: TextWorld, text: str, name: str) -> None:
    assert name in carried(world, text)


@pytest.mark.parametrize(
    "text",
    [
        "", "naïve café", "Привет", "日本語のテキスト", "a < b and c > d", "R&D & more", "SÃO PAULO", "What? Yes.", "«é»… ‘à’",
        "page one\x0cpage two", "list<int> and a/b?c", "https://example.org/a?b=c", "5 × 10⁶ ± 2", "Ärger, Übel & Øre", "{x: 1}",
        "NÃO É A IRMÃ”, disse", "LÃ–ALGODÃO", "Ã propos", "Âge d’or",
    ],
)  # fmt: skip
def test_no_signs(world: TextWorld, text: str) -> None:
    assert carried(world, text) == set()


def carried(world: TextWorld, text: str) -> set[str]:
    columns = ", ".join(f"{sql} AS {name}" for name, sql in signs("text", "text", "plain").items())
    rows = world.lake.table(
        f"SELECT {columns} FROM (SELECT text, {plain('text')} AS plain FROM (SELECT $1 AS text))", [text]
    )
    return {name for name, values in rows.to_pydict().items() if values[0]}
