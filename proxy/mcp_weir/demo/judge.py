"""Compares what the clients know with the rows, and with the server's own account. Pure.

A difference is counted where it lies: a row missing, a row too many, a row that says something else.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from mcp_weir.demo.ledger import Ledger

_SHOWN = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One row of weir.requests, as far as it is judged."""

    request_key: UUID
    session_key: UUID | None
    span: str | None
    direction: str
    method: str | None
    target: str | None
    jsonrpc_id: str | None
    outcome: str
    era: str
    http_method: str | None
    http_status: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The figures of `demo --json`; `differences` says the first of what does not fit."""

    sent: dict[str, Any]
    recorded: dict[str, Any]
    missing: int
    duplicates: int
    wrong: int
    differences: list[str]

    @property
    def equal(self) -> bool:
        """Whether the record is the truth."""
        return not (self.missing or self.duplicates or self.wrong)


def judge(
    ledgers: Sequence[Ledger], rows: Sequence[Row], sessions: Mapping[str, int], server: Mapping[str, int],
    broken: Sequence[str] = (),
) -> Verdict:
    """The verdict over whole conversations.

    `sessions` counts recorded sessions by era, `server` the requests by method that the server itself counted;
    `broken` names clients that failed where none should.
    """
    missing, extra, wrong = _requests(ledgers, rows)
    wrong += broken
    more_missing, more_extra = _others(ledgers, rows)
    missing, extra = missing + more_missing, extra + more_extra
    keys = Counter(row.request_key for row in rows)
    extra += [f"request_key {key} is {count} rows" for key, count in keys.items() if count > 1]
    asked_of_server = Counter(row.method or "" for row in rows if row.direction == "client" and row.method)
    wrong += _uneven("the server's own count", Counter(server), asked_of_server)
    begun = {era: sum(ledger.era == era for ledger in ledgers) for era in ("legacy", "modern")}
    if sessions.get("legacy", 0) != begun["legacy"]:
        wrong.append(f"legacy sessions: {begun['legacy']} begun, {sessions.get('legacy', 0)} recorded")
    return Verdict(
        sent={**_sent(ledgers), "conversations": begun, "server_counted": sum(server.values())},
        recorded=_recorded(rows),
        missing=len(missing), duplicates=len(extra), wrong=len(wrong),
        differences=(missing + extra + wrong)[:_SHOWN],
    )


def _requests(ledgers: Sequence[Ledger], rows: Iterable[Row]) -> tuple[list[str], list[str], list[str]]:
    by_span: dict[str, list[Row]] = {}
    for row in rows:  # a server's question carries the span of the call that it belongs to
        if row.span is not None and row.direction == "client":
            by_span.setdefault(row.span, []).append(row)
    missing, extra, wrong = [], [], []
    for ledger in ledgers:
        for span, sent in ledger.sent.items():
            found = by_span.pop(span, [])
            name = f"{ledger.era} {sent.method} {sent.target or ''} id {sent.jsonrpc_id} ({sent.outcome})"
            if not found:
                missing.append(f"no row for {name}")
                continue
            extra += [f"one more row for {name}"] * (len(found) - 1)
            row = found[0]
            if (row.method, row.target, row.jsonrpc_id) != (sent.method, sent.target, sent.jsonrpc_id):
                wrong.append(f"{name} is recorded as {row.method} {row.target} id {row.jsonrpc_id}")
            elif row.outcome not in ledger.outcomes(sent):
                wrong.append(f"{name} is recorded as {row.outcome}")
    extra += [f"a row for a request that nobody sent: span {span}" for span in by_span]
    extra += [
        f"a row for a request that nobody sent: {row.method} id {row.jsonrpc_id}"
        for row in rows if row.span is None and row.direction == "client" and row.method is not None
    ]
    return missing, extra, wrong


def _others(ledgers: Sequence[Ledger], rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """The server's questions, conversation by conversation, and refused exchanges without a request."""
    conversation = {span: ledger.trace for ledger in ledgers for span in ledger.sent}
    owner: dict[UUID | None, str] = {
        row.session_key: conversation[row.span] for row in rows
        if row.direction == "client" and row.session_key and row.span in conversation
    }
    asked: Counter[Any] = Counter()
    for row in rows:
        if row.direction == "server":
            asked[owner.get(row.session_key), row.jsonrpc_id, row.method] += 1
    knew: Counter[Any] = Counter()
    for ledger in ledgers:
        knew.update({(ledger.trace, number, method): count for (number, method), count in ledger.asked.items()})
        knew.update(ledger.refused)
    asked.update((row.http_method, row.http_status) for row in rows if row.method is None)
    lost = [f"no row for {name}" for name, count in (knew - asked).items() for _ in range(count)]
    more = [f"a row too many for {name}" for name, count in (asked - knew).items() for _ in range(count)]
    return lost, more


def _uneven(named: str, one: Counter[str], other: Counter[str]) -> list[str]:
    return [
        f"{named}: {one[method]} of {method}, {other[method]} rows"
        for method in sorted({*one, *other}) if one[method] != other[method]
    ]


def _sent(ledgers: Sequence[Ledger]) -> dict[str, Any]:
    sent = [request for ledger in ledgers for request in ledger.sent.values()]
    return {
        "requests": len(sent),
        "by_method": dict(sorted(Counter(request.method for request in sent).items())),
        "by_outcome": dict(sorted(Counter(request.outcome for request in sent).items())),
        "server_requests": sum(sum(ledger.asked.values()) for ledger in ledgers),
        "refused": sum(sum(ledger.refused.values()) for ledger in ledgers),
    }


def _recorded(rows: Sequence[Row]) -> dict[str, Any]:
    of_clients = [row for row in rows if row.direction == "client" and row.method]
    return {
        "requests": len(of_clients),
        "by_method": dict(sorted(Counter(row.method or "" for row in of_clients).items())),
        "by_outcome": dict(sorted(Counter(row.outcome for row in of_clients).items())),
        "server_requests": sum(row.direction == "server" for row in rows),
        "refused": sum(row.method is None for row in rows),
    }
