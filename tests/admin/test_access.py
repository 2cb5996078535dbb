"""Who may look: loopback names, the token, and no page of the internet through somebody's browser."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest
from tests.admin.admin_server import serving

from mcp_weir.app.checks import bind_admin
from mcp_weir.config import Settings
from mcp_weir.dashboard.routes import PAGES, api_path
from mcp_weir.errors import UsageError

TOKEN = "a token of the operator"
HTML = {"Accept": "text/html"}
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
ROUTES = ["/healthz", "/readyz", "/metrics", "/live", "/api", "/api/openapi.json"] + [
    path.replace("{key}", "0" * 32) for page in PAGES for path in (page.path, api_path(page))
]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8053", "[::1]:8053", "LOCALHOST.:1", "weir.example:80"])
async def test_names_that_are_ours_are_answered(host: str) -> None:
    async with serving(Settings(admin_host=("weir.example",)), NOWHERE) as client:
        async with client.get("/healthz", headers={"Host": host}) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:1", "", "10.0.0.1"])
async def test_a_rebound_name_is_refused_on_every_route(host: str) -> None:
    async with serving(Settings(), NOWHERE, metrics=lambda: "") as client:
        for path in [*ROUTES, "/static/weir.css", "/login"]:
            async with client.get(path, headers={"Host": host}) as answer:
                assert answer.status == 421, path
                assert "--admin-host" in await answer.text()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"])
async def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    async with serving(Settings(), NOWHERE) as client:
        async with client.get("/api/overview", headers={"Origin": origin}) as answer:
            assert answer.status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_nothing_can_be_changed_here(method: str) -> None:
    async with serving(Settings(), NOWHERE) as client:
        async with client.request(method, "/sessions") as answer:
            assert answer.status == 405
            assert answer.headers["Allow"] == "GET, HEAD"


async def test_with_a_token_every_route_asks_for_it() -> None:
    async with serving(Settings(admin_token=TOKEN), NOWHERE, metrics=lambda: "up 1\n") as client:
        for path in ROUTES:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
                async with client.get(path, headers=headers) as answer:
                    assert answer.status == 401, path
                    assert answer.headers["WWW-Authenticate"] == "Bearer"
        async with client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert (answer.status, await answer.text()) == (200, "up 1\n")


async def test_a_person_logs_in_and_gets_a_cookie_that_is_not_the_token() -> None:
    async with serving(Settings(admin_token=TOKEN), NOWHERE) as client:
        async with client.get("/api?x=1", headers=HTML) as answer:
            assert answer.status == 401
            assert 'value="/api?x=1"' in await answer.text()
        async with client.post("/login", data={"token": "wrong", "next": "/api"}) as answer:
            assert answer.status == 401
            assert "That is not the token" in await answer.text()
        form = {"token": TOKEN, "next": "/api?x=1"}
        async with client.post("/login", data=form, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/api?x=1")
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
        async with client.get("/api", headers=HTML) as answer:
            assert answer.status == 200


async def test_a_forged_or_stale_cookie_is_worth_nothing() -> None:
    async with serving(Settings(admin_token=TOKEN), NOWHERE) as client:
        for value in ("", "1", "99999999999.", "99999999999." + "0" * 64, "x.y", "-1.0", "1²3.0"):
            forged = {"Cookie": f"weir_admin={value}".encode().decode("latin-1")}
            async with client.get("/api", headers=forged) as answer:
                assert answer.status == 401, value


@pytest.mark.parametrize("following", ["//evil.example", "https://evil.example", "/\\evil", "/login", "/a\r\nX: y"])
async def test_login_leads_nowhere_else(following: str) -> None:
    async with serving(Settings(admin_token=TOKEN), NOWHERE) as client:
        form = {"token": TOKEN, "next": following}
        async with client.post("/login", data=form, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_a_login_sent_by_another_page_is_refused() -> None:
    async with serving(Settings(admin_token=TOKEN), NOWHERE) as client:
        async with client.post("/login", data={"token": TOKEN}, headers={"Origin": "http://evil.example"}) as answer:
            assert answer.status == 403


async def test_every_answer_carries_the_headers_that_keep_pages_inert() -> None:
    async with serving(Settings(), NOWHERE) as client:
        for path in ("/", "/api/sessions", "/nowhere", "/healthz", "/login", "/static/weir.css", "/static/weir.js"):
            async with client.get(path, headers=HTML) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == ("same-origin" if path == "/login" else "no-referrer")
                assert answer.headers["Cache-Control"] == ("no-cache" if "/static/" in path else "no-store")


@pytest.mark.parametrize("path", ["/static/../page.py", "/static/%2e%2e/page.py", "/static/", "/static//etc/passwd"])
async def test_static_files_are_only_ours(path: str) -> None:
    async with serving(Settings(), NOWHERE) as client:
        url = client._base_url.join(aiohttp.client.URL(path, encoded=True))  # type: ignore[union-attr]
        async with client.get(url) as answer:
            assert answer.status in (403, 404)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_a_port_that_others_reach_needs_a_token(address: str) -> None:
    with pytest.raises(UsageError, match="WEIR_ADMIN_TOKEN"):
        bind_admin(Settings(admin=address))
    bound = bind_admin(Settings(admin=address, admin_token=TOKEN))
    assert bound is not None
    bound.close()


async def test_a_socket_that_says_nothing_is_no_harm(tmp_path: Path) -> None:
    async with serving(Settings(), NOWHERE) as client:
        port = client._base_url.port  # type: ignore[union-attr]
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        async with client.get("/healthz") as answer:
            assert answer.status == 200
        for sock in idle:
            sock.close()
        await asyncio.sleep(0)
