"""A tool call and its answer, read at one glance once both are whole. Pure.

Nearly all traffic is one POST with one `tools/call` and one JSON body that answers it. Watching such an exchange step
by step (exchange.py) takes four times as long as reading its two bodies when it is over, and says the same. So the
relay keeps the two bodies (references, not copies) and looks at the end. Whatever is not plain becomes an Exchange,
fed with what was kept: an answer that streams, is coded, refused or in pieces; a client that leaves; a call that takes
long; a body that says more than a call says.

What line() returns is what the Exchange would have returned: a test sends the same traffic both ways.
"""

import msgspec
from msgspec.structs import replace

from mcp_weir.traffic.conversation import MODERN
from mcp_weir.traffic.exchange import Exchange
from mcp_weir.traffic.facts import Answer, Closed, Fact, Request
from mcp_weir.traffic.forms import PlainCall, PlainMeta, PlainParams, PlainResponse, PlainResult, ResultMeta
from mcp_weir.traffic.identities import identity_of
from mcp_weir.traffic.opening import HeadSaid, RequestHead, opened_of
from mcp_weir.traffic.reading import Reading
from mcp_weir.traffic.requests import trace_of
from mcp_weir.traffic.text import clean, json_id, tokens
from mcp_weir.wire.headers import Headers, media_type, mirrored
from mcp_weir.wire.jsonrpc import NUMBER_OR_STRING
from mcp_weir.wire.lenient import FAILED
from mcp_weir.wire.message import EMPTY

LARGEST = 64 * 1024  # bytes of a call that are kept until its answer; a longer one is read when it comes, and let go
_CALL = "tools/call"
_CALL_NAME = _CALL.encode()
_call, _response = msgspec.json.Decoder(PlainCall).decode, msgspec.json.Decoder(PlainResponse).decode
_result, _meta = msgspec.json.Decoder(PlainResult).decode, msgspec.json.Decoder(ResultMeta).decode


def may_be_plain(reading: Reading, said: HeadSaid) -> bool:
    """Exchanges under this head may be read at a glance: by the settings, and by what the head says of its body."""
    return (
        said.opened.http_method == "POST" and said.opened.transport == "http"
        and b"content-encoding" not in said.headers and said.headers.get(b"mcp-method", _CALL_NAME) == _CALL_NAME
        and not reading.capture.active and reading.handle_argument is None
    )


class Glance:
    """An exchange whose request is whole, and plain as far as its head tells. Times are CLOCK_MONOTONIC microseconds.

    response_head() and response_chunk() return False for what they have not taken: then it is for exchange().
    """

    __slots__ = ("_answer", "_at", "_body", "_first_us", "_got", "_head", "_reading", "_seq")

    def __init__(
        self, reading: Reading, seq: int, head: RequestHead, at: tuple[int, int, int], body: bytes
    ) -> None:
        """`at`: Unix time and the monotonic clock when it opened, the latter when `body` was whole; microseconds."""
        self._reading, self._seq, self._head, self._at, self._body = reading, seq, head, at, body
        self._got: Headers | None = None
        self._answer = b""
        self._first_us = 0

    def response_head(self, status: int, headers: Headers, kind: bytes, coded: bool) -> bool:
        """The response's head came, with this Content-Type. Taken: 200, JSON, not coded."""
        if status != 200 or coded or media_type(kind[:256]) != b"application/json":
            return False
        self._got = headers
        return True

    def response_chunk(self, data: bytes, mono_us: int) -> bool:
        """A piece of the response's body. Taken: the first, which is all of most."""
        if self._answer or self._got is None or len(data) > self._reading.body_limit:
            return False
        self._answer, self._first_us = data, mono_us
        return True

    def exchange(self) -> Exchange:
        """The same, watched step by step: to be fed with what has not been taken here."""
        wall_us, mono_us, asked_us = self._at
        made = Exchange(self._reading, self._seq, self._head, wall_us, mono_us)
        made.request_chunk(self._body, asked_us)
        made.request_end(asked_us)
        if self._got is not None:
            made.response_head(200, self._got, self._first_us)
        if self._answer:
            made.response_chunk(self._answer, self._first_us)
        return made

    def line(self, now_us: int, stall_us: int, overhead_us: int) -> list[Fact] | None:
        """The facts of the exchange, which was complete at `now_us`; None where it is not plain."""
        body, answer, head, said, seq = self._body, self._answer, self._head, self._head.said, self._seq
        wall_us, mono_us, asked_us = self._at
        if body[:1] != b"{" or answer[:1] != b"{" or said is None:
            return None
        try:
            call, response = _call(body), _response(answer)
            answered = self._answer_of(call, response, now_us - mono_us)
            request = None if answered is None else self._request_of(
                call.params, said, asked_us - mono_us, answered.jsonrpc_id)
        except FAILED:
            return None
        if answered is None or request is None:
            return None
        closed = Closed(
            exchange=seq, at_us=now_us - mono_us, closed_by="complete", status=200, response_kind="json",
            first_byte_us=self._first_us - mono_us, request_bytes=len(body), response_bytes=len(answer),
            stall_us=stall_us, overhead_us=overhead_us,
        )
        return [opened_of(said, head, seq, wall_us, mono_us), request, answered, closed]

    def _answer_of(self, call: PlainCall, response: PlainResponse, at_us: int) -> Answer | None:
        ident, raw = json_id(self._reading, call.id), bytes(call.id)
        if raw[0] not in NUMBER_OR_STRING or raw != bytes(response.id) and json_id(self._reading, response.id) != ident:
            return None
        result = _result(response.result)
        server = EMPTY
        if result.meta is not EMPTY:
            meta = _meta(result.meta)
            server = meta.server
            if meta.related is not EMPTY:
                return None
        return Answer(
            exchange=self._seq, at_us=at_us, direction="client", jsonrpc_id=ident, member=0,
            outcome="tool_error" if result.isError else "ok", size=len(self._answer),
            tokens_out=tokens(len(bytes(response.result))),
            server=None if server is EMPTY else identity_of(server, EMPTY),
        )

    def _request_of(self, params: PlainParams, said: HeadSaid, at_us: int, ident: str) -> Request | None:
        meta, name = params.meta, params.name
        version = clean(meta.version, 32) if meta is not None and meta.version is not None else None
        if (version or said.opened.protocol_version or "") >= MODERN and not _heads_agree(said, version, name):
            return None
        arguments = bytes(params.arguments)
        fact = Request(
            exchange=self._seq, member=0, at_us=at_us, direction="client", jsonrpc_id=ident,
            method=_CALL, target=clean(name), size=len(self._body),
            tokens_in=tokens(len(arguments)) if arguments else None,
            args_hash=self._reading.keys.digest("args", arguments) if arguments else None,
        )
        return fact if meta is None else _with_meta(fact, meta, version)


def _with_meta(fact: Request, meta: PlainMeta, version: str | None) -> Request:
    trace, parent = (None, None) if meta.traceparent is None else trace_of(meta.traceparent)
    nobody = meta.client is EMPTY and meta.capabilities is EMPTY
    client = None if nobody else identity_of(meta.client, meta.capabilities)
    return replace(fact, protocol_version=version, client=client, trace_id=trace, parent_span_id=parent)


def _heads_agree(said: HeadSaid, version: str | None, name: str) -> bool:
    """Nothing in the request's head contradicts its body (2026-07-28); a difference is for the Exchange to flag."""
    held, named = said.opened.protocol_version, said.headers.get(b"mcp-name")
    if version is not None and held is not None and held != version:
        return False
    return named is None or mirrored(named) == name
