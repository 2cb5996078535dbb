"""P14: secrets never rest. Canaries go everywhere a secret may stand; then everything at rest is searched for them."""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from faults.lab.canaries import SECRETS, VALUES, Canaries, send_all
from faults.lab.records import query
from faults.lab.table import at_least, at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
REPORTS = (["report"], ["sessions", "--json"], ["requests", "--json"], ["errors", "--json"], ["export"])
PAGES = ("/metrics", "/healthz", "/readyz", "/", "/api/overview", "/api/sessions", "/api/requests", "/api/tools")
KEPT = {"off": frozenset[str](), "keys": frozenset[str](), "hashed": frozenset[str](), "redacted": VALUES,
        "full": VALUES | SECRETS}


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
    """All of them: the spool, the key, what is temporary, the log, a core."""
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


async def _searched(laboratory, home: Path, capture: str) -> tuple[Canaries, list[str], dict[str, float], int]:
    """Send, let it be recorded, search; returns the canaries, the hits, the bites, and who may leave a core."""
    async with laboratory(capture=capture, log_level="debug") as lab:
        lab.wire.toxics.blackhole = True  # what is spooled stays on disk to be searched
        word = Canaries()
        sent = await send_all(lab.weir.port, word)
        await asyncio.sleep(0.5)
        hits = [hit for where, data in _files(home).items() for hit in word.hits(where, data)]
        spooled = len(list((lab.weir.data / "spool").rglob("*")))
        lab.wire.toxics.blackhole = False
        lab.wire.reset()
        for _ in range(150):
            if query(lab.url, "SELECT count(*) FROM weir.requests WHERE outcome <> 'running'")[0][0] >= 16:
                break
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        searched = 0
        rest = {**_files(home), "pg_dump": await asyncio.to_thread(lab.postgres.dump, lab.url.rpartition("/")[2]),
                **await asyncio.to_thread(_pages, lab.weir.admin), **await asyncio.to_thread(_reports, lab.url)}
        for where, data in (*rest.items(), *lab.postgres.files()):
            searched += len(data)
            hits += word.hits(where, data)
        cores = sum(resource.prlimit(pid, resource.RLIMIT_CORE)[0] != 0 for pid in lab.weir.pids("relay"))
        reached = sum(bool(lab.upstream.said_to(canary)) for canary in word.places)
        return word, hits, {
            "canaries": len(word.places), "requests": sent, "canaries that reached the upstream": reached,
            "bytes searched": searched, "spool files": spooled,
        }, cores


@pytest.mark.parametrize("capture", ["off", *(pytest.param(policy, marks=pytest.mark.full)
                                             for policy in ("keys", "hashed", "redacted"))])
async def test_canaries(laboratory, tmp_path: Path, capture: str) -> None:
    word, hits, bites, cores = await _searched(laboratory, tmp_path, capture)
    wrong = [hit for hit in hits if not _kept(hit, capture)]
    judge(
        "P14", f"{len(word.places)} canaries, capture {capture}: database, its files and WAL, spool, key, tmp,"
        " log, admin port, reports, export",
        at_most("hits of what is not kept", len(wrong), 0), at_most("relays that may leave a core", cores, 0),
        bites=bites, about=str(wrong[:20]),
    )


def _kept(hit: str, capture: str) -> bool:
    """The policy keeps what stood at this place."""
    return any(hit.startswith(f"{place} in ") for place in KEPT[capture])


@pytest.mark.full
async def test_the_search_finds_what_is_there(laboratory, tmp_path: Path) -> None:
    _, hits, bites, _ = await _searched(laboratory, tmp_path, "full")
    found = {place for place in KEPT["full"] if any(hit.startswith(f"{place} in ") for hit in hits)}
    files = {kind for kind in ("base/", "pg_wal/", ".seg", "pg_dump", "export") if any(kind in hit for hit in hits)}
    judge(
        "P14", "the search itself, with what was asked to be kept (capture full)",
        at_most("canaries found that even this does not keep", sum(not _kept(hit, "full") for hit in hits), 0),
        at_least("places found", len(found), len(KEPT["full"]) - 2),
        at_least("sorts of files found in", len(files), 5),
        bites=bites | {"hits": len(hits)}, about=f"{sorted(KEPT['full'] - found)} {files} {hits[:20]}",
    )
