"""Transport sessions into weir.session_rows, merged by rules that do not depend on the order of arrival."""

import dataclasses
import uuid
from collections.abc import Iterable
from typing import Any

import psycopg

from mcp_weir.attribution.sessions import SessionDelta, SessionEnd

_COLUMNS = tuple(field.name for field in dataclasses.fields(SessionDelta))
_COUNTED = ("request_count", "tool_call_count", "call_count", "error_count", "request_bytes", "response_bytes",
            "tokens_in", "tokens_out")
_OF_IDENTITY = ("client_name", "client_version", "client_label", "client_capabilities", "server_name",
                "server_version", "identity_at", "identity_by", "begun_stream", "begun_connection")
_OF_FIRST_SEEN = ("instance", "user_agent", "principal", "principal_key", "remote_addr", "started_at", "seen_by")
_IDENTIFIES = ("(excluded.identity_at IS NOT NULL AND (s.identity_at IS NULL"
               " OR (excluded.identity_at, excluded.identity_by) < (s.identity_at, s.identity_by)))")
_EARLIER = "(excluded.started_at, excluded.seen_by) < (s.started_at, s.seen_by)"
_RANK = ("array_position(ARRAY['client_delete', 'replaced', 'lost', 'transport_closed'], reason)")


def upsert(cur: psycopg.Cursor[Any], deltas: Iterable[SessionDelta]) -> None:
    """Merge the deltas, in key order so that two writers cannot deadlock."""
    ordered = sorted(deltas, key=lambda delta: delta.session_key)
    if ordered:
        cur.executemany(_UPSERT, [[getattr(delta, name) for name in _COLUMNS] for delta in ordered])


def end(cur: psycopg.Cursor[Any], ends: Iterable[SessionEnd], touched: Iterable[uuid.UUID]) -> None:
    """Note the ends and apply what is known of these sessions; one that is not here yet is ended when it comes."""
    noted = sorted(ends, key=lambda e: (e.session_key, e.reason))
    if noted:
        cur.executemany(_NOTE_END, [dataclasses.astuple(e) for e in noted])
    keys = sorted({*touched, *(e.session_key for e in noted)})
    if keys:
        cur.execute(_APPLY_ENDS, (keys,))


def _merge_rule(column: str) -> str:
    if column in _COUNTED:
        return f"s.{column} + excluded.{column}"
    if column in _OF_IDENTITY:
        return f"CASE WHEN {_IDENTIFIES} THEN excluded.{column} ELSE s.{column} END"
    if column in _OF_FIRST_SEEN:
        return f"CASE WHEN {_EARLIER} THEN excluded.{column} ELSE s.{column} END"
    return {
        "last_seen_at": "greatest(s.last_seen_at, excluded.last_seen_at)",
        "session_id": "coalesce(s.session_id, excluded.session_id)",  # one key, one id
        "era": "CASE WHEN s.era = 'unknown' THEN excluded.era WHEN excluded.era = 'unknown' THEN s.era"
               " ELSE least(s.era, excluded.era) END",
        "protocol_version": f"CASE WHEN {_IDENTIFIES} THEN excluded.protocol_version"
                            " WHEN s.identity_at IS NOT NULL THEN s.protocol_version"
                            f" WHEN {_EARLIER} THEN excluded.protocol_version ELSE s.protocol_version END",
    }.get(column, f"s.{column}")


_UPSERT = (
    f"INSERT INTO weir.session_rows AS s ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"
    " ON CONFLICT (session_key) DO UPDATE SET "
    + ", ".join(f"{column} = {_merge_rule(column)}" for column in _COLUMNS if column != "session_key")
)
_NOTE_END = (
    "INSERT INTO weir.session_ends AS e (session_key, reason, at, closed_by, stream, connection)"
    " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (session_key, reason) DO UPDATE SET"
    " at = CASE WHEN e.reason = 'lost' THEN greatest(e.at, excluded.at) ELSE least(e.at, excluded.at) END,"
    " closed_by = CASE WHEN excluded.at < e.at THEN excluded.closed_by ELSE e.closed_by END,"
    " stream = CASE WHEN excluded.at < e.at THEN excluded.stream ELSE e.stream END,"
    " connection = CASE WHEN excluded.at < e.at THEN excluded.connection ELSE e.connection END"
)
_APPLY_ENDS = (
    "UPDATE weir.session_rows s SET ended_at = e.at, end_reason = e.reason FROM ("
    f" SELECT DISTINCT ON (session_key) session_key, at, reason FROM weir.session_ends WHERE session_key = ANY(%s)"
    f" ORDER BY session_key, {_RANK}) e WHERE e.session_key = s.session_key"
    " AND (s.ended_at, s.end_reason) IS DISTINCT FROM (e.at, e.reason)"
)
