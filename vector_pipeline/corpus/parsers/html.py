"""HTML to Markdown: beautifulsoup4 finds the content, markdownify writes it. RST and DOCX come through here too."""

import copy
from typing import Any

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from markdownify import ATX, MarkdownConverter

from vector_pipeline.corpus.decoding import decode
from vector_pipeline.corpus.parsers import MARKDOWN, Draft

_NEVER = ("script", "style", "template", "noscript", "nav", "aside", "svg", "iframe")
_CONTROLS = ("input", "select", "button", "textarea", "option")
_FRAME = ("header", "footer")
_META = ("description", "author")


def parse(data: bytes) -> Draft:
    """A page: its main content, and title, description, keywords and language as it declares them."""
    declared = EncodingDetector.find_declared_encoding(data, is_html=True)
    soup = BeautifulSoup(decode(data, declared=declared), "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    return Draft(_markdown(_content(soup)), MARKDOWN, property_title=title, metadata=_metadata(soup))


def html_to_markdown(html: str, *, everything: bool = False) -> str:
    """Markdown of a page, or with ``everything`` of a fragment that has no frame around its content."""
    soup = BeautifulSoup(html, "html.parser")
    return _markdown(soup if everything else _content(soup))


def _content(soup: BeautifulSoup) -> Tag:
    """The part of a page that is its own: ``main``, a single ``article``, else the body without header and footer."""
    for tag in soup.find_all((*_NEVER, *_CONTROLS)):
        tag.decompose()
    for form in soup.find_all("form"):
        form.name = "div"  # Whole pages stand in one (ASP.NET): only its controls are no content.
    main = soup.find("main") or soup.find(role="main")
    articles = soup.find_all("article")
    chosen = main or (articles[0] if len(articles) == 1 else None)
    if isinstance(chosen, Tag) and chosen.get_text(strip=True):
        return chosen  # Its own header holds the heading: keep it.
    for tag in soup.find_all(_FRAME):
        if tag.find_parent("article") is None:
            tag.decompose()
    if soup.head:
        soup.head.decompose()
    return soup


def _metadata(soup: BeautifulSoup) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for tag in soup.find_all("meta"):
        name, content = str(tag.get("name", "")).lower(), str(tag.get("content", "")).strip()
        if name in _META and content:
            metadata.setdefault(name, content)
        elif name == "keywords" and content:
            metadata.setdefault(name, [word.strip() for word in content.split(",") if word.strip()])
    language = soup.html.get("lang") if soup.html else None
    if language:
        metadata["lang"] = str(language)
    return metadata


def _markdown(content: Tag) -> str:
    for image in content.find_all("img", src=lambda source: bool(source and source.startswith("data:"))):
        image.decompose()
    for literal in content.select("span.literal, tt"):
        literal.name = "code"  # docutils writes inline code so
    converter = MarkdownConverter(
        heading_style=ATX,
        bullets="-",
        escape_asterisks=False,
        escape_underscores=False,
        code_language_callback=_language,
        table_infer_header=True,
    )
    return str(converter.convert_soup(copy.copy(content)))


def _language(pre: Tag) -> str:
    """Language of a code block: ``class="language-python"`` on it or on its ``code``."""
    for tag in (pre, pre.find("code")):
        for name in (tag.get("class") or []) if isinstance(tag, Tag) else []:
            if name.startswith(("language-", "lang-")):
                return str(name.partition("-")[2])
    return ""
