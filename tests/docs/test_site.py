"""The site: it builds without a warning, fetches nothing from elsewhere, and what is made from code is current."""

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.test_readme import ROOT

DOCS = ROOT / "docs"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


class Fetched(HTMLParser):
    """What a browser fetches by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in {"script", "img", "iframe"}:
            self.found.append(given.get("src") or "")
        if tag == "link" and given.get("rel") not in {"canonical", "next", "prev"}:
            self.found.append(given.get("href") or "")


@pytest.mark.slow
def test_it_builds_without_a_warning_and_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="the site needs the extra docs: pip install 'vector-pipeline[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-4000:]
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        parser = Fetched()
        parser.feed(page.read_text(encoding="utf-8"))
        assert not [one for one in parser.found if re.match(r"(https?:)?//", one)], page
    api = (tmp_path / "site/api/index.html").read_text(encoding="utf-8")
    assert "open_index" in api
    assert "vector_index" in api
    assert (tmp_path / "site/search/search_index.json").is_file()


def test_the_command_reference_is_current() -> None:
    assert module("generate_commands").main(check=True) == 0, "run: python docs/generate_commands.py"


@pytest.mark.slow
def test_links_out_of_the_docs_are_text_on_the_site_and_others_stay() -> None:
    outside = module("site_hooks").OUTSIDE if importlib.util.find_spec("mkdocs") else None
    if outside is None:
        pytest.skip("the site needs the extra docs")
    assert outside.sub(r"\1", "see [the file](../resources/dagster.yaml).") == "see the file."
    for kept in (
        "[a](reading.md)",
        "[a](../reading.md#b)",
        "[a](../adr/0001-x.md)",
        "![a](../images/a.png)",
        "[a](https://a.b)",
    ):
        assert outside.sub(r"\1", kept) == kept


def test_new_pages_link_to_pages_that_are_there() -> None:
    for name in ("index", "design", "operate", "tutorial", "existing-dagster-project"):
        page = DOCS / f"{name}.md"
        for link, anchor in re.findall(r"\]\(([^)#]+)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            if link.startswith("https://"):
                continue
            target = page.parent / link
            assert target.exists(), f"{name}: {link}"
            if anchor:
                titles = re.findall(r"(?m)^#+ (.*)$", target.read_text(encoding="utf-8"))
                slugs = [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in titles]
                assert anchor in slugs, f"{name}: {link}#{anchor}"
