"""The longer fuzzing of everything that reads what strangers send: `make fuzz` (coverage-guided, atheris).

Any exception is a finding; so is memory beyond -rss_limit_mb and a single input beyond -timeout. Beside that it holds
what matters: the facts can be encoded and read back, one Closed ends them, Postgres takes their texts.

    python tests/fuzz/fuzz_exchange.py CORPUS_DIR -max_total_time=300
"""

import gzip
import random
import sys
import zlib
from pathlib import Path

import atheris
import brotli
import zstandard

with atheris.instrument_imports(include=["mcp_weir.wire", "mcp_weir.traffic"]):
    import msgspec

    from mcp_weir.keys import Keys
    from mcp_weir.traffic.capture import Capture
    from mcp_weir.traffic.exchange import Exchange, RequestHead
    from mcp_weir.traffic.facts import Closed, Fact, Line, Opened
    from mcp_weir.traffic.reading import Reading

READINGS = [
    Reading(Keys(b"k" * 32, "s"), body_limit=4096),
    Reading(Keys(b"k" * 32, "s"), body_limit=4096, capture=Capture.parse("redacted", ("a:$.b=full",), ("x",)),
            keep_session_ids=True, keep_principal=True, handle_argument="a"),
]
CODINGS = [b"", b"", b"", b"", b"gzip", b"deflate", b"br", b"zstd", b"br, gzip"]
QUERIES = ["", "", "session_id=s", "sessionId=%FF", "a=b&sessionid=", "&" * 200]
BETWEEN = b"\n\0\n"
TRANSCRIPTS = Path(__file__).parent.parent / "transcripts"
decode = msgspec.json.Decoder(Line).decode


def one(data: bytes) -> None:
    """What chooses is drawn from the end of the data, so that mutations of a body at its front leave it alone."""
    take = atheris.FuzzedDataProvider(data)
    method = take.PickValueInList(["POST", "POST", "POST", "GET", "DELETE", "HEAD"])
    kind = take.PickValueInList([b"application/json", b"text/event-stream", b"Text/Event-Stream;x", b""])
    asked_in, told_in = take.PickValueInList(CODINGS), take.PickValueInList(CODINGS)
    status, cut = take.PickValueInList([200, 200, 202, 400, 404, 502]), take.ConsumeIntInRange(0, 64)
    head = RequestHead(method, take.PickValueInList(["/mcp", "/sse", "/messages/"]), take.PickValueInList(QUERIES), (
        (b"Mcp-Session-Id", take.PickValueInList([b"", b"s", b"\xff" * 300])),
        (b"Authorization", take.PickValueInList([b"", b"Bearer a.eyJzdWIiOiIxIn0.c", b"Bearer ..", b"Basic \xff"])),
        (b"Mcp-Name", take.PickValueInList([b"t", b"=?base64?dA==?=", b"=?base64?\xff?="])),
        (b"Mcp-Method", b"tools/call"),
        (b"Content-Encoding", asked_in),
    ), None, 1, 0)
    reading = READINGS[take.ConsumeBool()]
    body, _, answer = take.ConsumeBytes(take.remaining_bytes()).partition(BETWEEN)
    got = ((b"Content-Type", kind), (b"Content-Encoding", told_in), (b"Mcp-Session-Id", b"s"))
    if kind.lower().startswith(b"text/") and b"data:" not in answer:
        answer = b"data: " + answer + b"\n\n"
    watch(reading, head, coded(body, asked_in), (status, got), (coded(answer, told_in), cut))


def coded(data: bytes, coding: bytes) -> bytes:
    """Really in that coding: chance would never get there."""
    match coding:
        case b"gzip":
            return gzip.compress(data, 1)
        case b"deflate":
            return zlib.compress(data, 1)
        case b"br":
            return bytes(brotli.compress(data, quality=1))
        case b"zstd":
            return zstandard.compress(data, 1)
    return data


def watch(reading: Reading, head: RequestHead, body: bytes, got: tuple, answer: tuple[bytes, int]) -> None:
    exchange = Exchange(reading, 1, head, 1, 0)
    facts: list[Fact] = []
    for piece in pieces(body, answer[1]):
        exchange.request_chunk(piece, 1)
    exchange.request_end(1)
    exchange.response_head(*got, 2)
    for piece in pieces(*answer):
        facts += exchange.response_chunk(piece, 3)
        assert isinstance(exchange.at_event_boundary, bool)
    facts += exchange.sweep() + exchange.close("complete", 4)
    assert isinstance(facts[0], Opened) and isinstance(facts[-1], Closed)
    text = msgspec.json.encode(facts)
    assert b"\\u0000" not in text.replace(b"\\\\", b"")
    assert decode(text) == facts


def pieces(data: bytes, cut: int) -> list[bytes]:
    return [data[at : at + cut] for at in range(0, len(data), cut)] if cut else [data]


def seeds(folder: Path) -> None:
    """The written transcripts as a first corpus: each request with its answer, and bytes that choose the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(1)
    for path in TRANSCRIPTS.glob("*.http"):
        for number, block in enumerate(path.read_bytes().split(b"\n>\n")):
            asked, _, told = block.partition(b"\n<")
            body, answer = asked.partition(b"\n\n")[2], told.partition(b"\n\n")[2]
            (folder / f"{path.stem}-{number}").write_bytes(body + BETWEEN + answer + chance.randbytes(24))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        seeds(Path(sys.argv[1]))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
