"""Alerts are posted when they begin and when they are over, however the receiver and the database fare."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mcp_weir.admin import webhook
from mcp_weir.store.shapes import Alert

SLOW = Alert(kind="slow_tool", severity="warning", service="s", subject="add", says="p95 9000 ms", value=9000.0,
             threshold=2000.0, since=datetime(2026, 1, 1, tzinfo=UTC))


class Receiver:
    """A real server that answers as it is told, 200 once it has nothing else to say."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.bodies: list[Any] = []

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200, headers={"Location": "/elsewhere"})


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Receiver, str]]:
    monkeypatch.setattr(webhook, "_PAUSES_S", (0.01, 0.01))
    made, app = Receiver(), web.Application()
    app.router.add_post("/hook", made.take)
    async with TestServer(app) as server:
        yield made, str(server.make_url("/hook"))


async def test_it_begins_once_and_ends_once(receiver: tuple[Receiver, str]) -> None:
    made, url = receiver
    now: tuple[Alert, ...] = (SLOW,)

    async def ask() -> tuple[Alert, ...]:
        return now

    hook = webhook.Webhook(url, ask)
    await hook.look()
    await hook.look()
    now = ()
    await hook.look()
    await hook.look()
    said = [(body["source"], body["status"], [alert["subject"] for alert in body["alerts"]]) for body in made.bodies]
    assert said == [("mcp-weir", "firing", ["add"]), ("mcp-weir", "resolved", ["add"])]
    assert made.bodies[0]["alerts"][0] == {
        "kind": "slow_tool", "severity": "warning", "service": "s", "subject": "add", "says": "p95 9000 ms",
        "value": 9000.0, "threshold": 2000.0, "since": "2026-01-01T00:00:00Z"}


async def test_a_receiver_that_fails_is_tried_three_times_and_told_anew(receiver: tuple[Receiver, str]) -> None:
    made, url = receiver
    made.statuses = [500, 302, 503, 500]  # a redirect is no success, and is not followed

    async def ask() -> tuple[Alert, ...]:
        return (SLOW,)

    hook = webhook.Webhook(url, ask)
    await hook.look()
    assert len(made.bodies) == 3
    await hook.look()
    assert len(made.bodies) == 5
    await hook.look()
    assert len(made.bodies) == 5


async def test_a_receiver_that_is_away_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_PAUSES_S", (0.01, 0.01))

    async def ask() -> tuple[Alert, ...]:
        return (SLOW,)

    for url in ("http://127.0.0.1:1/secret-token", "no url at all"):
        await webhook.Webhook(url, ask).look()
