"""The longer fuzzing of everything that reads what strangers send: `make fuzz` (coverage-guided, atheris).

Any exception is a finding; so is memory beyond -rss_limit_mb and a single input beyond -timeout. Beside that it holds
what matters: the facts can be encoded and read back, one Closed ends them, Postgres takes their texts.

    python tests/fuzz/fuzz_exchange.py CORPUS_DIR -max_total_time=300
"""

import random
import sys
from pathlib import Path

import atheris

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
TRANSCRIPTS = Path(__file__).parent.parent / "transcripts"
decode = msgspec.json.Decoder(Line).decode


def one(data: bytes) -> None:
    take = atheris.FuzzedDataProvider(data)
    method = take.PickValueInList(["POST", "GET", "DELETE", "HEAD"])
    kind = take.PickValueInList([b"application/json", b"text/event-stream", b"Text/Event-Stream;x", b""])
    coding = take.PickValueInList([b"", b"", b"", b"gzip", b"deflate", b"br", b"zstd", b"gzip, br"])
    status = take.PickValueInList([200, 202, 400, 404, 502])
    cut = take.ConsumeIntInRange(0, 64)
    head = RequestHead(method, take.PickValueInList(["/mcp", "/sse", "/messages/"]), take.ConsumeUnicode(20), (
        (b"Mcp-Session-Id", take.ConsumeBytes(take.ConsumeIntInRange(0, 20))),
        (b"Authorization", b"Bearer " + take.ConsumeBytes(take.ConsumeIntInRange(0, 60))),
        (b"Mcp-Name", take.ConsumeBytes(take.ConsumeIntInRange(0, 20))), (b"Mcp-Method", b"tools/call"),
        (b"Content-Encoding", take.PickValueInList([b"", b"", b"gzip", b"br", b"zstd"])),
    ), None, 1, 0)
    body = take.ConsumeBytes(take.ConsumeIntInRange(0, take.remaining_bytes()))
    got = ((b"Content-Type", kind), (b"Content-Encoding", coding), (b"Mcp-Session-Id", b"s"))
    watch(READINGS[take.ConsumeBool()], head, body, (status, got), (take.ConsumeBytes(take.remaining_bytes()), cut))


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
    """The transcripts as a first corpus: their bodies, behind the bytes that choose everything else."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(1)
    for path in [*TRANSCRIPTS.glob("*.http"), *TRANSCRIPTS.glob("*.jsonl")]:
        for number, block in enumerate(path.read_bytes().replace(b'\\"', b'"').split(b"{\"jsonrpc")[1:60]):
            (folder / f"{path.stem}-{number}").write_bytes(b'{"jsonrpc' + block[:2000] + chance.randbytes(120))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        seeds(Path(sys.argv[1]))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
