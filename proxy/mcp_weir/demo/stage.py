"""Plays conversations: real MCP clients of the `mcp` package, with a ledger for each. Knows nothing of the weir."""

import asyncio
import contextlib
import dataclasses
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from mcp_weir.demo import acts, cast
from mcp_weir.demo.ledger import Ledger
from mcp_weir.demo.wire import NotingTransport

_AT_ONCE = 9
_CONVERSATION_S = 60


@dataclasses.dataclass(slots=True)
class Stage:
    """Where conversations happen: `url` is the weir's, `server_url` the server's own (it forgets sessions there)."""

    url: str
    server_url: str
    seed: int = 0
    pace: float = 1.0
    ledgers: list[Ledger] = dataclasses.field(default_factory=list)
    broken: list[str] = dataclasses.field(default_factory=list)  # clients that met what they cannot live with

    async def play_all(self, parts: Sequence[cast.Part], ended: Callable[[cast.Part], None]) -> None:
        """Every part, several at once, in an order of beginning; `ended` is told of each."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int, part: cast.Part) -> None:
            async with places:
                await self.play(part, random.Random(f"{self.seed}:{number}"))
            ended(part)

        ends = await asyncio.gather(*(one(*it) for it in enumerate(parts)), return_exceptions=True)
        for part, end in zip(parts, ends, strict=True):
            if end is not None:
                self.broken.append(f"{part.name} {part.mode} {part.act.__name__}: {_innermost(end)!r}"[:300])

    async def play(self, part: cast.Part, rng: random.Random) -> None:
        """One part, with whatever ending it has."""
        async with asyncio.timeout(_CONVERSATION_S):
            if part.ending == cast.FORGOTTEN:
                await self._forgotten(part, rng)
                part = dataclasses.replace(part, ending=cast.ORDERLY)
            try:
                async with self._talk(part, rng, self._begin()) as talk:
                    await part.act(talk)
                    if part.ending == cast.MIDSTREAM:
                        await _leave(talk)
            except* httpx2.TransportError:  # its own connections, cut under it
                if part.ending != cast.MIDSTREAM:
                    raise

    async def _forgotten(self, part: cast.Part, rng: random.Random) -> None:
        """The server forgets the session; the client learns it by 404 and would begin anew."""
        ledger = self._begin()
        async with self._talk(part, rng, ledger) as talk:
            await part.act(talk)
            headers = {"mcp-session-id": ledger.session_id or "", "mcp-protocol-version": talk.client.protocol_version}
            async with httpx2.AsyncClient(trust_env=False) as http:
                await http.delete(self.server_url, headers=headers)
            with contextlib.suppress(MCPError):
                await talk.client.call_tool("add", {"a": 1, "b": 1})

    def count(self) -> int:
        """Requests sent so far."""
        return sum(len(ledger.sent) for ledger in self.ledgers)

    def _begin(self) -> Ledger:
        ledger = Ledger()
        self.ledgers.append(ledger)
        return ledger

    @contextlib.asynccontextmanager
    async def _talk(self, part: cast.Part, rng: random.Random, ledger: Ledger) -> AsyncIterator[acts.Talk]:
        transport = NotingTransport(ledger)
        async with httpx2.AsyncClient(
            transport=transport, headers=part.headers, timeout=httpx2.Timeout(30, read=300)
        ) as http:
            streams = streamable_http_client(
                self.url, http_client=http, terminate_on_close=part.ending == cast.ORDERLY
            )
            info = types.Implementation(name=part.name, version=part.version)
            callbacks: Any = acts.answers(rng, self.pace)
            async with Client(streams, mode=part.mode, client_info=info, **callbacks) as client:
                yield acts.Talk(client, transport.cut, rng, self.pace)


async def _leave(talk: acts.Talk) -> None:
    """Go away in the middle of a call: the connections are cut under it, no word is said."""
    call = asyncio.create_task(talk.client.call_tool("count", {"to": 100, "pause": 0.1}))
    await talk.pause(0.8, 1.2)
    await talk.cut()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def quiet() -> None:
    """The SDK logs what this demo does on purpose (refusals, cut connections); nobody wants to read that."""
    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
