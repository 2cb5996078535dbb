"""Labelled conversations of the stateless era: who really spoke, beside what an edge could see of it.

A conversation is one client session: it counts its ids from the start. A pause longer than the idle window ends
one by rule, so the label changes there too. Everything follows from the seed.
"""

import dataclasses
import random
import uuid
from collections.abc import Iterator

from mcp_weir.traffic.facts import Answer, Closed, Identity, Line, Opened, Request

from .script import BASE_US

WINDOW_US = 1_800_000_000
_KEEP_ALIVE_US = 5_000_000


@dataclasses.dataclass(slots=True)
class Sent:
    """One request as it was sent, and by which conversation."""

    label: str
    at_us: int
    took_us: int
    worker: int
    connection: int
    method: str
    jsonrpc_id: str
    client: Identity
    user_agent: str | None
    address: str
    principal: bytes | None
    proxied: bool
    trace: str | None
    header_handle: bytes | None
    argument_handle: bytes | None

    def line(self, number: int) -> Line:
        """As one spool line."""
        return [
            Opened(exchange=number, wall_us=self.at_us, mono_us=self.at_us - BASE_US, http_method="POST",
                   protocol_version="2026-07-28", principal_key=self.principal, client_addr=self.address,
                   user_agent=self.user_agent, connection=self.connection, proxied=self.proxied,
                   handle=self.header_handle),
            Request(exchange=number, member=0, at_us=0, direction="client", jsonrpc_id=self.jsonrpc_id,
                    method=self.method, target="add" if self.method == "tools/call" else None, client=self.client,
                    trace_id=self.trace, handle=self.argument_handle),
            Answer(exchange=number, at_us=self.took_us, direction="client", jsonrpc_id=self.jsonrpc_id, member=0),
            Closed(exchange=number, at_us=self.took_us, closed_by="complete", status=200, response_kind="json"),
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """How a client program behaves, and where it stands."""

    ids: str = "int"  # int | int1 | uuid | prefix
    keep_alive: bool = True
    concurrency: int = 1
    discover: bool = True
    proxied: bool = False
    traced: bool = False
    handle: str | None = None  # header | argument
    client: Identity = Identity(name="agent", version="1.0")
    user_agent: str | None = "python-httpx/0.28"
    think_us: int = 3_000_000
    turns: tuple[int, int] = (4, 30)
    workers: int = 2


class Process:
    """A client process: one pool of connections, shared by the conversations in it."""

    def __init__(self, rng: random.Random, kind: Kind, numbers: Iterator[int]) -> None:
        self.rng, self.kind, self._numbers = rng, kind, numbers
        self._pool: list[list[int]] = []  # connection, worker, free from, last used

    def connection(self, at_us: int, took_us: int) -> tuple[int, int]:
        """(connection, worker) for a request: an idle kept one, else a new one."""
        if self.kind.keep_alive:
            for held in reversed(self._pool):
                if held[2] <= at_us <= held[2] + _KEEP_ALIVE_US:
                    held[2] = at_us + took_us
                    return held[0], held[1]
        made = [next(self._numbers), self.rng.randrange(self.kind.workers), at_us + took_us]
        self._pool.append(made)
        return made[0], made[1]


def conversation(
    process: Process, label: str, start_us: int, address: str, principal: bytes | None, pause_us: int = 0
) -> list[Sent]:
    """One conversation from its start; `pause_us` is put in its middle."""
    rng, kind = process.rng, process.kind
    now, number, part = start_us, {"int": 0, "int1": 1}.get(kind.ids, 0), 0
    prefix = f"{rng.randrange(1 << 32):08x}-"
    handle = label.encode()
    sent: list[Sent] = []
    turns = rng.randint(*kind.turns)
    for turn in range(-2 if kind.discover else -1, turns):
        if pause_us and turn == turns // 2:
            now += pause_us
            part += pause_us > WINDOW_US
        trace = f"{rng.getrandbits(128):032x}" if kind.traced else None
        burst = rng.randint(1, kind.concurrency) if turn >= 0 else 1
        method = "tools/call" if turn >= 0 else "tools/list" if turn == -1 else "server/discover"
        ends = now
        for _ in range(burst):
            took = int(rng.lognormvariate(11.5, 1))
            connection, worker = process.connection(now, took)
            at = now + rng.randrange(2_000)
            raw = {"uuid": f'"{uuid.UUID(int=rng.getrandbits(128))}"', "prefix": f'"{prefix}{number}"'}
            sent.append(Sent(
                f"{label}/{part}", at, took, worker, connection, method, raw.get(kind.ids, str(number)), kind.client,
                kind.user_agent, address, principal, kind.proxied, trace,
                handle if kind.handle == "header" else None,
                handle if kind.handle == "argument" and method == "tools/call" else None))
            number += 1
            ends = max(ends, at + took)
        now = ends + int(rng.expovariate(1 / kind.think_us)) + 1_000
    return sent


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """Some conversations at the same place. `together`: how far apart they start, in microseconds."""

    name: str
    kind: Kind
    parallel: int = 4
    together_us: int = 30_000_000
    principals: str = "one"  # one | each | none
    pause_us: int = 0
    in_one_process: bool = False
    restarts: int = 0

    def play(self, seed: int) -> list[Sent]:
        """The requests in order of time."""
        rng = random.Random(f"{self.name}{seed}")
        numbers = iter(range(1, 1 << 30))
        shared = Process(rng, self.kind, numbers)
        sent: list[Sent] = []
        for n in range(self.parallel):
            process = shared if self.in_one_process else Process(rng, self.kind, numbers)
            principal = {"one": b"p-one", "each": f"p-{n}".encode(), "none": None}[self.principals]
            start = BASE_US + rng.randrange(max(1, self.together_us))
            for life in range(1 + self.restarts):
                label = f"{self.name}-{seed}-{n}-{life}"
                part = conversation(process, label, start, "10.0.0.1", principal, self.pause_us)
                sent += part
                start = part[-1].at_us + part[-1].took_us + rng.randint(1_000_000, 20_000_000)
                process = shared if self.in_one_process else Process(rng, self.kind, numbers)
        return sorted(sent, key=lambda s: s.at_us)


SCENARIOS = (
    Scenario("one after another, short pauses", Kind(), 1, pause_us=WINDOW_US // 3, restarts=3),
    Scenario("one, a pause beyond the window", Kind(), 1, pause_us=WINDOW_US * 2),
    Scenario("restarts", Kind(), 1, restarts=5),
    Scenario("parallel, one principal", Kind()),
    Scenario("parallel, several principals", Kind(), principals="each"),
    Scenario("parallel calls inside each", Kind(concurrency=4)),
    Scenario("no keep-alive", Kind(keep_alive=False)),
    Scenario("one process, shared connections", Kind(), in_one_process=True),
    Scenario("shared NAT, anonymous", Kind(), 10, principals="none"),
    Scenario("shared NAT, ids from 1, no discover", Kind(ids="int1", discover=False), 10, principals="none"),
    Scenario("load balancer, 2 at once", Kind(proxied=True), 2),
    Scenario("load balancer, 5 at once", Kind(proxied=True), 5),
    Scenario("load balancer, 5 in lockstep", Kind(proxied=True, think_us=200_000), 5, together_us=100_000),
    Scenario("load balancer, parallel calls", Kind(proxied=True, concurrency=4), 3),
    Scenario("load balancer, each a principal", Kind(proxied=True), 5, principals="each"),
    Scenario("load balancer, anonymous NAT", Kind(proxied=True), 10, principals="none"),
    Scenario("load balancer, traced turns", Kind(proxied=True, traced=True, concurrency=4), 4),
    Scenario("load balancer, ids with a prefix", Kind(proxied=True, ids="prefix"), 5),
    Scenario("load balancer, restarts", Kind(proxied=True), 2, restarts=3),
    Scenario("uuid ids, alone", Kind(ids="uuid"), 1),
    Scenario("uuid ids, parallel", Kind(ids="uuid")),
    Scenario("uuid ids, parallel calls inside each", Kind(ids="uuid", concurrency=4)),
    Scenario("uuid ids, no keep-alive, alone", Kind(ids="uuid", keep_alive=False), 1),
    Scenario("uuid ids, load balancer, parallel", Kind(ids="uuid", proxied=True)),
    Scenario("handle in a header, load balancer", Kind(proxied=True, handle="header"), 5),
    Scenario("handle in a header, uuid ids", Kind(proxied=True, handle="header", ids="uuid"), 5),
    Scenario("handle in calls only", Kind(handle="argument"), 5),
    Scenario("handle in calls only, load balancer", Kind(proxied=True, handle="argument"), 5),
    Scenario("nothing known, no keep-alive", Kind(client=Identity(), user_agent=None, keep_alive=False), 2,
             principals="none"),
    Scenario("nothing known, keep-alive", Kind(client=Identity(), user_agent=None), 3, principals="none"),
)
