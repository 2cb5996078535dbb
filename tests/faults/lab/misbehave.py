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


@tool
async def tool_error(exchange: Exchange) -> bool:
    """An `isError` result that says `text`."""
    content = [{"type": "text", "text": exchange.arguments["text"]}]
    await exchange.answer(_reply(exchange, result={"isError": True, "content": content}))
    return True


@tool
async def rpc_error(exchange: Exchange) -> bool:
    """A JSON-RPC error whose message repeats `text`, as careless servers do, and whose data says `data`."""
    message = f"no such thing as {exchange.arguments['text']}"
    error = {"code": -32602, "message": message, "data": {"more": exchange.arguments.get("data")}}
    await exchange.answer(_reply(exchange, error=error))
    return True


@tool
async def say(exchange: Exchange) -> bool:
    """A result that says `text`."""
    content = [{"type": "text", "text": exchange.arguments["text"]}]
    await exchange.answer(_reply(exchange, result={"content": content}))
    return True


@tool
async def say_events(exchange: Exchange) -> bool:
    """A log message, an event id, a comment and a progress message; then the text as result of the stream."""
    said = exchange.arguments
    text = str(said["text"])
    log = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": said["log"]}}
    progress = {"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": 1, "progress": 1, "message": said["progress"]}}
    await exchange.begin_stream()
    await exchange.chunk(f"id: {said['event']}\nevent: message\ndata: {json.dumps(log)}\n\n".encode())
    await exchange.chunk(f": {said['comment']}\n\nevent: message\ndata: {json.dumps(progress)}\n\n".encode())
    answer = _reply(exchange, result={"content": [{"type": "text", "text": text}]})
    await exchange.chunk(b"event: message\ndata: " + answer + b"\n\n")
    await exchange.chunk(b"")
    return True


@tool
async def say_head(exchange: Exchange) -> bool:
    """A result whose head holds what a server may say there: `fields`, a line each."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in exchange.arguments["fields"].items())
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{lines}Content-Length: {len(exchange.result)}\r\n\r\n"
    exchange.writer.write(head.encode() + exchange.result)
    await exchange.writer.drain()
    return True


@tool
async def http_error(exchange: Exchange) -> bool:
    """A 500 whose body says `text`, as frameworks print their tracebacks."""
    await exchange.answer(f"Traceback: {exchange.arguments['text']}".encode(), "text/plain", "500 Oops")
    return True


@tool
async def flood(exchange: Exchange) -> bool:
    """One event of so many `bytes`."""
    piece, left = b"x" * 65536, int(exchange.arguments["bytes"])
    await exchange.begin_stream()
    await exchange.chunk(b"event: message\ndata: ")
    while left > 0:
        await exchange.chunk(piece[:left])
        left -= len(piece)
    await exchange.chunk(b"\n\nevent: message\ndata: " + exchange.result + b"\n\n")
    await exchange.chunk(b"")
    return True


@tool
async def endless(exchange: Exchange) -> bool:
    """Events of 16 KiB as fast as they are taken."""
    await exchange.begin_stream()
    while True:
        await exchange.chunk(b"event: message\ndata: " + b"y" * 16384 + b"\n\n")
        exchange.upstream.flooded += 16384


def _reply(exchange: Exchange, **said: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": exchange.id, **said}).encode()


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
