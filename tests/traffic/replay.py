"""Transcripts as exchanges: a small HTTP/1.1 reader for tests, and what an Exchange says when it is fed with them."""

import dataclasses
import json
import random
from collections.abc import Iterator
from pathlib import Path

from mcp_weir.traffic.exchange import Exchange, RequestHead
from mcp_weir.traffic.facts import Fact
from mcp_weir.traffic.reading import Reading

FOLDER = Path(__file__).parent.parent / "transcripts"
Headers = tuple[tuple[bytes, bytes], ...]


@dataclasses.dataclass(frozen=True)
class Http:
    """One HTTP exchange as it passed."""

    method: str
    target: str
    headers: Headers
    body: bytes
    status: int
    answer_headers: Headers
    answer: bytes
    ended: str = "complete"  # or: client, upstream
    connection: int = 1


def transcript(path: Path) -> list[Http]:
    return list(_captured(path) if path.suffix == ".jsonl" else _written(path))


def feed(reading: Reading, seq: int, http: Http, cuts: int, chance: random.Random) -> list[Fact]:
    """The facts of one exchange; `cuts` is the size of the pieces, 0 for random ones."""
    path, _, query = http.target.partition("?")
    head = RequestHead(http.method, path, query, http.headers, "127.0.0.1", http.connection, seq)
    exchange = Exchange(reading, seq, head, 1_000_000 * seq, 0)
    for piece in pieces(http.body, cuts, chance):
        exchange.request_chunk(piece, 1)
    exchange.request_end(1)
    exchange.response_head(http.status, http.answer_headers, 2)
    facts = []
    for piece in pieces(http.answer, cuts, chance):
        facts += exchange.response_chunk(piece, 3)
    return facts + exchange.close(http.ended, 4)


def pieces(data: bytes, size: int, chance: random.Random) -> Iterator[bytes]:
    while data:
        n = size or chance.randint(1, 60)
        yield data[:n]
        data = data[n:]


def _captured(path: Path) -> Iterator[Http]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for connection in dict.fromkeys(line["conn"] for line in lines):
        own = [line for line in lines if line["conn"] == connection]
        sent, got = (b"".join(x["data"].encode("latin-1") for x in own if x["dir"] == side) for side in "><")
        eofs = [line["dir"] for line in own if line["dir"].endswith("eof")]
        ended = "client" if eofs[:1] != ["<eof"] else "upstream"
        while sent:
            line, headers, body, sent, _ = _message(sent, {})
            method, target, _ = line.split(" ", 2)
            line, answered, answer, got, whole = _message(got, {"204", "202", "304"})
            yield Http(method, target, headers, body, int(line.split(" ")[1]), answered, answer,
                       "complete" if whole else ended, connection)


def _message(data: bytes, bodiless: set[str]) -> tuple[str, Headers, bytes, bytes, bool]:
    """(first line, headers, body, what follows, whether the body is whole)."""
    head, _, rest = data.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    headers = tuple((k, v.strip()) for k, _, v in (field.partition(b":") for field in fields))
    named = {k.lower(): v for k, v in headers}
    if named.get(b"transfer-encoding") == b"chunked":
        body, rest, whole = _chunks(rest)
        return line.decode(), headers, body, rest, whole
    size = int(named.get(b"content-length", b"0"))
    return line.decode(), headers, rest[:size], rest[size:], len(rest) >= size


def _chunks(rest: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        n = int(size, 16)
        body, rest = body + rest[:n], rest[n + 2 :]
        if n == 0:
            return body, rest, True
    return body, b"", False


def _written(path: Path) -> Iterator[Http]:
    blocks: list[tuple[str, list[str]]] = []
    for line in path.read_text().splitlines():
        if line in (">", "<", "< cut", "< gone"):
            blocks.append((line, []))
        elif blocks and not line.startswith("#"):
            blocks[-1][1].append(line)
    for (_, asked), (mark, answered) in zip(blocks[::2], blocks[1::2], strict=True):
        first, headers, body = _block(asked)
        method, target = first.split(" ")
        status, answer_headers, answer = _block(answered)
        ended = {"<": "complete", "< cut": "upstream", "< gone": "client"}[mark]
        yield Http(method, target, headers, body.strip(), int(status), answer_headers, answer, ended)


def _block(lines: list[str]) -> tuple[str, Headers, bytes]:
    empty = lines.index("") if "" in lines else len(lines)
    headers = tuple((k.encode(), v.strip().encode()) for k, _, v in (line.partition(":") for line in lines[1:empty]))
    return lines[0], headers, "".join(line + "\n" for line in lines[empty + 1 :]).encode()
