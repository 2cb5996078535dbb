"""How sessions merge in SQL: commutative rules, so that workers and replicas may write in any order."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from mcp_weir.attribution.sessions import SessionDelta

COLUMNS = tuple(field.name for field in dataclasses.fields(SessionDelta))
_COUNTED = ("request_count", "tool_call_count", "error_count", "request_bytes", "response_bytes", "tokens_in",
            "tokens_out")
_EARLIEST = ("client_name", "client_version", "client_label", "client_capabilities")
_FIRST_KNOWN = ("session_id", "user_agent", "protocol_version", "server_name", "server_version", "principal",
                "principal_key", "remote_addr")
_RULES = {
    "started_at": "least(s.started_at, excluded.started_at)",
    "last_seen_at": "greatest(s.last_seen_at, excluded.last_seen_at)",
    "identity_at": "least(s.identity_at, excluded.identity_at)",
    "era": "CASE WHEN s.era = 'unknown' THEN excluded.era ELSE s.era END",
}


def upsert(types: Mapping[str, str]) -> bytes:
    """One statement for any number of sessions: an array for each column, upserted in key order."""
    arrays = ", ".join(f"%s::{types[column]}[]" for column in COLUMNS)
    merged = ", ".join(f"{column} = {_merged(column)}" for column in COLUMNS if column != "session_key")
    return (
        f"INSERT INTO weir.session_rows AS s ({', '.join(COLUMNS)}) SELECT * FROM unnest({arrays}) ORDER BY 1"
        f" ON CONFLICT (session_key) DO UPDATE SET {merged}"
    ).encode()


def arrays(deltas: Iterable[SessionDelta]) -> Sequence[list[object]]:
    """The columns of upsert()."""
    rows = list(deltas)
    return [[getattr(row, column) for row in rows] for column in COLUMNS]


def _merged(column: str) -> str:
    if column in _COUNTED:
        return f"s.{column} + excluded.{column}"
    if column in _EARLIEST:
        return (f"CASE WHEN s.identity_at IS NULL OR excluded.identity_at < s.identity_at"
                f" THEN coalesce(excluded.{column}, s.{column}) ELSE s.{column} END")
    if column in _FIRST_KNOWN:
        return f"coalesce(s.{column}, excluded.{column})"
    return _RULES.get(column, f"s.{column}")
