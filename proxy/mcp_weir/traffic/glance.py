"""A tool call and its answer, read at one glance once both are whole. Pure.

Nearly all traffic is one POST with one `tools/call` and one JSON body that answers it. Watching such an exchange step
by step (exchange.py) takes five times as long as reading its two bodies when it is over, and says the same. So the
relay keeps the two bodies (references, not copies) and looks at the end. Whatever is not plain becomes an Exchange,
fed with what was kept: an answer that streams, is coded, refused or in pieces; a client that leaves; a call that takes
long; a body that says more than a call says.

What line() returns is what the Exchange would have returned: a test sends the same traffic both ways.
"""

from mcp_weir.traffic.answers import NO_RESULT_META, outcome_of, read_result, read_result_meta
from mcp_weir.traffic.conversation import MODERN
from mcp_weir.traffic.exchange import Exchange
from mcp_weir.traffic.facts import Answer, Closed, Fact, Request
from mcp_weir.traffic.forms import Params, RequestMeta
from mcp_weir.traffic.identities import identity_of
from mcp_weir.traffic.opening import HeadSaid, RequestHead, opened_of
from mcp_weir.traffic.reading import Reading
from mcp_weir.traffic.requests import NO_META, read_meta, read_params, trace_of
from mcp_weir.traffic.text import clean, json_id, tokens
from mcp_weir.wire.headers import Headers, media_type, mirrored
from mcp_weir.wire.jsonrpc import is_request, is_result, read_message
from mcp_weir.wire.lenient import FAILED
from mcp_weir.wire.message import EMPTY

LARGEST = 64 * 1024  # bytes of a call that are kept until its answer; a longer one is read when it comes, and let go
_CALL = "tools/call"
_CALL_NAME = b"tools/call"


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

    __slots__ = (
        "_answer", "_asked_us", "_body", "_first_us", "_got", "_head", "_mono_us", "_reading", "_said", "_seq",
        "_wall_us",
    )

    def __init__(
        self, reading: Reading, seq: int, head: RequestHead, at: tuple[int, int, int], body: bytes
    ) -> None:
        """`at`: Unix time and the monotonic clock when it opened, the latter when `body` was whole; microseconds."""
        assert head.said is not None
        self._reading, self._seq, self._head, self._said, self._body = reading, seq, head, head.said, body
        self._wall_us, self._mono_us, self._asked_us = at
        self._got: Headers | None = None
        self._answer = b""
        self._first_us = 0

    def response_head(self, status: int, headers: Headers) -> bool:
        """The response's head came. Taken: 200, JSON, not coded."""
        if status != 200:
            return False
        kind = b""
        for name, value in headers:
            size = len(name)
            if size == 12 and not kind and name.lower() == b"content-type":
                kind = value
            elif size == 16 and name.lower() == b"content-encoding":
                return False
        if media_type(kind[:256]) != b"application/json":
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
        made = Exchange(self._reading, self._seq, self._head, self._wall_us, self._mono_us)
        made.request_chunk(self._body, self._asked_us)
        made.request_end(self._asked_us)
        if self._got is not None:
            made.response_head(200, self._got, self._first_us)
        if self._answer:
            made.response_chunk(self._answer, self._first_us)
        return made

    def line(self, mono_us: int, stall_us: int, overhead_us: int) -> list[Fact] | None:
        """The facts of the exchange, which was complete at `mono_us`; None where it is not plain."""
        body, answer = self._body, self._answer
        if body[:1] != b"{" or answer[:1] != b"{":
            return None
        at_us = mono_us - self._mono_us
        try:
            request = self._request(body)
            answered = self._answered(answer, request, at_us) if request is not None else None
        except FAILED:
            return None
        if request is None or answered is None:
            return None
        closed = Closed(
            exchange=self._seq, at_us=at_us, closed_by="complete", status=200, response_kind="json",
            first_byte_us=self._first_us - self._mono_us, request_bytes=len(body), response_bytes=len(answer),
            stall_us=stall_us, overhead_us=overhead_us,
        )
        return [opened_of(self._said, self._head, self._seq, self._wall_us, self._mono_us), request, answered, closed]

    def _request(self, body: bytes) -> Request | None:
        message = read_message(body)
        if message.method != _CALL or not is_request(message) or message.params is EMPTY:
            return None
        params = read_params(message.params)
        meta = NO_META if params.meta is EMPTY else read_meta(params.meta)
        if not _is_plain(params, meta):
            return None
        version = meta.version
        said = clean(version, 32) if version is not None else None
        if not self._heads_agree(said, params.name):
            return None
        arguments = b"" if params.arguments is EMPTY else bytes(params.arguments)
        trace, parent = (None, None) if meta.traceparent is None else trace_of(meta.traceparent)
        return Request(
            exchange=self._seq,
            member=0,
            at_us=self._asked_us - self._mono_us,
            direction="client",
            jsonrpc_id=json_id(self._reading, message.id),
            method=_CALL,
            target=clean(params.name),
            size=len(body),
            tokens_in=tokens(len(arguments)) if arguments else None,
            args_hash=self._reading.keys.digest("args", arguments) if arguments else None,
            protocol_version=said,
            client=None if meta.client is EMPTY and meta.capabilities is EMPTY
            else identity_of(meta.client, meta.capabilities),
            trace_id=trace,
            parent_span_id=parent,
        )

    def _answered(self, body: bytes, asked: Request, at_us: int) -> Answer | None:
        message = read_message(body)
        if not is_result(message):
            return None
        ident = asked.jsonrpc_id
        if bytes(message.id) != ident.encode() and json_id(self._reading, message.id) != ident:
            return None
        result = read_result(message.result)
        meta = NO_RESULT_META if result.meta is EMPTY else read_result_meta(result.meta)
        if result.has_more or meta.related is not EMPTY:
            return None
        server = result.serverInfo if result.serverInfo is not EMPTY else meta.server
        return Answer(
            exchange=self._seq,
            at_us=at_us,
            direction="client",
            jsonrpc_id=ident,
            member=0,
            outcome=outcome_of(result),
            size=len(body),
            tokens_out=tokens(len(bytes(message.result))),
            server=None if server is EMPTY else identity_of(server, result.capabilities),
        )

    def _heads_agree(self, said: str | None, name: object) -> bool:
        """Nothing in the request's head contradicts its body (2026-07-28); a difference is for exchange() to flag."""
        held = self._said.opened.protocol_version
        if (said or held or "") < MODERN:
            return True
        if said is not None and held is not None and held != said:
            return False
        named = self._said.headers.get(b"mcp-name")
        return named is None or not isinstance(name, str) or mirrored(named) == name


def _is_plain(params: Params, meta: RequestMeta) -> bool:
    """No round of a longer exchange (MRTR) and no task."""
    return (
        params.requestState is None and params.inputResponses is EMPTY and params.taskId is None
        and params.task is EMPTY and meta.related is EMPTY
    )
