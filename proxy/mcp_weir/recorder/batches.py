"""From settled exchanges to the batch that one transaction writes. No I/O."""

from datetime import timedelta

from mcp_weir.attribution.joins import Settled
from mcp_weir.attribution.sessions import DerivedSessions, SessionDelta
from mcp_weir.attribution.state import ExchangeState
from mcp_weir.attribution.verdicts import Row, row_of, wall
from mcp_weir.sinks.batch import Batch, CatalogRow, StreamRow
from mcp_weir.traffic.facts import request_key

STREAM_MEMBER = 0xFF_FFFE


def fill(batch: Batch, settled: Settled, derived: DerivedSessions) -> None:
    """Add rows, sessions, streams and catalogue of what was settled."""
    for row, state in settled.rows:
        batch.rows.append(row)
        _count_in_session(batch, row, state, derived)
        _list_tools(batch, row, state)
    for state in settled.ended:
        _end_session(batch, state)
        _stream(batch, state)
    for (stream, number), state in settled.open.items():
        batch.open[stream, number] = state
        if not state.finished:
            _stream(batch, state)
        batch.pending.extend(
            (row_of(state, request, "running"), number)
            for member, request in state.requests.items()
            if member not in state.settled
        )
    batch.gone |= settled.gone


def _count_in_session(batch: Batch, row: Row, state: ExchangeState, derived: DerivedSessions) -> None:
    if row.session_key is not None:
        if not _accepted(row, state):
            return
        key, source, confidence = row.session_key, state.opened.session_source or "header", 1.0
    elif row.method is None or "probe" in row.flags:
        return
    else:
        key, source, confidence = derived.key_for(row)
        batch.derived.append((row.request_key, key))
    delta = batch.sessions.get(key)
    if delta is None:
        delta = batch.sessions[key] = SessionDelta(
            session_key=key,
            service=row.service,
            instance=row.instance,
            source=source,
            confidence=confidence,
            started_at=row.started_at,
            last_seen_at=row.started_at,
        )
    delta.introduce(state)
    delta.count(row)


def _accepted(row: Row, state: ExchangeState) -> bool:
    """A session is what the server accepted: never one that only a 4xx or nobody answered to."""
    if state.closed is None:
        return bool(state.answers)
    return row.http_status is not None and row.http_status < 400 and state.closed.upstream_error is None


def _list_tools(batch: Batch, row: Row, state: ExchangeState) -> None:
    if row.method != "tools/list":
        return
    for answer in state.answers.values():
        for tool in answer.tools or ():
            batch.catalog[row.service, tool.content_hash] = CatalogRow(
                row.service, tool.content_hash, tool.tool, tool.description, tool.schema_hash, tool.tokens,
                row.started_at,
            )


def _end_session(batch: Batch, state: ExchangeState) -> None:
    closed, session = state.closed, state.opened.session
    if closed is None or session is None or closed.status is None:
        return
    at = wall(state.opened.wall_us) + timedelta(microseconds=closed.at_us)
    if state.opened.http_method == "DELETE" and closed.status < 300:
        batch.ends.append((session, at, "client_delete"))
    elif closed.status == 404 and closed.upstream_error is None:
        batch.ends.append((session, at, "lost"))
    elif state.opened.transport == "sse":
        batch.ends.append((session, at, "transport_closed"))


def _stream(batch: Batch, state: ExchangeState) -> None:
    opened, closed = state.opened, state.closed
    kind = _stream_kind(state)
    if kind is None:
        return
    key = request_key(state.origin.stream, opened.exchange, STREAM_MEMBER)
    ended = None if closed is None else wall(opened.wall_us) + timedelta(microseconds=closed.at_us)
    closed_by = closed.closed_by if closed else ("interrupted" if state.interrupted else None)
    batch.streams[key] = StreamRow(
        key, state.origin.service, state.origin.instance, state.session, kind, wall(opened.wall_us), ended,
        closed_by, closed.events if closed else 0, closed.response_bytes if closed else 0,
    )


def _stream_kind(state: ExchangeState) -> str | None:
    if state.closed is not None and (state.closed.status or 500) >= 400:
        return None
    if state.opened.http_method == "GET":
        if state.opened.transport == "sse":
            return "sse"
        return "resumed" if state.opened.resumes else "get"
    listening = any(request.method == "subscriptions/listen" for request in state.requests.values())
    return "listen" if listening else None


