"""Health says what is wrong; a database that is away is said in a person's words and comes back by itself."""

import asyncio
import contextlib
import time
from pathlib import Path

import psycopg
import pytest
from aiohttp.test_utils import make_mocked_request
from tests.admin.admin_server import serving

from mcp_weir.admin import health
from mcp_weir.app import admin
from mcp_weir.config import Settings
from mcp_weir.recorder.drain import State

NOWHERE = "postgresql://someone:secret@127.0.0.1:1/none"
HTML = {"Accept": "text/html"}
GOOD = State(connected=True)


async def test_ready_when_upstream_database_and_spool_are(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    seen: list[bytes] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(upstream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Settings(upstream=f"http://127.0.0.1:{port}/mcp", data_dir=tmp_path)
    async with server, serving(settings, database_url, GOOD) as client:
        async with client.get("/readyz") as answer:
            said = await answer.json()
        assert (answer.status, said["status"]) == (200, "ready")
        assert {name for name, check in said["checks"].items() if check["ok"]} == {
            "upstream", "database", "spool", "recorder"
        }
        await asyncio.sleep(0.05)
    assert seen == [b""], "a probe never sends a request: it would make a session"


async def test_not_ready_says_why_and_hides_the_password(tmp_path: Path) -> None:
    state = State(connected=False, last_error="OperationalError: refused")
    settings = Settings(upstream="http://127.0.0.1:1/mcp", data_dir=tmp_path / "none", keep_free=1)
    async with serving(settings, NOWHERE, state) as client:
        async with client.get("/readyz") as answer:
            said = await answer.json()
            assert answer.status == 503
            assert "secret" not in await answer.text()
        reasons = {name: check["reason"] for name, check in said["checks"].items()}
        assert "refuses connections" in reasons["upstream"]
        # the pool says so, or the probe, which on a starved machine is the first to give up
        assert any(said in reasons["database"] for said in ("does not answer", "no answer within"))
        assert "No such file" in reasons["spool"]
        assert reasons["recorder"] == "OperationalError: refused"
        async with client.get("/healthz") as answer:
            assert answer.status == 200


async def test_a_full_disk_is_a_reason(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    async with serving(Settings(data_dir=tmp_path, keep_free=1 << 60), database_url, GOOD) as client:
        async with client.get("/readyz") as answer:
            assert answer.status == 503
            assert "--keep-free" in (await answer.json())["checks"]["spool"]["reason"]


@pytest.mark.parametrize(("state", "says"), [
    (State(connected=True, schema_problem="the schema is newer"), "the schema is newer"),
    (State(connected=True, passed_at_s=time.monotonic() - 1000), "has not answered the recorder for"),
    (State(connected=True, lag_bytes=8 << 30), "--spool-max"), (State(), "no database yet"),
])
async def test_a_recorder_that_cannot_record_is_a_reason(
    state: State, says: str, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "spool").mkdir()
    async with serving(Settings(data_dir=tmp_path, keep_free=1), database_url, state) as client:
        async with client.get("/readyz") as answer:
            assert answer.status == 503
            failing = {name: check for name, check in (await answer.json())["checks"].items() if not check["ok"]}
        assert set(failing) == {"recorder"} and says in failing["recorder"]["reason"]


async def test_metrics_are_what_the_recorder_says(tmp_path: Path) -> None:
    state = State(connected=True, rows=12, quarantined=3, lag_bytes=7)
    async with serving(Settings(), NOWHERE, state, metrics=lambda: admin.state_metrics(lambda: state)) as client:
        async with client.get("/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            lines = (await answer.text()).splitlines()
    assert {"weir_recorder_connected 1", "weir_recorder_rows_total 12", "weir_spool_lag_bytes 7"} <= set(lines)
    assert "weir_recorder_quarantined_total 3" in lines


@pytest.mark.parametrize("path", ["/", "/sessions", "/tools", "/recording"])
async def test_pages_without_a_database_say_so(path: str) -> None:
    async with serving(Settings(), NOWHERE) as client:
        async with client.get(path, headers=HTML) as answer:
            text = await answer.text()
            assert answer.status == 503
            assert "The record cannot be read just now" in text and "mcp-weir doctor" in text
            assert "Traceback" not in text and "secret" not in text
        async with client.get(f"/api{path if path != '/' else '/overview'}") as answer:
            assert answer.status == 503
            assert "database" in (await answer.json())["error"]


async def test_an_empty_database_says_that_the_recorder_makes_the_schema(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("DROP DATABASE IF EXISTS bare")
        conn.execute("CREATE DATABASE bare")
    async with serving(Settings(), postgres_url.replace("/postgres?", "/bare?")) as client:
        async with client.get("/readyz") as answer:
            assert "is it running?" in (await answer.json())["checks"]["database"]["reason"]


async def test_terminated_connections_are_replaced_unseen(database_url: str) -> None:
    async with serving(Settings(), database_url) as client:
        for _ in range(3):
            async with client.get("/") as answer:
                assert answer.status == 200
            with psycopg.connect(database_url, autocommit=True) as conn:
                ended = conn.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                ).fetchone()
                assert ended is not None and ended[0] >= 1


async def test_a_probe_that_cannot_even_be_cancelled_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a query to a frozen database: cancelled, it waits ten seconds more for the server's word."""
    monkeypatch.setattr(health, "_DEADLINE_S", 0.2)
    begun, thaw = 0, asyncio.Event()

    async def frozen() -> str | None:
        nonlocal begun
        begun += 1
        while not thaw.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await thaw.wait()
        return None

    async def well() -> str | None:
        return None

    ready = health.readyz({"database": frozen, "upstream": well})
    request = make_mocked_request("GET", "/readyz")
    for _ in range(3):
        answer = await asyncio.wait_for(ready(request), 5)
        assert answer.status == 503 and b"no answer within 0.2 s" in (answer.body or b"")
    assert begun == 1
    thaw.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (await ready(request)).status == 200
