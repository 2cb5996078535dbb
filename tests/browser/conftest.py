"""Chromium, the weir with real traffic, and dashboards over recorded scenes."""

import asyncio
import concurrent.futures
import contextlib
import os
import shutil
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mcp import Client
from tests.dashboard import scenes
from tests.dashboard.recorded import recorded

from weir_process import Running, free_port, start_example, start_weir, wait_for_port, wait_until

sync_api = pytest.importorskip("playwright.sync_api", reason="make browser installs it")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
        "--disable-component-update", "--no-first-run"]
# Violations of the policy become console errors of a known form, before any script of the page runs.
WATCH = """
document.addEventListener("securitypolicyviolation", (e) => {
  console.error("CSP: " + e.violatedDirective + " " + e.blockedURI);
});
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


class Eye:
    """A browser window; `trouble` gathers what must not happen: errors, violations, dialogs, requests elsewhere."""

    def __init__(self, context: "sync_api.BrowserContext", base: str) -> None:
        self.base, self.trouble, self.expected = base, [], []
        context.add_init_script(WATCH)
        self.page = context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)

    def look(self, path: str) -> None:
        """Open a page and wait until it is still."""
        answer = self.page.goto(self.base + path)
        assert answer is not None and answer.status == 200, (path, answer and answer.status)
        self.page.wait_for_timeout(150)

    def _console(self, message: "sync_api.ConsoleMessage") -> None:
        if message.type in ("error", "warning") and not any(word in message.text for word in self.expected):
            self.trouble.append(f"{self.page.url}: {message.type}: {message.text}")

    def _dialog(self, dialog: "sync_api.Dialog") -> None:
        self.trouble.append(f"{self.page.url}: dialog {dialog.message}")
        dialog.dismiss()

    def _request(self, request: "sync_api.Request") -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.trouble.append(f"{self.page.url}: asks for {request.url}")


def every_page(eye: Eye, query: str = "?window=24h") -> list[str]:
    """Each entry of the navigation, and one session, request and tool reached by links."""
    eye.look("/" + query)
    paths = [path for path in (link.get_attribute("href") for link in eye.page.locator(".nav a").all()) if path]
    for listing, pattern in (("/sessions", "/sessions/"), ("/requests", "/requests/"), ("/tools", "/tool?")):
        eye.look(listing + query)
        paths.append(eye.page.locator(f'main a[href^="{pattern}"]').first.get_attribute("href") or "")
    return [*paths, "/search?q=a&window=24h", "/api"]


@pytest.fixture(scope="session")
def chromium() -> Iterator["sync_api.Browser"]:
    if not CHROMIUM:
        pytest.skip("no Chromium: apt-get install chromium, or set CHROMIUM to its path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def eye(chromium: "sync_api.Browser") -> Iterator[Callable[..., Eye]]:
    """eye(base, theme, width): a fresh window without storage; at the end no trouble may have been seen."""
    eyes: list[Eye] = []
    contexts: list[sync_api.BrowserContext] = []

    def make(base: str, theme: str = "light", width: int = 1440, scripts: bool = True) -> Eye:
        context = chromium.new_context(
            viewport={"width": width, "height": 900 if width > 600 else 812}, color_scheme=theme,
            java_script_enabled=scripts, locale="en-GB", timezone_id="Europe/Berlin",
        )
        contexts.append(context)
        eyes.append(Eye(context, base))
        return eyes[-1]

    yield make
    for context in contexts:
        context.close()
    assert [trouble for one in eyes for trouble in one.trouble] == []


@contextlib.contextmanager
def dashboard(url: str, token: str | None = None) -> Iterator[str]:
    """`mcp-weir dashboard` alone over a database; its address."""
    port = free_port()
    command = [sys.executable, "-m", "mcp_weir", "dashboard", "--admin", f"127.0.0.1:{port}", "--upstream",
               "http://127.0.0.1:8051/mcp"]
    env = {**os.environ, "WEIR_DATABASE_URL": url} | ({"WEIR_ADMIN_TOKEN": token} if token else {})
    child = subprocess.Popen(command, env=env)
    try:
        wait_for_port(port, child)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        assert child.wait(20) == 0


def _scene(postgres_url: str, folder: Path, scene: Callable[..., object]) -> Iterator[str]:
    url, _ = recorded(postgres_url, folder, scene)
    with dashboard(url) as base:
        yield base


@pytest.fixture(scope="session")
def usual(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _scene(postgres_url, tmp_path_factory.mktemp("usual"), lambda river, now: river.usual(now))


@pytest.fixture(scope="session")
def hostile(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _scene(postgres_url, tmp_path_factory.mktemp("hostile"), scenes.hostile)


@pytest.fixture(scope="session")
def foreign(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _scene(postgres_url, tmp_path_factory.mktemp("foreign"), scenes.foreign)


@pytest.fixture(scope="session")
def many(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _scene(postgres_url, tmp_path_factory.mktemp("many"), scenes.many)


@pytest.fixture(scope="session")
def weir(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`mcp-weir up` before the example server, with calls by real clients of both eras recorded."""
    folder = tmp_path_factory.mktemp("weir")
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("CREATE DATABASE browsed")
    url = postgres_url.replace("/postgres?", "/browsed?")
    with start_example() as example, start_weir(example.url, folder, url) as running:
        aside(talk(running.url, 12))

        def calls() -> int:
            try:
                return int(running.get("/api/overview", running.admin_port)["data"]["overview"]["totals"]["calls"])
            except urllib.error.URLError:  # the relay serves before the recorder listens, and has made its schema
                return -1

        wait_until(lambda: calls() == 26, 90)
        yield running


def aside(work: Coroutine[Any, Any, None]) -> None:
    """Run to its end on a thread of its own: Playwright keeps a loop on this one."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result(60)


async def talk(url: str, calls: int) -> None:
    """Two conversations of so many calls, and one that fails, one in each era."""
    for mode in ("legacy", "auto"):
        async with Client(url, mode=mode) as client:
            await client.list_tools()
            for number in range(calls):
                await client.call_tool("add", {"a": number, "b": 1})
            await client.call_tool("fail", {})
