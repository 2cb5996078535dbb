"""P14: secrets never rest. Canaries go everywhere a secret may stand; then everything at rest is searched for them."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from faults.lab import misbehave  # noqa: F401  its tools
from faults.lab.http import CutShort
from faults.lab.load import Connection
from faults.lab.records import query
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
REPORTS = (["report"], ["sessions", "--json"], ["requests", "--json"], ["errors", "--json"], ["export"])
SEGMENT_S = 20  # a segment that is asked to end does so with the next heartbeat, and goes with its commit
PAGES = ("/metrics", "/healthz", "/readyz", "/", "/api/overview", "/api/sessions", "/api/requests", "/api/tools")


class Canaries:
    """Strings that occur nowhere else, each with the place where it was put."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        word = f"canary{len(self.places):03d}{os.urandom(6).hex()}"
        self.places[word] = place
        return word

    def hits(self, where: str, data: bytes) -> list[str]:
        """Which canaries the data holds, plainly or as text that bytea or base64 would show."""
        found = []
        for word, place in self.places.items():
            if word.encode() in data or word.encode().hex().encode() in data:
                found.append(f"{place} in {where}")
        return found


def _call(name: str, call_id: object, **arguments: object) -> bytes:
    return json.dumps(
        {"jsonrpc": "2.0", "id": call_id, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    ).encode()


def _headers(word: Canaries) -> list[tuple[str, str]]:
    names = ("X-Api-Key", "Cookie", "Mcp-Session-Id", "Last-Event-ID", "Mcp-Param-Secret", "Proxy-Authorization",
             "X-Forwarded-For", "Referer")
    return [("Authorization", f"Bearer {word('Authorization')}"), *((name, word(name)) for name in names)]


def _bodies(word: Canaries) -> list[bytes]:
    read = {"jsonrpc": "2.0", "id": 1, "method": "resources/read",
            "params": {"uri": f"https://example.test/file?token={word('query of a resource URI')}#x"}}
    return [
        _call("echo", 1, nonce=word("an argument"), inner={"password": word("an inner argument")}),
        _call("tool_error", 2, nonce="n", text=word("text of a tool error")),
        _call("rpc_error", 3, nonce="n", text=word("an argument repeated in an RPC error")),
        _call("say", 4, nonce="n", text=word("text of a result")),
        _call("say_events", 5, nonce="n", text=word("text in an event")),
        _call("garbage", 6, nonce=word("argument of a call that fails")),
        _call("echo", "i" * 80 + word("a long JSON-RPC id"), nonce="n"),
        json.dumps(read).encode(),
        f'{{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {word("a malformed body")}'.encode(),
        b'{"padding":"' + b"x" * 5_000_000 + word("a body too long to be read").encode() + b'"}',
    ]


async def _send_all(port: int, word: Canaries) -> int:
    """Everything that may carry a secret, right and wrong; returns how many requests went out."""
    sent = 0
    for body in _bodies(word):
        connection = Connection(port, f"/mcp?key={word('query string')}", _headers(word))
        with contextlib.suppress(CutShort, OSError):
            await connection.send(body)
            await asyncio.wait_for(connection.answer(), 20)
        connection.abort()
        sent += 1
    for raw in _bad_heads(word):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw)
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(reader.read(4096), 2)
        writer.close()
        sent += 1
    return sent


def _bad_heads(word: Canaries) -> list[bytes]:
    """Heads that the guard or the parser refuses: what is said of them goes to the log."""
    return [line.encode("latin-1") for line in (
        f"GET /mcp?{word('target of a bad request')} HTTP/9.9\r\nHost: x\r\n\r\n",
        f"POST /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {word('header of a bad request')}\r\nbad line\r\n\r\n",
        f"POST /mcp HTTP/1.1\r\nHost: x\r\nX: {word('a header that is not UTF-8')}\xff\r\nContent-Length: 0\r\n\r\n",
        f"POST /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: {word('a huge header')}{'a' * 90_000}\r\n\r\n",
        f"{word('a method')} /mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        f"POST {word('target without a slash')} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        f"POST /mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz{word('a chunk size')}\r\n\r\n",
    )]


def _reports(url: str) -> dict[str, bytes]:
    """What reading commands print."""
    env = {**os.environ, "WEIR_DATABASE_URL": url}
    said = {}
    for command in REPORTS:
        done = subprocess.run([sys.executable, "-m", "mcp_weir", *command], env=env, capture_output=True, timeout=60)
        said[" ".join(command)] = done.stdout + done.stderr
    return said


