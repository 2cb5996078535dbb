"""Canaries: words that occur nowhere else, put wherever a secret may stand, and looked for wherever something rests."""

import asyncio
import contextlib
import json
import os
import re

from faults.lab import misbehave  # noqa: F401  its tools
from faults.lab.http import CutShort
from faults.lab.load import Connection

# what `redacted` keeps, and `full` too: values of arguments and results
VALUES = frozenset({
    "an argument", "an argument of a call that fails", "text of a tool error", "text of a result", "result of a stream",
    "an argument repeated in an RPC error", "an argument that becomes an error's data", "an argument said in events",
    "a header of an answer", "query of a Location", "an argument that becomes a traceback",
})
# what only `full` keeps: by its key or its shape it is a secret
SECRETS = frozenset({"an inner password", "a bearer in a text", "a password in a text", "a key in a text",
                     "Set-Cookie", "a session id given", "WWW-Authenticate"})


_WORD = re.compile(rb"canary\d{3}[0-9a-f]{12}")
_HEX = re.compile(b"canary".hex().encode() + rb"(?:3\d){3}(?:3\d|6[1-6]){12}")


class Canaries:
    """Strings that occur nowhere else, each with the place where it was put."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        word = f"canary{len(self.places):03d}{os.urandom(6).hex()}"
        self.places[word] = place
        return word

    def hits(self, where: str, data: bytes) -> list[str]:
        """Places of those that the data holds, plainly or as text that bytea would show. One pass over the data."""
        found = {match[0].decode() for match in _WORD.finditer(data)}
        found |= {bytes.fromhex(match[0].decode()).decode() for match in _HEX.finditer(data)}
        return [f"{self.places[word]} in {where}" for word in sorted(found & self.places.keys())]


def call(name: str, call_id: object, **arguments: object) -> bytes:
    """A tools/call."""
    return asked("tools/call", call_id, name=name, arguments=arguments)


def asked(method: str, call_id: object, **params: object) -> bytes:
    """Any request; a notification where there is no id."""
    said = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if call_id is None else {"id": call_id})
    return json.dumps(said).encode()


def headers(word: Canaries) -> list[tuple[str, str]]:
    """Fields of a request, each with a canary."""
    names = ("X-Api-Key", "Cookie", "Mcp-Session-Id", "Last-Event-ID", "Mcp-Param-Secret", "Proxy-Authorization",
             "X-Forwarded-For", "Referer", "Forwarded", "Via", "Mcp-Name-Of-Ours")
    return [("Authorization", f"Bearer {word('Authorization')}"), *((name, word(name)) for name in names)]


def bodies(word: Canaries) -> list[bytes]:
    """Requests that carry canaries where clients and servers put what is nobody's business."""
    user, token = word("password of a resource URI"), word("query of a resource URI")
    fields = {"Set-Cookie": word("Set-Cookie"), "Mcp-Session-Id": word("a session id given"),
              "WWW-Authenticate": f"Bearer error={word('WWW-Authenticate')}", "X-Debug": word("a header of an answer"),
              "Location": f"/x?{word('query of a Location')}"}
    return [
        call("echo", 1, nonce=word("an argument"), inner={"password": word("an inner password")},
             text=f"Authorization: Bearer {word('a bearer in a text')}",
             more=f"password={word('a password in a text')} sk-{word('a key in a text')}"),
        call("tool_error", 2, nonce="n", text=word("text of a tool error")),
        call("rpc_error", 3, nonce="n", text=word("an argument repeated in an RPC error"),
             data=word("an argument that becomes an error's data")),
        call("say", 4, nonce="n", text=word("text of a result")),
        call("say_events", 5, nonce="n", text=word("result of a stream"), log=word("an argument said in events"),
             event=word("an argument said in events"), comment=word("an argument said in events"),
             progress=word("an argument said in events")),
        call("say_head", 8, nonce="n", fields=fields),
        call("http_error", 9, nonce="n", text=word("an argument that becomes a traceback")),
        call("garbage", 6, nonce=word("an argument of a call that fails")),
        call("echo", "i" * 80 + word("a long JSON-RPC id"), nonce="n"),
        asked("resources/read", 1, uri=f"https://user:{user}@example.test/file?token={token}#x"),
        asked("tools/call", 10, name="echo", arguments={}, _meta={"progressToken": word("a progress token"),
                                                                 "x.test/secret": word("a member of _meta")}),
        asked("completion/complete", 11, argument={"name": "x", "value": word("a value completed")}),
        asked("notifications/cancelled", None, requestId=99, reason=word("a reason to cancel")),
        asked("notifications/progress", None, progressToken=1, progress=1, message=word("a progress message")),
        asked("tools/call", 12, name="echo", arguments={}, requestState=word("requestState"),
              inputResponses={"x": {"action": "accept", "content": {"y": word("an elicited answer")}}}),
        asked("tasks/get", 13, taskId=word("a task id")),
        json.dumps({"jsonrpc": "2.0", "id": 77, "result": {"content": word("a client's answer")}}).encode(),
        json.dumps({"jsonrpc": "2.0", "id": 78, "error": {"code": 1, "message": "no", "data": word("a client's error")}}
                   ).encode(),
        f'{{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {word("a malformed body")}'.encode(),
        b'{"padding":"' + b"x" * 5_000_000 + word("a body too long to be read").encode() + b'"}',
    ]


def bad_heads(word: Canaries) -> list[bytes]:
    """Heads that the guard or the parser refuses: what is said of them goes to the log."""
    return [line.encode("latin-1") for line in (
        f"GET /mcp?{word('target of a bad request')} HTTP/9.9\r\nHost: x\r\n\r\n",
        f"POST /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {word('header of a bad request')}\r\nbad line\r\n\r\n",
        f"POST /mcp HTTP/1.1\r\nHost: x\r\nX: {word('a header that is not UTF-8')}\xff\r\nContent-Length: 0\r\n\r\n",
        f"POST /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: {word('a huge header')}{'a' * 90_000}\r\n\r\n",
        f"{word('a method')} /mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        f"POST {word('target without a slash')} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        f"POST /mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz{word('a chunk size')}\r\n\r\n",
        "POST /mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
        f"X: {word('a trailer')}\r\n\r\n",
        f"GET /other?{word('query of another path')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )]


async def send_all(port: int, word: Canaries) -> int:
    """Everything that may carry a secret, right and wrong; returns how many requests went out."""
    sent = 0
    for body in bodies(word):
        connection = Connection(port, f"/mcp?key={word('query string')}", headers(word))
        with contextlib.suppress(CutShort, OSError):
            await connection.send(body)
            await asyncio.wait_for(connection.answer(), 20)
        connection.abort()
        sent += 1
    for raw in bad_heads(word):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw)
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(reader.read(4096), 2)
        writer.close()
        sent += 1
    return sent
