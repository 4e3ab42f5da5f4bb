"""Each format through its real library, with files that are made here."""

import io
import subprocess
import sys
from typing import Any

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

from vector_pipeline.corpus import Document, Quarantined, Reason, parse
from vector_pipeline.corpus.outline import headings
from vector_pipeline.corpus.parsing import PARSERS


def document(name: str, body: str | bytes) -> Document:
    found = parse(name, body.encode() if isinstance(body, str) else body)
    assert isinstance(found, Document), found
    return found


def reason(name: str, body: str | bytes) -> Reason:
    found = parse(name, body.encode() if isinstance(body, str) else body)
    assert isinstance(found, Quarantined), found
    return found.reason


FRONT = """---
title: Declared
date: 2024-02-03
at: 2024-02-03 04:05:06
draft: false
weight: 1.5
tags: [a, 2, null]
author: {name: Ann, mail: null}
nothing:
infinite: .inf
---

# Heading

Text  \r
"""


def test_markdown_front_matter() -> None:
    found = document("guide/intro/a.md", FRONT)
    assert found.text == "# Heading\n\nText"
    assert (found.title, found.media_type) == ("Declared", "text/markdown")
    assert found.metadata == {
        "folder": "guide/intro",
        "format": "markdown",
        "date": "2024-02-03",
        "at": "2024-02-03T04:05:06",
        "draft": False,
        "weight": 1.5,
        "tags": ["a", "2"],
        "author.name": "Ann",
        "infinite": "inf",
    }
    assert found.digest


def test_titles_by_rank() -> None:
    assert document("a.md", "intro\n\n## Two\n\nThe *best* `one`\n====\n").title == "The best one"
    assert document("a/name.md", "no heading").title == "name"
    assert document("a.html", "<title>T</title><h1>H</h1>x").title == "H"
    assert document("a.html", "<title>T</title><p>x").title == "T"


def test_thematic_breaks_are_no_front_matter() -> None:
    assert document("a.md", "---\nHello\n---\nworld").text == "---\nHello\n---\nworld"
    assert document("a.md", "---\nonly one").text == "---\nonly one"
    assert document("a.txt", "---\na: 1\n---\nkept").text == "---\na: 1\n---\nkept"


@pytest.mark.parametrize(
    "front",
    [
        "a: [1",
        "$and: 1",
        "x: {vp_id: 1}\nvp_id: 2",
        "a: &a [x]\nb: [*a, *a]",
        "a: &a\n  b: *a",
        'a: "\\ud800"',
        "\n".join(f"k{n}: {n}" for n in range(3000)),
    ],
)
def test_bad_front_matter(front: str) -> None:
    assert reason("a.md", f"---\n{front}\n---\ntext") == Reason.BAD_METADATA


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "cp1251"])
def test_encodings(encoding: str) -> None:
    words = (
        "Съешь же ещё этих мягких французских булок, да выпей чаю. "
        if encoding == "cp1251"
        else "Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter. "
    )
    assert document("a.txt", (words * 20).encode(encoding)).text == (words * 20).strip()


@pytest.mark.parametrize("words", ["café crème", "The quick fox – it’s brown", "Müller: größer"])
def test_a_short_western_text(words: str) -> None:
    assert document("a.txt", words.encode("cp1252")).text == words


def test_html_declares_its_encoding() -> None:
    page = '<html><head><meta charset="iso-8859-2"></head><body>Zażółć gęślą</body></html>'
    assert document("a.html", page.encode("iso-8859-2")).text == "Zażółć gęślą"


@pytest.mark.parametrize("body", [b"a\x00b", b"\xff\xfe\x00", bytes(range(256)) * 4, b"\x01\x02\x03\x04 x"])
def test_binary_is_not_text(body: bytes) -> None:
    assert reason("a.txt", body) == Reason.NOT_TEXT


PAGE = """<!doctype html><html lang="en"><head><title>Site – Page</title>
<meta name="description" content="About it"><meta name="keywords" content="a, b ,">
<style>p {}</style></head><body><header>Banner</header><nav>Menu</nav>
<main><header><h1>Page</h1></header><p>Hello <b>big</b> snake_case * world.</p><script>evil()</script>
<pre><code class="language-python">if x:
    pass</code></pre><ul><li>one</li><li>two</li></ul><img src="data:image/png;base64,AAAA">
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table><aside>Ad</aside></main>
<footer>Imprint</footer></body></html>"""


def test_a_page_inside_a_form_keeps_its_text() -> None:
    page = """<body><form action="./x.aspx"><input type="hidden" value="state"><h1>Page</h1><p>Body.</p>
<select><option>choice</option></select><textarea>typed</textarea><button>Send</button></form>after</body>"""
    assert document("a.html", page).text == "# Page\n\nBody.\n\nafter"


