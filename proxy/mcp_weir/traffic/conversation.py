"""The JSON-RPC messages of one exchange: who asked, who answered, what is still open. Pure; bounded."""

import msgspec

from mcp_weir.traffic.answers import answer_of, task_seen
from mcp_weir.traffic.asked import Asked, Heard, Passed, Said
from mcp_weir.traffic.facts import Answer, Cancel, Fact
from mcp_weir.traffic.forms import CancelParams, ProgressParams
from mcp_weir.traffic.reading import Reading
from mcp_weir.traffic.requests import request_of
from mcp_weir.traffic.text import json_form, json_id
from mcp_weir.wire.lenient import Lenient
from mcp_weir.wire.message import Message, Messages

MODERN = "2026-07-28"
_SERVER_MEMBERS = 0x80_0000
_TOKENS_MAX = 256


_cancelled, _progressed = Lenient(CancelParams), Lenient(ProgressParams)


class Conversation:
    """Hand it the messages as they pass; `facts` fills up."""

    __slots__ = (
        "facts", "notifications", "progress", "flags", "said", "_reading", "_exchange", "_asked",
        "_twins", "_by_token", "_tokens", "_members", "_server_requests", "refused", "_unnamed",
    )

    def __init__(self, reading: Reading, exchange: int, said: Said) -> None:
        self._reading, self._exchange, self.said = reading, exchange, said
        self.facts: list[Fact] = []
        self.flags: set[str] = set()
        self.notifications = self.progress = 0
        self._asked: dict[str, Asked] = {}  # the client's, unanswered; the server's are answered in other exchanges
        self._twins: dict[str, list[Asked]] = {}
        self._by_token: dict[bytes, Asked] = {}
        self._tokens: dict[bytes, int] = {}  # progress for requests of other exchanges: HTTP+SSE, GET streams
        self._members = self._server_requests = 0
        self.refused = False  # the server answered with an error
        self._unnamed: tuple[Message, Passed, bool] | None = None

    @property
    def requests(self) -> int:
        """How many requests the client made."""
        return self._members

    @property
    def waiting(self) -> list[Asked]:
        """The client's requests that have no answer yet."""
        return [*self._asked.values(), *(twin for twins in self._twins.values() for twin in twins)]

    @property
    def lone(self) -> Asked | None:
        """The client's only request, while it has no answer."""
        return next(iter(self._asked.values())) if self._members == 1 and self._asked else None

    def hear(self, found: Messages, at_us: int, sender: str, status: int | None = None) -> None:
        """Take the messages of one body or event. `status` is given for a response body that is not a stream."""
        if found.malformed:
            self.flags.add("malformed")
        if found.oversized:
            self.flags.add("oversized")
        for message, kind, size in found.members:
            passed = Passed(self._exchange, at_us, sender, size, found.batch and sender == "client")
            if kind == "request":
                self._request(message, passed)
            elif kind == "notification":
                self._notification(message, passed)
            else:
                self._response(message, passed, status)
        if status is not None:
            self.unnamed()

    def unread(self, at_us: int, size: int) -> None:
        """The answer came and could not be read (too large, unknown coding): who asked has been answered."""
        for asked in self.waiting:
            self.facts.append(Answer(
                exchange=self._exchange, at_us=at_us, direction="client", jsonrpc_id=asked.fact.jsonrpc_id,
                member=asked.fact.member, size=size if self._members == 1 else 0, progress_count=self._count(asked),
            ))
        self._asked.clear()
        self._twins.clear()

    def _request(self, message: Message, passed: Passed) -> None:
        if passed.sender == "server":
            member = _SERVER_MEMBERS + (self._server_requests & 0x7F_FFFF)
            self._server_requests += 1
            self.facts.append(request_of(self._reading, message, passed, member).fact)
            return
        asked = request_of(self._reading, message, passed, self._members)
        self._members += 1
        known = self._asked.setdefault(asked.fact.jsonrpc_id, asked)
        if known is not asked:
            asked.fact = msgspec.structs.replace(asked.fact, flags=("duplicate_id",))
            self._twins.setdefault(asked.fact.jsonrpc_id, []).append(asked)
        if asked.token:
            self._by_token[asked.token] = asked
        self.facts.append(asked.fact)

    def _response(self, message: Message, passed: Passed, status: int | None) -> None:
        """Only a request of this exchange and of the other side can be meant; ids repeat everywhere else."""
        if passed.sender == "client":
            self.facts.append(answer_of(self._reading, message, passed, Heard(None, self.said, 0)))
            return
        ident = json_id(self._reading, message.id)
        asked = self._take(ident)
        if asked is None and self.lone is not None and _names_nobody(message, ident):
            self._unnamed = self._unnamed or (message, passed, (status or 0) >= 400)
        elif asked is not None or status is None:  # a body answers its own exchange or nothing; streams carry others'
            self._answer(asked, message, passed, False)

    def unnamed(self) -> None:
        """An error that named no request is the lone one's, once it is known that nothing else answers that."""
        if self._unnamed is None:
            return
        message, passed, refused = self._unnamed
        asked, self._unnamed = self.lone, None
        if asked is not None:
            self._asked.clear()
            self._answer(asked, message, passed, refused)

    def _answer(self, asked: Asked | None, message: Message, passed: Passed, refused: bool) -> None:
        if bytes(message.error)[:1] == b"{":
            self.refused = True
        progress = self._count(asked) if asked else self._tokens.pop(json_form(bytes(message.id)), 0)
        heard = Heard(asked, self.said, progress, refused)
        self.facts.append(answer_of(self._reading, message, passed, heard))

    def _take(self, ident: str) -> Asked | None:
        asked = self._asked.pop(ident, None)
        if self._twins and self._twins.get(ident):
            self._asked[ident] = self._twins[ident].pop(0)
        return asked

    def _count(self, asked: Asked) -> int:
        """Both SDKs take the request's id for its token; without a token all of a lone request's stream is its."""
        return asked.progress if asked.token else self.progress if self._members == 1 else 0

    def _notification(self, message: Message, passed: Passed) -> None:
        self.notifications += 1
        match message.method:
            case "notifications/progress":
                self._progress(message)
            case "notifications/cancelled":
                named = (_cancelled.read(message.params) or CancelParams()).requestId
                if bytes(named):
                    ident = json_id(self._reading, named)
                    self.facts.append(Cancel(
                        exchange=self._exchange, at_us=passed.at_us, direction=passed.sender, jsonrpc_id=ident
                    ))
            case "notifications/tasks" | "notifications/tasks/status":
                seen = task_seen(self._reading, message, passed)
                if seen is not None:
                    self.facts.append(seen)

    def _progress(self, message: Message) -> None:
        self.progress += 1
        token = json_form(bytes((_progressed.read(message.params) or ProgressParams()).progressToken))
        asked = self._by_token.get(token)
        if asked is not None:
            asked.progress += 1
        elif token and len(token) <= 256:
            self._tokens[token] = self._tokens.get(token, 0) + 1
            if len(self._tokens) > _TOKENS_MAX:
                del self._tokens[next(iter(self._tokens))]


def _names_nobody(message: Message, ident: str) -> bool:
    """An error whose `id` is null, absent (JSONRPCErrorResponse, schema of 2025-11-25), or the Python SDK's word."""
    return bytes(message.error)[:1] == b"{" and ident in ("", "null", '"server-error"')