def _pages(admin: int) -> dict[str, bytes]:
    """What the admin port shows."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    said = {}
    for path in PAGES:
        with contextlib.suppress(OSError):
            try:
                said[path] = opener.open(f"http://127.0.0.1:{admin}{path}", timeout=10).read()
            except urllib.error.HTTPError as error:
                said[path] = error.read()
    return said


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def _searched(laboratory, capture: str) -> tuple[Canaries, list[str], dict[str, float]]:
    """Send, let it be recorded, search; returns the canaries, the hits and the bites."""
    async with laboratory(capture=capture, log_level="debug") as lab:
        lab.wire.toxics.blackhole = True  # what is spooled stays on disk to be searched
        word = Canaries()
        sent = await _send_all(lab.weir.port, word)
        await asyncio.sleep(0.5)
        spooled = _files(lab.weir.data)
        lab.wire.toxics.blackhole = False
        lab.wire.reset()
        for _ in range(100):
            if query(lab.url, "SELECT count(*) FROM weir.requests")[0][0] >= 8:
                break
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        rest = {"the log": lab.weir.log.read_bytes(), **spooled,
                "pg_dump": await asyncio.to_thread(lab.postgres.dump, lab.url.rpartition("/")[2]),
                **await asyncio.to_thread(_pages, lab.weir.admin), **await asyncio.to_thread(_reports, lab.url)}
        hits = [hit for where, data in rest.items() for hit in word.hits(where, data)]
        reached = sum(bool(lab.upstream.said_to(canary)) for canary in word.places)
        return word, hits, {
            "canaries": len(word.places), "requests": sent, "canaries that reached the upstream": reached,
            "bytes searched": sum(map(len, rest.values())), "spool files": len(spooled),
        }


@pytest.mark.parametrize("capture", ["off", pytest.param("hashed", marks=pytest.mark.full)])
async def test_canaries(laboratory, capture: str) -> None:
    word, hits, bites = await _searched(laboratory, capture)
    judge(
        "P14", f"{len(word.places)} canaries, capture {capture}: database, spool, log, admin port, reports, export",
        at_most("hits", len(hits), 0), bites=bites, about=str(hits[:20]),
    )


@pytest.mark.full
async def test_the_search_finds_what_is_there(laboratory) -> None:
    _, hits, bites = await _searched(laboratory, "full")
    judge(
        "P14", "the search itself, with what was asked to be kept (capture full)",
        at_most("canaries found outside arguments and results", sum("argument" not in h and "text" not in h and
                "URI" not in h for h in hits), 0),
        bites=bites | {"hits": len(hits)}, about=str(hits[:20]),
    )


async def _say(port: int, token: str, word: Canaries, count: int) -> list[str]:
    """Calls of one principal, each with a canary; returns the canaries."""
    connection, said = Connection(port, headers=[("Authorization", f"Bearer {token}")]), []
    for number in range(count):
        said.append(word(f"argument {number} of {token}"))
        await connection.send(_call("say", number, nonce="n", text=said[-1]))
        await connection.answer()
    connection.abort()
    return said


async def _rows(url: str, count: int) -> None:
    for _ in range(150):
        if query(url, "SELECT count(*) FROM weir.requests WHERE target = 'say' AND outcome = 'ok'")[0][0] >= count:
            return
        await asyncio.sleep(0.2)


async def test_a_principal_is_forgotten_in_tables_and_in_the_spool(laboratory) -> None:
    async with laboratory(capture="full") as lab:
        word = Canaries()
        kept, erased = await _say(lab.weir.port, "keeper", word, 5), await _say(lab.weir.port, "leaver", word, 5)
        await _rows(lab.url, 10)
        stored = word.hits("the database", await asyncio.to_thread(lab.postgres.dump, lab.url.rpartition("/")[2]))
        lab.wire.toxics.blackhole = True
        kept += await _say(lab.weir.port, "keeper", word, 5)
        erased += await _say(lab.weir.port, "leaver", word, 5)
        env = {**os.environ, "WEIR_DATABASE_URL": lab.url, "WEIR_DATA_DIR": str(lab.weir.data),
               "WEIR_UPSTREAM": f"http://127.0.0.1:{lab.upstream.port}/mcp"}
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-m", "mcp_weir", "db", "forget", "Bearer leaver"], env=env,
            capture_output=True, timeout=60,
        )
        lab.wire.toxics.blackhole = False
        lab.wire.reset()
        await _rows(lab.url, 10)
        await asyncio.sleep(2)
        rest = await asyncio.to_thread(lab.postgres.dump, lab.url.rpartition("/")[2])
        began, spool = time.monotonic(), b"?"
        while any(canary.encode() in spool for canary in erased) or spool == b"?":
            if time.monotonic() - began > SEGMENT_S:
                break
            await asyncio.sleep(2)
            spool = b"".join(_files(lab.weir.data / "spool").values())
        judge(
            "P14", "db forget of one principal, half of it still in the spool",
            at_most("its canaries in the database", sum(canary.encode() in rest for canary in erased), 0),
            at_most(f"its canaries in the spool after {SEGMENT_S} s",
                    sum(canary.encode() in spool for canary in erased), 0),
            at_most("others' canaries lost", sum(canary.encode() not in rest for canary in kept), 0),
            at_most("exit code", done.returncode, 0),
            bites={"canaries stored before": len(stored), "erased": len(erased)},
            notes=f"gone from the spool's files {time.monotonic() - began:.0f} s after the commit",
            about=f"{done.stdout.decode()} {done.stderr.decode()}",
        )
