"""What happens to the documents after the first release: an ordinary edit, an accident, and its repair.

    python examples/python_reference/edit_documents.py edit|break|restore [FOLDER]

``edit`` makes the second release: a paragraph of two pages changes, two pages are added, one goes. ``break`` is the
release that must not reach production: the export saved the documentation server's "page moved" answer in place of most
pages about statements. No page is missing, none is empty, every file parses; only asking questions shows it.
``restore`` undoes the accident.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from examples.python_reference.write_documents import (
    DEFAULT_FOLDER,
    front_matter,
    markdown_document,
    reference_documents,
    write_if_changed,
)

EDITED = {
    "statements/assert.md": (
        'Do not check what users or other programs send with an assert statement: under "-O" the check is gone.\n'
        "Raise an exception of a fitting class instead.  Nor should the expression have an effect that the\n"
        "program needs."
    ),
    "types/truth.md": (
        'A test for truth treats zero and an empty container like "None".  Where those are valid values, write\n'
        '"if x is not None" instead of "if x".'
    ),
}
"""Path → the sentences that the second release adds to the page's last paragraph."""
ADDED = {
    "lexical-analysis/fstring-debugging.md": ("fstring-debugging", "lexical-analysis"),
    "statements/match-guidance.md": ("match-guidance", "statements"),
}
"""Path → topic and category of the second release's new pages; their text is in ``second_release/``."""
REMOVED = ("types/bltin-code-objects.md",)
"""Pages that the second release drops. No canary expects them."""
BROKEN_CATEGORY = "statements"
SPARED = ("statements/async.md", "statements/import.md")
"""Pages of that category that the accident leaves whole."""

_PAGE_MOVED = (
    front_matter(title="Page moved", topic="moved", category="reference")
    + """# Page moved

The page that you asked for has moved permanently. If your browser does not take you there within five seconds, follow
the link in the navigation bar, or use the search box to find the new address.

Please update your bookmarks. If you think that this is a mistake, write to the maintainers of this site.
"""
)


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths below the folder whose files were changed, in order."""

    edited: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{len(self.edited)} edited, {len(self.added)} added, {len(self.removed)} removed"


def second_release() -> dict[str, str]:
    """Path → Markdown of every document of the second release."""
    documents = reference_documents()
    for path, sentences in EDITED.items():
        documents[path] = f"{documents[path].rstrip()}\n{sentences}\n"
    for path in REMOVED:
        del documents[path]
    for path, (topic, category) in ADDED.items():
        text = (Path(__file__).parent / "second_release" / path).read_text(encoding="utf-8")
        documents[path] = markdown_document(topic, category, text)
    return dict(sorted(documents.items()))


def edit_documents(folder: Path) -> Changes:
    """Make the second release of the documents in ``folder``. A second call changes nothing."""
    documents = second_release()
    edited = tuple(path for path in EDITED if write_if_changed(folder / path, documents[path]))
    added = tuple(path for path in ADDED if write_if_changed(folder / path, documents[path]))
    removed = tuple(path for path in REMOVED if (folder / path).is_file())
    for path in removed:
        (folder / path).unlink()
    return Changes(edited, added, removed)


def break_documents(folder: Path) -> Changes:
    """The accident: write the same "page moved" page over most pages about statements."""
    victims = [path for path in reference_documents() if path.startswith(f"{BROKEN_CATEGORY}/") and path not in SPARED]
    present = [path for path in victims if (folder / path).is_file()]
    return Changes(edited=tuple(path for path in present if write_if_changed(folder / path, _PAGE_MOVED)))


def restore_documents(folder: Path) -> Changes:
    """Undo ``break_documents``: every page that it wrote over is what it was, in the release that ``folder`` holds."""
    release = second_release() if all((folder / path).is_file() for path in ADDED) else reference_documents()
    moved = [path for path in release if (folder / path).is_file() and _is_page_moved(folder / path)]
    return Changes(edited=tuple(path for path in moved if write_if_changed(folder / path, release[path])))


def _is_page_moved(file: Path) -> bool:
    return file.read_bytes() == _PAGE_MOVED.encode("utf-8")


if __name__ == "__main__":
    actions = {"edit": edit_documents, "break": break_documents, "restore": restore_documents}
    if len(sys.argv) < 2 or sys.argv[1] not in actions:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(actions)} [FOLDER]")
    chosen = Path(sys.argv[2]) if len(sys.argv) > 2 else DEFAULT_FOLDER
    print(f"{sys.argv[1]}: {actions[sys.argv[1]](chosen)} in {chosen}")
