"""Prints what the parsers make of damaged transcripts, an exchange a line: for test_compiled.py, to compare builds.

    python tests/fuzz/say.py COUNT SEED
"""

import random
import sys
from pathlib import Path

import msgspec

from mcp_weir.keys import Keys
from mcp_weir.traffic.capture import Capture
from mcp_weir.traffic.exchange import Exchange, RequestHead
from mcp_weir.traffic.facts import Fact
from mcp_weir.traffic.reading import Reading

READINGS = [
    Reading(Keys(b"k" * 32, "s"), body_limit=4096),
    Reading(Keys(b"k" * 32, "s"), body_limit=4096, capture=Capture.parse("redacted", ("a:$.b=full",), ("x",)),
            keep_session_ids=True, keep_principal=True, handle_argument="a"),
]
ODD = [b"\0", b"\xff", b"\\ud800", b"\r", b"\n\n", b"null", b"1e400", b"{", b"]", b'"', b"9" * 400, b"[" * 600, b":"]
KINDS = [b"application/json", b"text/event-stream", b"Text/Event-Stream;x", b""]
NAMES = [b"Mcp-Session-Id", b"Authorization", b"Mcp-Name", b"Mcp-Protocol-Version", b"Last-Event-ID", b"User-Agent"]


def transcripts() -> list[tuple[bytes, bytes]]:
    """Bodies of requests and of their answers."""
    found = []
    for path in sorted((Path(__file__).parent.parent / "transcripts").glob("*.http")):
        for block in path.read_bytes().split(b"\n>\n"):
            asked, _, told = block.partition(b"\n<")
            found.append((asked.partition(b"\n\n")[2], told.partition(b"\n\n")[2]))
    return found


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Up to three pieces cut out, repeated or replaced by something odd."""
    for _ in range(chance.randrange(4)):
        at, size = chance.randrange(len(data) + 1), chance.randrange(20)
        piece = chance.choice([b"", data[at : at + size] * 2, chance.choice(ODD), chance.randbytes(3)])
        data = data[:at] + piece + data[at + size :]
    return data


def said(asked: bytes, told: bytes, chance: random.Random) -> bytes:
    """The facts of one exchange, cut anywhere."""
    fields = tuple((name, chance.choice([b"s", b"Bearer a.eyJzdWIiOiIxIn0.c", b"=?base64?dA==?=", b"2026-07-28",
                                         chance.randbytes(4)])) for name in NAMES if chance.random() < 0.4)
    method, path = chance.choice(["POST", "POST", "POST", "GET", "HEAD"]), chance.choice(["/mcp", "/sse", "/messages/"])
    head = RequestHead(method, path, chance.choice(["", "session_id=s", "&" * 200]), fields, None, 1, 0)
    exchange = Exchange(chance.choice(READINGS), 1, head, 1, 0)
    facts: list[Fact] = []
    for piece in pieces(asked, chance):
        exchange.request_chunk(piece, 1)
    exchange.request_end(1)
    exchange.response_head(chance.choice([200, 200, 202, 400, 404]), ((b"Content-Type", chance.choice(KINDS)),), 2)
    for piece in pieces(told, chance):
        facts += exchange.response_chunk(piece, 3)
    return msgspec.json.encode(facts + exchange.sweep() + exchange.close(chance.choice(["complete", "client"]), 4))


def pieces(data: bytes, chance: random.Random) -> list[bytes]:
    size = chance.choice([1, 7, 100, 1 << 20])
    return [data[at : at + size] for at in range(0, len(data), size)]


if __name__ == "__main__":
    chance = random.Random(int(sys.argv[2]))
    sources = transcripts()
    for _ in range(int(sys.argv[1])):
        asked, told = chance.choice(sources)
        print(said(damaged(asked, chance), damaged(told, chance), chance).decode())
