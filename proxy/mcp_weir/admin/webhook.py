"""Alerts to a webhook: a POST when one begins, and one when it is over.

    {"source": "mcp-weir", "status": "firing" | "resolved", "at": "2026-01-31T12:00:00Z", "alerts": [
        {"kind": "error_rate", "severity": "critical", "service": "127.0.0.1:8051", "subject": "", "says": "...",
         "value": 0.5, "threshold": 0.2, "since": "..."}]}

Each POST is tried three times; then the next look, a minute later, says it anew. Its URL may hold a secret: it is never
logged. What a receiver answers is not read.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp

from mcp_weir import log
from mcp_weir.errors import WeirError
from mcp_weir.store.shapes import Alert, to_json

Key = tuple[str, str, str]
_PAUSES_S = (1.0, 5.0)  # between three tries
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Webhook:
    """Posts what begins and what ends among the alerts that `ask` finds; it may raise WeirError."""

    def __init__(self, url: str, ask: Callable[[], Awaitable[tuple[Alert, ...]]], *, every_s: float = 60) -> None:
        self._url, self._ask, self._every_s = url, ask, every_s
        self._said: dict[Key, Alert] = {}
        self._tls = ssl.create_default_context() if urlsplit(url).scheme == "https" else True

    async def run(self) -> None:
        """Look and post until cancelled. A database or receiver that is away is logged, and asked again."""
        await asyncio.sleep(min(self._every_s, 5))  # the database's connections open meanwhile
        while True:
            try:
                await self.look()
            except WeirError as error:
                log.warning("webhook.look", error=str(error))
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """One look: post the news, and remember what was taken."""
        now = {(alert.kind, alert.service, alert.subject): alert for alert in await self._ask()}
        begun = [alert for key, alert in now.items() if key not in self._said]
        over = [alert for key, alert in self._said.items() if key not in now]
        if begun and await self._post("firing", begun):
            self._said.update({(a.kind, a.service, a.subject): a for a in begun})
        if over and await self._post("resolved", over):
            for alert in over:
                del self._said[alert.kind, alert.service, alert.subject]

    async def _post(self, status: str, alerts: list[Alert]) -> bool:
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        body = {"source": "mcp-weir", "status": status, "at": at, "alerts": to_json(alerts)}
        for pause in (*_PAUSES_S, None):
            try:
                async with (
                    aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as http,
                    http.post(self._url, json=body, allow_redirects=False, ssl=self._tls) as answer,
                ):
                    if answer.status < 300:
                        return True
                    said = f"HTTP {answer.status}"
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                said = type(error).__name__
            log.warning("webhook.post", host=urlsplit(self._url).hostname, error=said, last=pause is None)
            if pause is not None:
                await asyncio.sleep(pause)
        return False
