"""From settled exchanges to the batch that one transaction writes. No I/O."""

import uuid
from datetime import timedelta

import msgspec

from mcp_weir.attribution.evidence import Said, asked_of, belongs, counted_of, lead_key, said_of, scope_of
from mcp_weir.attribution.joins import Settled
from mcp_weir.attribution.sessions import SessionDelta, accepted, begin, end_of
from mcp_weir.attribution.state import ExchangeState
from mcp_weir.attribution.verdicts import Row, row_of, wall
from mcp_weir.sinks.batch import Batch, CatalogRow, StreamRow
from mcp_weir.sinks.settler import ToDerive
from mcp_weir.traffic.facts import request_key

STREAM_MEMBER = 0xFF_FFFE


def fill(batch: Batch, settled: Settled) -> None:
    """Add rows, sessions, streams and catalogue of what was settled."""
    for row, state in settled.rows:
        batch.rows.append(row)
        _list_tools(batch, row, state)
        if row.session_key is None:
            _queue(batch, row, state)
        elif row.direction == "server" or accepted(state):
            session_delta(batch, row.session_key, state).count(row)
        else:  # a 4xx begins no session and introduces nobody; it counts in one that is there
            batch.refused.setdefault(row.session_key, begin(state, row.session_key)).count(row)
    for state in settled.ended:
        end = end_of(state)
        if end is not None:
            batch.ends.append(end)
        if state.session is not None and accepted(state):
            session_delta(batch, state.session, state)
        _stream(batch, state)
    for (stream, number), state in settled.open.items():
        batch.open[stream, number] = state
        if not state.finished:
            _stream(batch, state)
        for member in state.requests.keys() - state.settled:
            row = row_of(state, state.requests[member], "running", settled.who_of(state))
            batch.pending.append((row, number))
            if row.session_key is None:
                _queue(batch, row, state)
            state.announced.add(member)
    batch.gone |= settled.gone
    batch.waits.tasks = settled.tasks
    batch.waits.posted, batch.waits.handed, batch.waits.claims = settled.posted, settled.handed, settled.claims


def session_delta(batch: Batch, key: uuid.UUID, state: ExchangeState) -> SessionDelta:
    """What the batch adds to a session that this accepted exchange spoke in."""
    delta = batch.sessions.get(key)
    if delta is None:
        delta = batch.sessions[key] = begin(state, key)
    delta.introduce(state)
    return delta


def _queue(batch: Batch, row: Row, state: ExchangeState) -> None:
    """Evidence when it is first seen, counts when it is final: sessions are derived from both."""
    if not belongs(row):
        return
    at_us = round(row.started_at.timestamp() * 1e6)
    member = row.request_key.int & 0xFF_FFFF
    said = member in state.announced and row.method != "initialize"
    final = row.outcome != "running"
    if said and not final:
        return
    batch.queue.append(ToDerive(
        scope=scope_of(row), started_at=row.started_at, request_key=row.request_key,
        lead_key=lead_key(row.request_key), lead_at=wall(state.opened.wall_us),
        evidence=None if said else msgspec.msgpack.encode(asked_of(row, at_us)),
        counts=msgspec.msgpack.encode(counted_of(row, at_us, _said(state, member))) if final else None,
    ))


def _said(state: ExchangeState, member: int) -> Said | None:
    return said_of(state.opened, state.requests.get(member), state.answers.get(member))


def _list_tools(batch: Batch, row: Row, state: ExchangeState) -> None:
    if row.method != "tools/list":
        return
    answer = state.answers.get(row.request_key.int & 0xFF_FFFF)
    for tool in (answer.tools if answer else None) or ():
        before = batch.catalog.get((row.service, tool.content_hash))
        batch.catalog[row.service, tool.content_hash] = CatalogRow(
            row.service, tool.content_hash, tool.tool, tool.description, tool.schema_hash, tool.tokens,
            min(before.first_seen, row.started_at) if before else row.started_at,
            max(before.last_seen, row.started_at) if before else row.started_at,
            before.times + 1 if before else 1,
        )


def _stream(batch: Batch, state: ExchangeState) -> None:
    opened, closed = state.opened, state.closed
    kind = _stream_kind(state)
    if kind is None:
        return
    state.shown = True
    key = request_key(state.origin.stream, opened.exchange, STREAM_MEMBER)
    ended = None if closed is None else wall(opened.wall_us) + timedelta(microseconds=closed.at_us)
    closed_by = closed.closed_by if closed else ("interrupted" if state.interrupted else None)
    batch.streams[key] = StreamRow(
        key, state.origin.service, state.origin.instance, state.session, kind, wall(opened.wall_us), ended,
        closed_by, closed.events if closed else 0, closed.response_bytes if closed else 0, _continues(state),
    )


def _continues(state: ExchangeState) -> uuid.UUID | None:
    """The stream, or the call whose stream it was, that this one resumes."""
    if state.continues is None:
        return None
    stream, number = state.continues
    return request_key(stream, number, STREAM_MEMBER)


def _stream_kind(state: ExchangeState) -> str | None:
    if state.forgotten or state.closed is not None and (state.closed.status or 500) >= 400 and not state.shown:
        return None
    if state.opened.http_method == "GET":
        if state.opened.transport == "sse":
            return "sse"
        return "resumed" if state.opened.resumes else "get"
    listening = any(request.method == "subscriptions/listen" for request in state.requests.values())
    return "listen" if listening else None


