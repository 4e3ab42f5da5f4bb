"""PDF by pypdf: text page by page, properties as metadata. No OCR: a scan has no text and is ``empty``."""

import io
import logging
from typing import Any

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError

from vector_pipeline.corpus.metadata import ParseError
from vector_pipeline.corpus.model import Reason
from vector_pipeline.corpus.parsers import PLAIN, Draft

# pypdf reports every repaired flaw of a file through logging; without handlers that would go to standard error.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def parse(data: bytes) -> Draft:
    """Pages joined by a blank line. Encrypted is ``unreadable``, broken is ``unparsable``, no text at all is ``empty``."""
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not _opens_without_password(reader):
            raise ParseError(Reason.UNREADABLE, "the PDF is encrypted: save it without a password")
        pages = [page.extract_text() for page in reader.pages]
        information = reader.metadata
    except PyPdfError as error:
        raise ParseError(Reason.UNPARSABLE, f"not a whole PDF: {error}") from None
    text = "\n\n".join(page.strip() for page in pages if page.strip())
    if not text:
        raise ParseError(Reason.EMPTY, f"the PDF has no text on its {len(pages)} pages: a scan needs OCR first")
    metadata: dict[str, Any] = {"pages": len(pages)}
    title = ""
    if information is not None:
        metadata |= {"author": information.author or None}
        title = " ".join((information.title or "").split())
    return Draft(text, PLAIN, property_title=title, metadata=metadata)


def _opens_without_password(reader: PdfReader) -> bool:
    """Many PDFs are encrypted with an empty password, only to forbid printing."""
    try:
        return bool(reader.decrypt(""))
    except DependencyError:
        return False
