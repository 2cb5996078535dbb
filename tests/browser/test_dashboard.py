"""The dashboard in a real browser: every page, both themes, wide and phone; no error, no violation, nothing runs."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.browser.conftest import Eye, aside, dashboard, every_page, talk
from tests.dashboard.scenes import PAYLOADS

from weir_process import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
Make = Callable[..., Eye]
PICTURES = os.environ.get("WEIR_PICTURES")
STILL = 0.1  # cumulative layout shift: what Web Vitals call good
LOOKS = [("light", 1440), ("dark", 1440), ("light", 375), ("dark", 375)]

# Text whose contrast against what lies beneath is under WCAG AA (4.5; 3 for large text).
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const part = [r, g, b].map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const under = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].filter((n) => n.nodeType === 3 && n.textContent.trim()).length;
    if (!words || !element.checkVisibility() || element.closest("svg, option, .unseen, .skip")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(rgba(style.color)), light(under(element))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    const where = `${element.tagName}.${element.className} in ${element.parentElement.className}`;
    if (ratio >= (large ? 3 : 4.5)) continue;
    poor.push(`${where} ${ratio.toFixed(2)}: ${element.textContent.trim().slice(0, 40)}`);
  }
  return [...new Set(poor)];
}"""
# What a screen reader would miss.
UNNAMED = """() => [
  ...[...document.querySelectorAll("input:not([type=hidden]), select, textarea")].filter((e) => !e.labels.length),
  ...[...document.querySelectorAll("table")].filter((e) => !e.caption),
  ...[...document.querySelectorAll("th")].filter((e) => !e.scope),
  ...[...document.querySelectorAll("a, button, summary")]
    .filter((e) => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel)),
  ...[...document.querySelectorAll("svg")].filter((e) => e.ariaHidden !== "true" && !e.ariaLabel && e.role !== "img"),
].map((e) => e.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_every_page_over_real_traffic(eye: Make, weir: Running, theme: str, width: int) -> None:
    window = eye(f"http://127.0.0.1:{weir.admin_port}", theme, width)
    for path in every_page(window, ""):
        window.look(path)
        assert window.page.locator("h1").count() == 1, path
        assert window.page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} is wider than the window"
        assert window.page.evaluate("window.shifted") < STILL, f"{path} moves while it loads"
        assert window.page.evaluate(CONTRAST) == [], path
        assert window.page.evaluate(UNNAMED) == [], path


@pytest.mark.parametrize(("scene", "theme", "width"), [
    ("usual", "light", 1440), ("usual", "dark", 375), ("foreign", "dark", 1440), ("foreign", "light", 375),
    ("many", "light", 1440), ("many", "dark", 375),
])
def test_every_page_over_a_scene(
    eye: Make, scene: str, theme: str, width: int, request: pytest.FixtureRequest
) -> None:
    window = eye(request.getfixturevalue(scene), theme, width)
    for path in every_page(window):
        window.look(path)
        assert window.page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} is wider than the window"
        assert window.page.evaluate(CONTRAST) == [], path


def test_sixty_hostile_names_are_inert(eye: Make, hostile: str) -> None:
    window = eye(hostile)
    assert len(PAYLOADS) == 60
    for path in ["/", "/sessions?limit=200", "/tools", "/clients", "/users", "/errors?limit=200", "/requests?limit=500",
                 "/streams", "/search?q=alert", "/recording"]:
        window.look(path)
        window.page.mouse.move(400, 400)
    window.look("/tools")
    paths = {link.get_attribute("href") or "" for link in window.page.locator('main a[href^="/tool?"]').all()}
    assert len(paths) >= 55
    for path in sorted(paths):
        window.look(path)
    window.look("/sessions?limit=100")
    for path in {link.get_attribute("href") or "" for link in window.page.locator('main a[href^="/sessions/"]').all()}:
        window.look(path)


def test_what_would_run_is_noticed(eye: Make, hostile: str) -> None:
    window = eye(hostile)
    window.look("/")
    assert window.trouble == []
    inline = "<iframe srcdoc='<script>alert(1)</script>'>"
    for planted in ("<img src=x: onerror=alert(1)>", "<p style='color: red'>", inline):
        window.page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", planted)
        window.page.wait_for_timeout(300)
        assert any("CSP" in trouble for trouble in window.trouble), planted
        window.trouble.clear()


@pytest.mark.parametrize("width", [1300, 1440, 1920])
def test_no_table_is_cut_on_a_desk(eye: Make, usual: str, width: int) -> None:
    window = eye(usual, "light", width)
    cut = {}
    for path in every_page(window):
        window.look(path)
        cut[path] = window.page.evaluate("""[...document.querySelectorAll('.scroll')]
            .filter(e => e.scrollWidth > e.clientWidth + 1)
            .map(e => e.querySelector('caption').textContent + ' ' + e.scrollWidth + ' > ' + e.clientWidth)""")
    assert {path: tables for path, tables in cut.items() if tables} == {}


def test_the_overview_lives(eye: Make, weir: Running) -> None:
    window = eye(f"http://127.0.0.1:{weir.admin_port}")
    window.look("/")
    window.page.wait_for_selector("[data-live-word]:text('live')")
    figure = window.page.locator("[data-piece=figures] .figure", has_text="Tool calls").locator("dd").first
    before = int(figure.get_attribute("title") or "")
    aside(talk(weir.url, 2))
    window.page.wait_for_function(
        "want => [...document.querySelectorAll('[data-piece=figures] .figure')]"
        ".some(f => f.textContent.includes('Tool calls') && f.querySelector('dd').title === want)",
        arg=str(before + 6), timeout=15_000,
    )


def test_without_scripts_everything_is_there(eye: Make, usual: str) -> None:
    window = eye(usual, scripts=False)
    for path in ("/?window=24h", "/tools?window=24h", "/errors?window=24h"):
        window.look(path)
        assert window.page.locator("table").count() >= 1
        assert window.page.locator(".js:visible").count() == 0
    window.look("/?window=24h")
    assert window.page.locator(".chart .plot").count() == 3
    for axis in (".y", ".x"):  # each chart says what its lines and its steps stand for
        assert all(window.page.locator(f".chart {axis}").nth(n).locator("text").count() >= 3 for n in range(3))
    assert (window.page.locator(".chart .x").first.text_content() or "").endswith("UTC")
    window.page.get_by_role("link", name="15m").click()
    assert "window=15m" in window.page.url
    window.page.locator("summary", has_text="Custom").click()
    window.page.get_by_role("button", name="Show").click()
    assert "from=" in window.page.url and "window=" not in window.page.url


def test_a_session_is_stepped_through_by_keyboard(eye: Make, usual: str) -> None:
    window = eye(usual)
    window.look("/sessions?window=24h&errors=yes&sort=-request_count")
    window.page.locator('main a[href^="/sessions/"]').first.click()
    window.page.wait_for_url(re.compile("/sessions/"), wait_until="load")
    for key in "jjk":
        window.page.keyboard.press(key)
    assert window.page.locator("tr.here").get_attribute("aria-current") == "true"
    assert window.page.locator("[data-step]").first.get_attribute("class") == "here"
    window.page.keyboard.press("e")
    assert window.page.locator("tr.here").get_attribute("data-step") == "error"
    window.page.keyboard.press("Enter")
    window.page.wait_for_url(re.compile("/requests/"))
    assert window.page.locator(".notice.critical").count() == 1


def test_a_chosen_theme_stays(eye: Make, usual: str) -> None:
    window = eye(usual, "light")
    window.look("/")
    dark = window.page.evaluate("getComputedStyle(document.body).backgroundColor")
    window.page.get_by_role("button", name="Dark theme").click()
    window.look("/tools")
    assert window.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert window.page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_filters_stay_in_the_link(eye: Make, usual: str) -> None:
    window = eye(usual)
    window.look("/requests?window=24h")
    window.page.get_by_label("Outcome").select_option("rpc_error")
    window.page.wait_for_url(re.compile("outcome=rpc_error"))
    assert "window=24h" in window.page.url and "method=" not in window.page.url
    there = window.page.locator("tbody tr").count()
    window.look(window.page.url.removeprefix(usual))
    assert window.page.locator("tbody tr").count() == there > 0
    assert set(window.page.locator("tbody .outcome").all_inner_texts()) == {"rpc error"}


def test_a_person_logs_in(eye: Make, usual: str, database_url: str) -> None:
    with dashboard(database_url, token="open sesame") as base:
        window = eye(base)
        window.expected.append("401")
        window.page.goto(base + "/sessions?window=6h")
        window.page.get_by_role("textbox", name="Token").fill("guess")
        window.page.get_by_role("button", name="Log in").click()
        assert window.page.get_by_role("alert").inner_text() == "That is not the token."
        window.page.get_by_role("textbox", name="Token").fill("open sesame")
        window.page.get_by_role("button", name="Log in").click()
        window.page.wait_for_url(re.compile(r"/sessions\?window=6h"))
        assert window.page.locator("h1").inner_text() == "Sessions"
        window.page.wait_for_load_state("networkidle")
        window.page.close()


@pytest.mark.skipif(PICTURES is None, reason="WEIR_PICTURES names no folder")
@pytest.mark.parametrize(("name", "path", "theme", "width"), [
    ("overview", "/?window=24h", "light", 1440), ("overview-dark", "/?window=24h", "dark", 1440),
    ("session", "", "light", 1440), ("tool", "/tool?name=search_orders&window=24h", "dark", 1440),
    ("errors", "/errors?window=24h", "light", 1440), ("phone", "/?window=24h", "light", 375),
])
def test_pictures_for_the_documentation(
    eye: Make, usual: str, name: str, path: str, theme: str, width: int
) -> None:
    window = eye(usual, theme, width)
    if not path:
        window.look("/sessions?window=24h&era=legacy&sort=-request_count")
        path = window.page.locator('main a[href^="/sessions/"]').first.get_attribute("href") or ""
    window.look(path)
    window.page.wait_for_timeout(500)
    file = Path(PICTURES or "") / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    window.page.screenshot(path=file)
    assert file.stat().st_size < 300_000
