"""What reading one exchange costs the relay, in microseconds of CPU: head, request, answer, facts encoded.

    python benchmarks/exchange_cost.py [--profile]

No sockets and no disk: only `traffic.exchange` and the spool's encoder. The best of several rounds, for whatever else
runs on the machine only ever adds.
"""

import argparse
import cProfile
import json
import pstats
import time
from collections.abc import Callable

import msgspec

from mcp_weir.keys import Keys
from mcp_weir.traffic.exchange import Exchange, RequestHead
from mcp_weir.traffic.glance import Glance
from mcp_weir.traffic.opening import said_by
from mcp_weir.traffic.reading import Reading

READING = Reading(Keys(b"k" * 32, "bench"))
ENCODE = msgspec.json.Encoder().encode
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "claude-code", "version": "2.1.0"},
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}, "sampling": {}},
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
COMMON = (
    (b"Host", b"127.0.0.1:8052"), (b"Accept", b"application/json, text/event-stream"),
    (b"Accept-Encoding", b"gzip, deflate"), (b"Connection", b"keep-alive"), (b"User-Agent", b"python-httpx2/2.16.2"),
    (b"Content-Type", b"application/json"), (b"Content-Length", b"200"),
)
LEGACY = (*COMMON, (b"Mcp-Session-Id", b"03665f6f539748ff8220043a5533f8dd"), (b"Mcp-Protocol-Version", b"2025-11-25"))
MODERN = (
    *COMMON, (b"Authorization", b"Bearer some.opaque.token-of-a-client"), (b"MCP-Protocol-Version", b"2026-07-28"),
    (b"Mcp-Method", b"tools/call"), (b"Mcp-Name", b"add"),
)
GOT = (
    (b"Date", b"Mon, 23 Nov 2026 10:58:40 GMT"), (b"Server", b"uvicorn"), (b"Content-Type", b"application/json"),
    (b"Content-Length", b"140"),
)
RESULT = {"content": [{"type": "text", "text": "3"}], "structuredContent": {"result": 3}, "isError": False}


def call(meta: dict[str, object] | None) -> bytes:
    params = {"name": "add", "arguments": {"a": 1, "b": 2}} | ({"_meta": meta} if meta else {})
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).encode()


def exchange(headers: tuple[tuple[bytes, bytes], ...], body: bytes, answer: bytes, kind: bytes) -> Callable[[], bytes]:
    got = tuple((k, kind if k == b"Content-Type" else v) for k, v in GOT)
    said = said_by(READING, "POST", "/mcp", "", headers)
    head = RequestHead("POST", "/mcp", "", headers, "127.0.0.1", 1, 1, said=said)

    def run() -> bytes:
        watched = Exchange(READING, 1, head, 1_000_000, 0)
        watched.request_chunk(body, 10)
        watched.request_end(10)
        watched.response_head(200, got, 500)
        facts = watched.response_chunk(answer, 510)
        return ENCODE(facts + watched.close("complete", 520))

    return run


def glance(headers: tuple[tuple[bytes, bytes], ...], body: bytes, answer: bytes) -> Callable[[], bytes]:
    """The same, as the relay does where all is plain."""
    said = said_by(READING, "POST", "/mcp", "", headers)
    head = RequestHead("POST", "/mcp", "", headers, "127.0.0.1", 1, 1, said=said)

    def run() -> bytes:
        looked = Glance(READING, 1, head, (1_000_000, 0, 10), body)
        assert looked.response_head(200, GOT, b"application/json", False) and looked.response_chunk(answer, 510)
        line = looked.line(520, 0, 0)
        assert line is not None
        return ENCODE(line)

    return run


ANSWER = json.dumps({"jsonrpc": "2.0", "id": 7, "result": RESULT}).encode()
CASES = {
    "legacy call, JSON, at a glance": glance(LEGACY, call(None), ANSWER),
    "modern call, JSON, at a glance": glance(MODERN, call(META), ANSWER),
    "legacy call, JSON": exchange(LEGACY, call(None), ANSWER, b"application/json"),
    "legacy call, SSE": exchange(LEGACY, call(None), b"event: message\r\ndata: " + ANSWER + b"\r\n\r\n",
                                 b"text/event-stream"),
    "modern call, JSON": exchange(MODERN, call(META), ANSWER, b"application/json"),
}


def cost(run: Callable[[], bytes], rounds: int = 300, times: int = 100) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            run()
        best = min(best, (time.process_time() - began) / times)
    return best * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", action="store_true")
    if parser.parse_args().profile:
        with cProfile.Profile() as profile:
            for _ in range(20_000):
                CASES["legacy call, JSON, at a glance"]()
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    for name, run in CASES.items():
        print(f"{name:30} {cost(run):6.1f} us   {len(run()):5} bytes of facts")


if __name__ == "__main__":
    main()
