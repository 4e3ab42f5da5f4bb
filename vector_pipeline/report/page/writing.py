"""A page on disk: whoever reads it while it is written sees the old one or the new one, whole.

Law: several may write one page at a time; the last one stands, and nothing else is left.
"""

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from vector_pipeline.errors import InputError, UnavailableError

_FIX = "Name another file: --out FILE"


def require_file(file: Path) -> None:
    """``InputError`` for what no page can take the place of: a folder, a device."""
    with suppress(OSError):  # Nor can it be written then, which says why.
        if file.exists() and not file.is_file():
            what = "a folder" if file.is_dir() else "no file"
            raise InputError(f"the report cannot be written to {file}: it is {what}", fix=_FIX)


def write_page(file: Path, page: str) -> None:
    """``UnavailableError`` where it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Of its writer alone, and in the same folder: it takes the page's place in one step.
        part = file.with_name(f".{uuid4().hex}.part")
        try:
            part.write_text(page, encoding="utf-8", errors="replace")
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(f"the report cannot be written to {file}: {error.strerror}", fix=_FIX) from None
