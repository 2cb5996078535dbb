"""How true derived sessions are: the table of docs/sessions.md. Run with `make truth`."""

import collections
import dataclasses
import itertools
import sys
import uuid
from collections.abc import Iterable

from mcp_weir.attribution.conversations import Scope
from mcp_weir.attribution.derived import Queued, settle
from mcp_weir.attribution.evidence import asked_of, belongs, counted_of, lead_key, scope_of
from mcp_weir.attribution.joins import Joiner
from mcp_weir.attribution.verdicts import Row

from .script import origin
from .workload import SCENARIOS, WINDOW_US, Scenario, Sent

SEEDS = 20
FAR_US = 1 << 62


@dataclasses.dataclass(slots=True)
class Placed:
    """One request: the truth, and what was derived."""

    label: str
    principal: bytes | None
    session: uuid.UUID
    source: str
    evidence: str


@dataclasses.dataclass(slots=True)
class Score:
    """Shares from 0 to 1. B-cubed weighs every request, the pairwise figures every pair of requests."""

    requests: int
    precision: float
    recall: float
    bcubed_precision: float
    bcubed_recall: float
    across_principals: int  # pairs


def rows_of(sent: list[Sent]) -> tuple[list[Row], dict[uuid.UUID, Sent]]:
    """Through the joins, as a recorder would."""
    joiner = Joiner()
    for number, one in enumerate(sent, 1):
        joiner.take(origin(one.worker), one.line(number))
    rows = [row for row, _ in joiner.settle(FAR_US).rows]
    by_time = sorted(rows, key=lambda row: row.request_key.int & (0xFF_FFFF_FFFF << 24))
    return rows, {row.request_key: one for row, one in zip(by_time, sent, strict=True)}


def queue(rows: Iterable[Row]) -> dict[bytes, list[Queued]]:
    """As the recorder queues them, by scope."""
    scopes: dict[bytes, list[Queued]] = collections.defaultdict(list)
    for number, row in enumerate(rows):
        at_us = round(row.started_at.timestamp() * 1e6)
        if belongs(row):
            asked, counted = asked_of(row, at_us), counted_of(row, at_us)
            queued = Queued(number, at_us, row.request_key, lead_key(row.request_key), asked, counted)
            scopes[scope_of(row)].append(queued)
    return scopes


def derive(sent: list[Sent]) -> list[Placed]:
    """Everything settled at once."""
    rows, truth = rows_of(sent)
    placed = []
    for queued in queue(rows).values():
        scope = Scope()
        found = settle(scope, queued, {}, FAR_US, WINDOW_US)
        by_key = {conversation.key: conversation for conversation, _ in found.sessions}
        for key, (_, session) in found.mapping.items():
            one = truth[key]
            c = by_key[session]
            placed.append(Placed(one.label, one.principal, session, c.source, c.evidence))
    return placed


def score(placed: list[Placed]) -> Score:
    """Of everything placed."""
    both = collections.Counter((p.session, p.label) for p in placed)
    sessions = collections.Counter(p.session for p in placed)
    labels = collections.Counter(p.label for p in placed)
    together = sum(n * (n - 1) for n in both.values())
    claimed = sum(n * (n - 1) for n in sessions.values())
    true = sum(n * (n - 1) for n in labels.values())
    n = len(placed)
    principals: dict[uuid.UUID, collections.Counter[bytes | None]] = collections.defaultdict(collections.Counter)
    for p in placed:
        principals[p.session][p.principal] += 1
    across = sum(a * b for held in principals.values() for a, b in itertools.combinations(held.values(), 2))
    return Score(
        n, together / claimed if claimed else 1.0, together / true if true else 1.0,
        sum(c * c / sessions[key[0]] for key, c in both.items()) / n,
        sum(c * c / labels[key[1]] for key, c in both.items()) / n, across)


def play(scenario: Scenario, seeds: int = SEEDS) -> list[Placed]:
    """A scenario several times over."""
    placed = []
    for seed in range(seeds):
        for one in derive(scenario.play(seed)):
            one.session = uuid.uuid5(one.session, f"{scenario.name}{seed}")  # stories share their request keys
            placed.append(one)
    return placed


def _line(name: str, found: Score) -> str:
    return (f"| {name} | {found.requests} | {found.precision:.3f} | {found.recall:.3f} | {found.bcubed_precision:.3f} |"
            f" {found.bcubed_recall:.3f} | {found.across_principals} |")


def main() -> int:
    """Print the tables; 1 when principals were merged."""
    head = "| | requests | precision | recall | B³ precision | B³ recall | across principals |\n" + "|---" * 7 + "|"
    everything: list[Placed] = []
    print(head)
    for scenario in SCENARIOS:
        placed = play(scenario)
        everything += placed
        print(_line(scenario.name, score(placed)), flush=True)
    for title, key in (("by rung", lambda p: p.source), ("by rung and weakest evidence",
                                                          lambda p: f"{p.source}, {p.evidence}")):
        print(f"\n{title}\n{head}")
        for name in sorted({key(p) for p in everything}):
            print(_line(name, score([p for p in everything if key(p) == name])))
    print("\n" + head + "\n" + _line("everything", score(everything)))
    return 1 if score(everything).across_principals else 0


if __name__ == "__main__":
    sys.exit(main())
