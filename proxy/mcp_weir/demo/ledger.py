"""What one conversation's client knows it did, noted at its own end of the wire. Pure; knows nothing of the weir.

Each request carries a W3C trace context whose span id is unique: the name by which its row is found again. One name,
one row: a row too many and a row too few cannot cancel out.
"""

import dataclasses
import json
import secrets
from collections import Counter
from typing import Any

LEFT = "left"  # no answer, because the client went away


@dataclasses.dataclass(slots=True)
class Sent:
    """One JSON-RPC request of the client."""

    span: str
    jsonrpc_id: str
    method: str
    target: str | None
    outcome: str = LEFT


@dataclasses.dataclass(slots=True)
class Ledger:
    """One conversation: its requests by span id, the server's questions, exchanges refused without a request."""

    trace: str = dataclasses.field(default_factory=lambda: secrets.token_hex(16))
    era: str = "unknown"
    session_id: str | None = None
    sent: dict[str, Sent] = dataclasses.field(default_factory=dict)
    asked: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    refused: Counter[tuple[str, int]] = dataclasses.field(default_factory=Counter)
    cancelled: set[str] = dataclasses.field(default_factory=set)
    _waiting: dict[str, Sent] = dataclasses.field(default_factory=dict)

    def stamp(self, body: bytes) -> tuple[bytes, list[Sent]]:
        """The body with a trace context in each request, and these requests."""
        message = json.loads(body)
        requests = [self._request(one) for one in (message if isinstance(message, list) else [message])]
        found = [request for request in requests if request is not None]
        return (json.dumps(message).encode() if found else body), found

    def answered(self, message: Any) -> None:
        """A message from the server, on whichever stream it came."""
        if not isinstance(message, dict) or "id" not in message:
            return
        number = json.dumps(message["id"])
        if "method" in message:
            self.asked[number, str(message["method"])] += 1
        elif (request := self._waiting.pop(number, None)) is not None:
            request.outcome = _outcome(message)

    def failed(self, http_method: str, status: int, requests: list[Sent]) -> None:
        """An exchange was answered with an HTTP error."""
        for request in requests:
            if request.outcome == LEFT:
                request.outcome = "http_error"
                self._waiting.pop(request.jsonrpc_id, None)
        if not requests:
            self.refused[http_method, status] += 1

    def outcomes(self, request: Sent) -> frozenset[str]:
        """The outcomes that are true of a request."""
        if request.jsonrpc_id in self.cancelled and request.outcome in (LEFT, "rpc_error"):
            return frozenset({"cancelled"})  # some servers confirm it with an error
        if request.outcome != LEFT:
            return frozenset({request.outcome})
        if self.era == "modern":
            return frozenset({"cancelled"})
        return frozenset({"client_aborted", "running"})  # an answer may still wait for a resumed stream

    def _request(self, message: Any) -> Sent | None:
        if not isinstance(message, dict):
            return None
        params = message.get("params") or {}
        if message.get("method") == "notifications/cancelled":
            self.cancelled.add(json.dumps(params.get("requestId")))
        if "method" not in message or "id" not in message:
            return None
        span = secrets.token_hex(8)
        meta = {**(params.get("_meta") or {}), "traceparent": f"00-{self.trace}-{span}-01"}
        message["params"] = {**params, "_meta": meta}
        target = params.get("name") if message["method"] in ("tools/call", "prompts/get") else params.get("uri")
        request = Sent(span, json.dumps(message["id"]), message["method"], target)
        self.sent[span] = self._waiting[request.jsonrpc_id] = request
        self.era = "modern" if "io.modelcontextprotocol/protocolVersion" in meta else "legacy"
        return request


def _outcome(message: dict[str, Any]) -> str:
    if "error" in message:
        return "rpc_error"
    result = message.get("result") or {}
    if result.get("resultType") == "input_required":
        return "input_required"
    return "tool_error" if result.get("isError") is True else "ok"
