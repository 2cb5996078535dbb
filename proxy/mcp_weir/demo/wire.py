"""A client's HTTP transport that stamps what it sends and notes what it gets. Knows nothing of the weir."""

import json
from collections.abc import AsyncIterator

import httpx2

from mcp_weir.demo.ledger import Ledger, Sent

_SESSION = "mcp-session-id"


class NotingTransport(httpx2.AsyncBaseTransport):
    """Real HTTP, with a ledger beside it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._http = httpx2.AsyncHTTPTransport(retries=0)
        self._cut = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, stamped; its response is noted while the client reads it."""
        if self._cut:
            raise httpx2.ConnectError("this client is gone", request=request)
        body = await request.aread()
        sent: list[Sent] = []
        if request.method == "POST":
            body, sent = self._ledger.stamp(body)
        headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"content-length"]
        stamped = httpx2.Request(
            request.method, request.url, headers=headers, content=body or None, extensions=request.extensions
        )
        response = await self._http.handle_async_request(stamped)
        self._ledger.session_id = response.headers.get(_SESSION) or self._ledger.session_id
        failed = (request.method, response.status_code, sent) if response.status_code >= 400 else None
        events = response.headers.get("content-type", "").startswith("text/event-stream")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Noted(response.stream, self._ledger, events, failed)
        return response

    async def cut(self) -> None:
        """Close every connection, running exchanges included, and open none again."""
        self._cut = True
        await self._http.aclose()

    async def aclose(self) -> None:
        """Close what is open."""
        await self._http.aclose()


class _Noted(httpx2.AsyncByteStream):
    def __init__(
        self, stream: httpx2.AsyncByteStream, ledger: Ledger, events: bool, failed: tuple[str, int, list[Sent]] | None
    ) -> None:
        self._stream, self._ledger, self._events, self._failed = stream, ledger, events, failed
        self._rest = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._rest += chunk
            if self._events:
                self._take_events()
            yield chunk
        if not self._events and self._rest:
            self._note(self._rest)
        self._note_failure()

    async def aclose(self) -> None:
        self._note_failure()
        await self._stream.aclose()

    def _note_failure(self) -> None:
        if self._failed is not None:
            self._ledger.failed(*self._failed)
            self._failed = None

    def _take_events(self) -> None:
        events, self._rest = events_of(self._rest)
        for data in events:
            self._note(data)

    def _note(self, body: bytes) -> None:
        try:
            said = json.loads(body)
        except ValueError:
            return
        for message in said if isinstance(said, list) else [said]:
            self._ledger.answered(message)


def events_of(stream: bytes) -> tuple[list[bytes], bytes]:
    """The data of whole server-sent events that have any, and what is left for the next chunk."""
    *whole, rest = stream.replace(b"\r\n", b"\n").split(b"\n\n")
    found = []
    for event in whole:
        data = [line[5:].lstrip() for line in event.split(b"\n") if line.startswith(b"data:")]
        if any(data):
            found.append(b"\n".join(data))
    return found, rest