def test_html() -> None:
    found = document("a.htm", PAGE)
    assert found.title == "Page"
    assert found.metadata == {"format": "html", "description": "About it", "keywords": ["a", "b"], "lang": "en"}
    assert "# Page\n\nHello **big** snake_case * world." in found.text
    assert "```python\nif x:\n    pass\n```" in found.text
    assert "- one\n- two" in found.text
    assert "| a | b |" in found.text
    for gone in ("Banner", "Menu", "evil", "Ad", "Imprint", "data:", "Site"):
        assert gone not in found.text
    plain = document("a.html", "<body><header>Top</header><h2>Two</h2><p>x</p><footer>Low</footer></body>")
    assert plain.text == "## Two\n\nx"
    assert reason("a.html", "<html><body><script>x</script></body></html>") == Reason.EMPTY


RST = """
=====
Title
=====

:Author: Ann
:Date: 2024-01-01
:Topic: *deep* things

Intro with :func:`~os.path.join` and :ref:`the label <target>` and ``code``.

Section
-------

.. code-block:: python

   x = 1

.. note:: Keep me.

.. versionadded:: 3.2
   The *new* thing.

.. include:: /etc/passwd

.. raw:: html

   <b>raw</b>

.. toctree::

   other
"""


def test_rst(capfd: pytest.CaptureFixture[str]) -> None:
    found = document("a.rst", RST)
    assert found.title == "Title"
    assert found.metadata == {"format": "rst", "author": "Ann", "date": "2024-01-01", "Topic": "deep things"}
    assert [(h.level, h.title) for h in headings(found.text)] == [(1, "Title"), (2, "Section")]
    assert "os.path.join and the label and `code`" in found.text
    assert "x = 1" in found.text
    assert "Keep me." in found.text
    assert "3.2" in found.text
    assert "thing." in found.text
    for gone in ("root:", "raw", "toctree", "Ann", "System Message"):
        assert gone not in found.text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("A\n=\n\nB\n-\n\nC\n~\n\nD\n=\n\nE\n~\n\nlast", ["E", "last"]),
        ("=======\nTitle\n\ntext", ["Title", "text"]),
        (".. note::\n\n   Inner\n   =====\n\n   text", ["Inner", "text"]),
        ("+---+\n| a |\n+--", ["| a |"]),
        (".. image::\n   :width: x\n\nafter", ["after"]),
    ],
)
def test_rst_with_errors_keeps_its_words(source: str, kept: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    text = document("a.rst", source).text
    assert all(words in text for words in kept)
    assert capfd.readouterr() == ("", "")


def pdf(*pages: str, title: str = "", password: str | None = None) -> bytes:
    made = io.BytesIO()
    canvas = Canvas(made)
    canvas.setTitle(title)
    canvas.setAuthor("Ann")
    for page in pages:
        canvas.drawString(72, 720, page)
        canvas.showPage()
    canvas.save()
    if password is None:
        return made.getvalue()
    writer = PdfWriter(PdfReader(made))
    writer.encrypt(password, algorithm="RC4-128")
    locked = io.BytesIO()
    writer.write(locked)
    return locked.getvalue()


def test_pdf() -> None:
    found = document("a/b.PDF", pdf("First page", "Second page", title="Report"))
    assert found.text == "First page\n\nSecond page"
    assert (found.title, found.media_type) == ("Report", "text/plain")
    assert found.metadata == {"folder": "a", "format": "pdf", "pages": 2, "author": "Ann"}
    assert reason("a.pdf", pdf("")) == Reason.EMPTY
    assert reason("a.pdf", pdf("x", password="secret")) == Reason.UNREADABLE
    assert reason("a.pdf", pdf("Some text")[:300]) == Reason.UNPARSABLE


def test_docx() -> None:
    word: Any = docx.Document()
    word.core_properties.title = "Memo"
    word.core_properties.author = "Ann"
    word.add_heading("First", 1)
    word.add_paragraph("Hello & welcome.")
    word.add_heading("Second", 2)
    word.add_paragraph("item", style="List Bullet")
    table = word.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
    made = io.BytesIO()
    word.save(made)
    found = document("a.docx", made.getvalue())
    assert (found.title, found.media_type) == ("First", "text/markdown")
    assert "# First\n\nHello & welcome.\n\n## Second\n\n- item" in found.text
    assert found.metadata["author"] == "Ann"
    assert reason("a.docx", made.getvalue()[:2000]) == Reason.UNPARSABLE


def test_unknown_suffixes() -> None:
    assert reason("a.xlsx", b"x") == Reason.UNSUPPORTED
    assert reason("README", b"x") == Reason.UNSUPPORTED


def test_versions_name_the_libraries() -> None:
    versions = [parser.version for parser in PARSERS]
    assert len(set(versions)) == len(PARSERS)
    assert versions[0].startswith("markdown/1+python-frontmatter-")


def test_starting_up_imports_no_parser() -> None:
    code = (
        "import sys, vector_pipeline.corpus; print([m for m in ('docutils', 'mammoth', 'pypdf', 'bs4', 'duckdb', 'pyarrow',"
        " 'tokenizers', 'markdown_it', 'semantic_text_splitter') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([s for p in PARSERS for s in p.suffixes]),
    st.binary(max_size=300) | st.text(max_size=300).map(str.encode),
)
def test_any_bytes_become_a_document_or_a_quarantine(suffix: str, data: bytes) -> None:
    found = parse(f"a{suffix}", data)
    if isinstance(found, Document):
        assert found.text.strip()
        assert "\r" not in found.text
        assert found.digest
