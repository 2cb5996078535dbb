"""What an upstream can do wrong, as tools: cut at any byte, reset, say nothing, answer early, break its chunks."""

import asyncio
import json

from faults.lab.upstream import Exchange, tool


@tool
async def cut(exchange: Exchange) -> bool:
    """A response framed by `length`, `chunked` or as `sse`, ended after `after` bytes of it; `reset` or closed."""
    how, after = str(exchange.arguments["framing"]), int(exchange.arguments["after"])
    exchange.writer.write(_whole(exchange, how)[:after])
    await exchange.writer.drain()
    await asyncio.sleep(0.02)  # the bytes are on their way before the end is
    if exchange.arguments.get("reset"):
        exchange.writer.transport.abort()
    return False


@tool
async def swallow(exchange: Exchange) -> bool:
    """Executed, then closed without a word: the race that a keep-alive connection always can lose."""
    return False


@tool
async def farewell(exchange: Exchange) -> bool:
    """Answered as if the connection stayed open; then closed after `seconds`."""
    await exchange.answer(exchange.result)
    await asyncio.sleep(float(exchange.arguments["seconds"]))
    return False


@tool
async def garbage(exchange: Exchange) -> bool:
    """Bytes that are no HTTP."""
    exchange.writer.write(b"\x00\xff\x16\x03\x01 garbage\r\n\r\n" * 8)
    await exchange.writer.drain()
    return False


@tool
async def broken_chunks(exchange: Exchange) -> bool:
    """A chunk whose size is no number, after one that was right."""
    await exchange.begin_stream()
    await exchange.chunk(b"event: message\ndata: {}\n\n")
    exchange.writer.write(b"zz\r\nnot a chunk\r\n")
    await exchange.writer.drain()
    return False


@tool
async def informed(exchange: Exchange) -> bool:
    """Two interim responses before the final one (RFC 9110 15.2)."""
    exchange.writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
    await exchange.answer(exchange.result)
    return True


def framed_size(call_id: object, nonce: str, framing: str) -> int:
    """Bytes of a whole response of this framing: where to cut."""
    blank = Exchange(None, None, call_id, {"nonce": nonce}, None, None)  # type: ignore[arg-type]
    return len(_whole(blank, framing))


def _whole(exchange: Exchange, framing: str) -> bytes:
    result = exchange.result
    if framing == "length":
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
            len(result), result)
    kind, parts = b"application/json", [result[:40], result[40:]]
    if framing == "sse":
        progress = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}})
        kind = b"text/event-stream"
        parts = [b"event: message\ndata: %b\n\n" % data for data in (progress.encode(), result)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (kind, chunks)
