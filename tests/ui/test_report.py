"""The report in a real browser: every width and theme, no network, no error, nothing that sticks out, nobody else's script."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.report.conftest import FactsOf, facts_of
from tests.ui import dagster_ui as dagster
from vector_pipeline.report.page.render import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["facts_of"]
_MISSING = dagster.missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING)),
]
STICKING_OUT = """() => [...document.querySelectorAll('body *')].filter(one => {
  if (one.closest('svg') || one.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let above = one.parentElement; above; above = above.parentElement)
    if (getComputedStyle(above).overflowX === 'auto') return false;
  return true;
}).map(one => one.outerHTML.slice(0, 120))"""
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = colour => rgb(colour).slice(0, 3).map(one => one / 255)
    .map(one => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = one => {
    for (let above = one; above; above = above.parentElement) {
      const colour = getComputedStyle(above).backgroundColor;
      if (rgb(colour)[3] === 255) return colour;
    }
    return 'white';
  };
  const found = [];
  for (const one of document.querySelectorAll('body *')) {
    const svg = one.closest('svg');
    const text = [...one.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    if (!text || (svg && one.tagName !== 'text') || !one.getClientRects().length) continue;
    const style = getComputedStyle(one);
    const [a, b] = [light(svg ? style.fill : style.color), light(behind(svg ? svg.parentElement : one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(ratio.toFixed(2) + ' ' + one.outerHTML.slice(0, 120));
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(dagster.CHROMIUM), args=dagster.FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def file(facts_of: FactsOf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("report") / "v7.html"
    written.write_text(render(facts_of()), encoding="utf-8")
    return written


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 768, 1600])
def test_it_is_whole_on_every_screen(browser: "Browser", file: Path, width: int, theme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert "pwned" not in page.title()
    for opened in (False, True):
        if opened:
            open_all(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(STICKING_OUT) == []
        assert page.evaluate(CONTRAST) == []
    charts = page.locator("svg[role=img]")
    assert charts.count() == 4
    for chart in charts.all():
        box = chart.bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert box["height"] > 40
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 20, 26)"
    assert dark == (theme == "dark")
    assert said == []
    assert asked == [file.as_uri()]
    context.close()


def open_all(page: "Page") -> None:
    """Open every detail as a person does: by its summary, outer ones first."""
    for summary in page.locator("summary").all():
        summary.click()
    assert page.locator("details:not([open])").count() == 0


def test_a_keyboard_reaches_and_opens_the_details(browser: "Browser", file: Path) -> None:
    page = browser.new_page()
    page.goto(file.as_uri())
    first = page.locator("summary").first
    first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.evaluate("one => one.open")
    page.locator(".outlook a").first.click()
    assert page.url.endswith("#gate-lost-content")
    page.close()


def test_its_policy_stops_what_would_be_slipped_in(browser: "Browser", file: Path) -> None:
    """Were anything ever not escaped, nothing would come of it."""
    slipped = file.with_name("slipped.html")
    bad = "<script>document.title='pwned'</script><img src='http://127.0.0.1:9/x' onerror=\"document.title='pwned'\">"
    slipped.write_text(file.read_text(encoding="utf-8").replace("<main>", f"<main>{bad}"), encoding="utf-8")
    page = browser.new_page()
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.goto(slipped.as_uri())
    assert "pwned" not in page.title()
    assert asked == [slipped.as_uri()]
    page.close()


def test_it_prints_with_everything_in_it(browser: "Browser", file: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(file.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(CONTRAST) == []
    assert not page.locator("nav").is_visible()
    assert page.pdf().startswith(b"%PDF")
    context.close()
