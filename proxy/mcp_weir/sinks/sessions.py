"""How sessions merge in SQL: commutative rules, so that workers and replicas may write in any order."""

import dataclasses
from collections.abc import Mapping
from operator import attrgetter

from mcp_weir.attribution.sessions import SessionDelta

COLUMNS = tuple(field.name for field in dataclasses.fields(SessionDelta))
_COUNTED = ("request_count", "tool_call_count", "call_count", "error_count", "request_bytes", "response_bytes",
            "tokens_in", "tokens_out")
_OF_IDENTITY = ("client_name", "client_version", "client_label", "client_capabilities", "server_name",
                "server_version", "identity_at", "identity_by", "begun_stream", "begun_connection")
_OF_FIRST_SEEN = ("instance", "user_agent", "principal", "principal_key", "remote_addr", "started_at", "seen_by")
_IDENTIFIES = ("(excluded.identity_at IS NOT NULL AND (s.identity_at IS NULL"
               " OR (excluded.identity_at, excluded.identity_by) < (s.identity_at, s.identity_by)))")
_EARLIER = "(excluded.started_at, excluded.seen_by) < (s.started_at, s.seen_by)"


def upsert(types: Mapping[str, str]) -> bytes:
    """One statement for any number of sessions: an array for each column, upserted in key order."""
    arrays = ", ".join(f"%s::{types[column]}[]" for column in COLUMNS)
    merged = ", ".join(f"{column} = {_merged(column)}" for column in COLUMNS if column != "session_key")
    return (
        f"INSERT INTO weir.session_rows AS s ({', '.join(COLUMNS)}) SELECT * FROM unnest({arrays}) ORDER BY 1"
        f" ON CONFLICT (session_key) DO UPDATE SET {merged}"
    ).encode()


values = attrgetter(*COLUMNS)  # of a SessionDelta, in the order of upsert()


def _merged(column: str) -> str:
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
