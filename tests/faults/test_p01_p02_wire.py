"""P1 and P2 against the running product: the relay tests' own cases, sent to `mcp-weir up` with two workers."""

import socket
import time

import pytest

from faults.lab.table import at_least, at_most, judge
from faults.lab.weir import running
from relay import smuggling
from relay import test_transparency as transparency
from relay.conftest import Peer, Upstream, fixed

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def _seen(port: int, server: Upstream, request: bytes) -> tuple:
    """One exchange as it looked to the upstream and to the client, without what belongs to one hop."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        got = Peer(sock).send(request).response()
    arrived = server.requests[-1]
    status = got.start.split(b" ", 1)[1].strip()
    return arrived.start, arrived.headers, arrived.body, arrived.whole, status, got.headers, got.body, got.whole


@pytest.mark.parametrize(
    "count", [pytest.param(150, marks=pytest.mark.short), pytest.param(500, marks=pytest.mark.full)]
)
def test_generated_exchanges(postgres, tmp_path, count: int) -> None:
    case = [transparency.Case(0)]  # the weir itself asks once, when it starts

    def answer(peer: Peer, request: object) -> bool:
        now = case[0]  # once the answer is out, the next case may stand there
        peer.send(now.response())
        return now.status in transparency.NO_BODY or now.chunked_back != "close"

    server = Upstream(answer)
    different = []
    with running(server.port, postgres.url(postgres.database()), tmp_path, workers=2) as weir:
        until = time.monotonic() + 30
        while not any(b"oauth-protected-resource HTTP" in asked.start for asked in server.requests):
            assert time.monotonic() < until, "the second of its own questions did not come"
            time.sleep(0.02)
        for seed in range(count):
            case[:] = [transparency.Case(seed)]
            request = case[0].request()
            direct, through = _seen(server.port, server, request), _seen(weir.port, server, request)
            if direct != through:
                different.append((seed, [(a, b) for a, b in zip(direct, through, strict=True) if a != b]))
    server.close()
    judge("P1", "exchanges direct and through: target, headers, bodies, status, reason",
          at_most("differences", len(different), 0), bites={"generated exchanges": count}, about=str(different)[:1500])


def test_smuggling_corpus(postgres, tmp_path) -> None:
    cases = list(dict.fromkeys(smuggling.corpus()))
    server = Upstream(fixed())
    with running(server.port, postgres.url(postgres.database()), tmp_path, workers=2) as weir:
        sent = smuggling.send_all(weir.port, server, cases)
    split = []
    for one in sent:
        try:
            smuggling.judge(one)
        except AssertionError:
            split.append(one.data[:200])
    forwarded = sum(any(request.whole for request in one.arrived) for one in sent)
    server.close()
    judge("P2", "smuggling inputs: CL.TE, TE.TE, CL.0, obs-fold, bare LF, chunk sizes and terminators, Expect, heads",
          at_most("split or altered", len(split), 0), at_least("inputs", len(cases), 300),
          bites={"inputs": len(cases), "refused": len(cases) - forwarded},
          notes=f"{forwarded} passed on as one identical request", about=str(split[:3]))
