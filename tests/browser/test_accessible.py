"""Without a mouse, without motion, by ear: what the keyboard reaches, and what axe-core finds."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.browser.conftest import Eye, every_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
Make = Callable[..., Eye]
AXE = Path(os.environ.get("WEIR_AXE", ".axe/package/axe.min.js"))

# Where the focus is, and whether somebody would see it there.
FOCUS = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  const name = (e.ariaLabel || e.textContent || e.labels?.[0]?.textContent || "").trim().replace(/\\s+/g, " ");
  return {
    name: `${e.tagName.toLowerCase()} ${name.slice(0, 50)}`,
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    number: [...document.querySelectorAll("*")].indexOf(e),
  };
}"""
REACHABLE = """() => [...document.querySelectorAll(
  "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']")]
  .filter((e) => e.checkVisibility() && !e.disabled).map((e) => [...document.querySelectorAll("*")].indexOf(e))"""
# What scrolls sideways and cannot be scrolled without a mouse.
STUCK = """() => [...document.querySelectorAll("*")].filter((e) => e.scrollWidth > e.clientWidth + 1
    && ["auto", "scroll"].includes(getComputedStyle(e).overflowX)
    && e.tabIndex < 0 && !e.querySelector("a[href], button, input, select, summary, [tabindex='0']"))
  .map((e) => e.outerHTML.slice(0, 120))"""
ASK_AXE = """async () => (await axe.run(document, { preload: false })).violations.map((v) => `${v.id}: ${v.help}: ${
  v.nodes.slice(0, 3).map((n) => n.html.slice(0, 140)).join(" | ")} (${v.nodes.length})`)"""


def walked(eye: Eye) -> list[dict[str, Any]]:
    """Every stop of the Tab key, from the page's beginning until it leaves the page."""
    eye.page.evaluate("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")
    stops: list[dict[str, Any]] = []
    while len(stops) < 600:
        eye.page.keyboard.press("Tab")
        stop = eye.page.evaluate(FOCUS)
        if stop is None or (stops and stop["number"] == stops[0]["number"]):
            return stops
        stops.append(stop)
    raise AssertionError(f"the Tab key does not come out of {eye.page.url}")


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 375)])
def test_the_tab_key_comes_everywhere_and_is_seen(eye: Make, usual: str, theme: str, width: int) -> None:
    window = eye(usual, theme, width)
    for path in every_page(window):
        window.look(path + ("&" if "?" in path else "?") + "limit=5")  # few rows: each is like the next
        stops = walked(window)
        if window.page.locator(".nav").count():  # the API's own page has nothing to skip
            assert stops[0]["name"] == "a Skip to content", path
        assert [stop["name"] for stop in stops if not stop["outlined"]] == [], f"{path}: focus without an outline"
        assert [stop["name"] for stop in stops if not stop["seen"]] == [], f"{path}: focus out of sight"
        missed = set(window.page.evaluate(REACHABLE)) - {stop["number"] for stop in stops}
        assert not missed, (path, missed)
        assert window.page.evaluate(STUCK) == [], path


def test_the_skip_link_skips(eye: Make, usual: str) -> None:
    window = eye(usual)
    window.look("/tools?window=24h")
    window.page.keyboard.press("Tab")
    window.page.keyboard.press("Enter")
    assert window.page.evaluate("document.activeElement.id") == "content"
    window.page.keyboard.press("Tab")
    assert window.page.evaluate("document.activeElement.closest('main') !== null")


def test_escape_closes_what_is_open(eye: Make, usual: str) -> None:
    window = eye(usual)
    window.look("/?window=24h")
    custom = window.page.locator("details.pop", has_text="From (UTC)").locator("summary")
    custom.focus()
    window.page.keyboard.press("Enter")
    assert window.page.get_by_label("From (UTC)").is_visible()
    window.page.keyboard.press("Tab")
    window.page.keyboard.press("Escape")
    assert not window.page.get_by_label("From (UTC)").is_visible()
    assert window.page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_nothing_moves_for_who_wants_it_still(eye: Make, usual: str) -> None:
    window = eye(usual)
    window.page.emulate_media(reduced_motion="reduce")
    for path in every_page(window):
        window.look(path)
        moving = window.page.evaluate("""[...document.querySelectorAll('*')].filter(e => {
            const s = getComputedStyle(e);
            return s.animationName !== 'none' && s.animationPlayState === 'running'
                || s.transitionDuration.split(', ').some(d => parseFloat(d) > 0) || s.scrollBehavior === 'smooth';
        }).map(e => e.outerHTML.slice(0, 100))""")
        assert moving == [], path


@pytest.mark.parametrize(("scene", "theme", "width"), [
    ("usual", "light", 1440), ("usual", "dark", 1440), ("usual", "light", 375), ("foreign", "light", 1440),
    ("many", "dark", 1440),
])
def test_axe_finds_nothing(eye: Make, scene: str, theme: str, width: int, request: pytest.FixtureRequest) -> None:
    if not AXE.exists():
        pytest.skip("no axe-core: `make browser` fetches it with npm")
    source = AXE.read_text()
    window = eye(request.getfixturevalue(scene), theme, width)
    for path in every_page(window):
        window.look(path)
        window.page.evaluate(source)  # by the browser's protocol: the page's own policy would refuse it
        found = window.page.evaluate(ASK_AXE)
        assert found == [], path
