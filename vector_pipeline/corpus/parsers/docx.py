"""DOCX: mammoth makes HTML by style, ``html`` makes Markdown; core properties as metadata."""

import io
import zipfile
from typing import Any
from xml.etree import ElementTree

import mammoth

from vector_pipeline.corpus.metadata import ParseError
from vector_pipeline.corpus.model import Reason
from vector_pipeline.corpus.parsers import MARKDOWN, Draft
from vector_pipeline.corpus.parsers.html import html_to_markdown

_MOST_UNPACKED = 500_000_000
"""Bytes: a small file that unpacks to more is a zip bomb."""
_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
_CORE = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"


def parse(data: bytes) -> Draft:
    """Text with headings, lists and tables. Images are left out."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            if sum(member.file_size for member in package.infolist()) > _MOST_UNPACKED:
                raise ParseError(Reason.TOO_LARGE, f"the file unpacks to more than {_MOST_UNPACKED:,} bytes: split it")
            metadata = _properties(package)
        html = mammoth.convert_to_html(io.BytesIO(data), convert_image=lambda _: []).value
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError) as error:
        raise ParseError(Reason.UNPARSABLE, f"not a Word document: {error}; save it again as .docx") from None
    title = " ".join((metadata.pop("title", None) or "").split())
    return Draft(html_to_markdown(html, everything=True), MARKDOWN, property_title=title, metadata=metadata)


def _properties(package: zipfile.ZipFile) -> dict[str, Any]:
    if "docProps/core.xml" not in package.namelist():
        return {}
    source = package.read("docProps/core.xml")
    if b"<!DOCTYPE" in source or b"<!ENTITY" in source:
        return {}  # Office writes none; entities that multiply are an attack.
    root = ElementTree.fromstring(source)
    names = {"title": f"{_DUBLIN_CORE}title", "author": f"{_DUBLIN_CORE}creator", "keywords": f"{_CORE}keywords"}
    found = {name: (root.findtext(tag) or "").strip() for name, tag in names.items()}
    return {name: value for name, value in found.items() if value}
