"""Archon's names: exactly its columns and types, and its statuses, over our rows."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from tests.dashboard.recorded import recorded
from tests.store.conftest import NOW, World

from mcp_weir.cli import cli
from mcp_weir.errors import StoreError
from mcp_weir.store import archon
from mcp_weir.store.reads import Prices

TYPES = {
    "archon_mcp_sessions": {
        "session_id": "uuid", "client_type": "character varying(50)", "client_version": "character varying(50)",
        "client_capabilities": "jsonb", "connected_at": "timestamp with time zone",
        "disconnected_at": "timestamp with time zone", "last_activity": "timestamp with time zone",
        "status": "character varying(20)", "metadata": "jsonb", "total_duration": "integer",
        "disconnect_reason": "character varying(100)", "user_id": "uuid", "user_email": "character varying(255)",
        "user_name": "character varying(255)",
    },
    "archon_mcp_requests": {
        "request_id": "uuid", "session_id": "uuid", "method": "character varying(100)",
        "tool_name": "character varying(100)", "prompt_tokens": "integer", "completion_tokens": "integer",
        "total_tokens": "integer", "estimated_cost": "numeric(10,6)", "timestamp": "timestamp with time zone",
        "duration_ms": "integer", "status": "character varying(20)", "error_message": "text",
    },
}


@pytest.fixture
def archived(world: World) -> World:
    ended = world.session(ended_at=NOW - timedelta(minutes=1), end_reason="client_delete", principal="ann@example.org",
                          principal_key=bytes(range(32)), client_label="c" * 80, request_count=5)
    world.session(client_name=None, client_label=None, last_seen_at=datetime.now(UTC))
    for outcome in ("ok", "tool_error", "no_answer", "cancelled", "input_required"):
        world.request(session_key=ended, outcome=outcome, duration_ms=12.6, target="t" * 150)
    world.request(session_key=ended, method="tools/list", target=None)
    world.request(session_key=ended, direction="server", method="sampling/createMessage")
    world.store()
    with psycopg.connect(world.url, autocommit=True) as conn:
        archon.install(conn)
        archon.install(conn)  # again is harmless
    return world


def query(world: World, sql: str) -> list[tuple]:
    with psycopg.connect(world.url) as conn:
        return conn.execute(sql.encode()).fetchall()


def test_columns_and_types_are_archons(archived: World) -> None:
    for view, types in TYPES.items():
        found = query(archived, "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                                f" WHERE attrelid = '{view}'::regclass AND attnum > 0 ORDER BY attnum")
        assert dict(found) == types and [name for name, _ in found] == list(types)


def test_values_fit_archons_constraints(archived: World) -> None:
    assert query(archived, "SELECT status, count(*) FROM archon_mcp_requests GROUP BY 1 ORDER BY 1") == [
        ("error", 1), ("success", 3), ("timeout", 2)]
    assert query(archived, "SELECT DISTINCT duration_ms, prompt_tokens, completion_tokens, total_tokens, estimated_cost"
                           " FROM archon_mcp_requests WHERE tool_name IS NOT NULL") == [(13, 5, 10, 15, None)]
    assert query(archived, "SELECT client_type, status, disconnect_reason, total_duration, user_email, user_id::text"
                           " FROM archon_mcp_sessions ORDER BY connected_at, client_type") == [
        ("c" * 50, "disconnected", "client_disconnect", 540, "ann@example.org", "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ("unknown", "active", None, None, None, None)]


def test_summary_functions_answer(archived: World) -> None:
    assert query(archived, "SELECT client_type, status FROM get_active_mcp_clients()") == [("unknown", "active")]
    assert query(archived, "SELECT total_requests, disconnect_reason FROM get_disconnected_sessions()") == [
        (5, "client_disconnect")]
    user = "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert query(archived, f"SELECT total_requests FROM get_user_sessions('{user}')") == [(5,)]
    assert query(archived, "SELECT total_requests, total_tokens, unique_sessions FROM get_mcp_usage_summary()") == [
        (3, 45, 1)]
    assert query(archived, "SELECT request_count, round(avg_duration_ms) FROM get_mcp_usage_by_tool()") == [(2, 13)]
    assert query(archived, "SELECT total_sessions, client_disconnects FROM archon_mcp_session_stats"
                           " WHERE client_type <> 'unknown'") == [(1, 1)]


def test_costs_need_a_declared_model(archived: World) -> None:
    with psycopg.connect(archived.url, autocommit=True) as conn:
        archon.install(conn, Prices("m", "USD", input=2.0, output=100.0))
    assert query(archived, "SELECT DISTINCT estimated_cost FROM archon_mcp_requests") == [(Decimal("0.000520"),)]


def test_archons_own_tables_are_left_alone(world: World) -> None:
    with psycopg.connect(world.url, autocommit=True) as conn:
        conn.execute("CREATE TABLE archon_mcp_requests (request_id uuid)")
        with pytest.raises(StoreError, match="table of Archon's"):
            archon.install(conn)


def test_the_command_installs_them(world: World) -> None:
    said = CliRunner().invoke(cli, ["db", "archon-views", "--database-url", world.url])
    assert said.exit_code == 0 and "archon_mcp_requests" in said.output and "no cost" in said.output
    assert query(world, "SELECT count(*) FROM archon_mcp_sessions") == [(0,)]


# What its dashboard asked of its own tables: performance by tool, slow calls, usage by day, kinds of error, period
# against period, active clients, a session's history.
ASKED = {
    "performance": "SELECT tool_name, count(*), avg(duration_ms)::int, percentile_cont(0.95) WITHIN GROUP"
                   " (ORDER BY duration_ms) FROM archon_mcp_requests WHERE tool_name IS NOT NULL GROUP BY tool_name",
    "slow": "SELECT request_id, tool_name, duration_ms FROM archon_mcp_requests WHERE duration_ms > 2000"
            " ORDER BY duration_ms DESC LIMIT 20",
    "by day": "SELECT date_trunc('day', timestamp)::date, sum(total_tokens), coalesce(sum(estimated_cost), 0)"
              " FROM archon_mcp_requests GROUP BY 1 ORDER BY 1",
    "errors": "SELECT error_message, count(*), round(100.0 * count(*) / sum(count(*)) OVER (), 2)"
              " FROM archon_mcp_requests WHERE status = 'error' GROUP BY error_message",
    "periods": "SELECT count(*) FILTER (WHERE timestamp >= now() - interval '12 hours'),"
               " count(*) FILTER (WHERE timestamp < now() - interval '12 hours') FROM archon_mcp_requests",
    "active": "SELECT client_type, client_version, last_activity FROM archon_mcp_sessions"
              " WHERE status IN ('active', 'idle') ORDER BY last_activity DESC",
    "history": "SELECT s.session_id, s.client_type, s.total_duration, count(r.request_id) FROM archon_mcp_sessions s"
               " LEFT JOIN archon_mcp_requests r USING (session_id) GROUP BY 1, 2, 3",
}


def test_its_own_questions_are_answered_over_recorded_rows(postgres_url: str, tmp_path: Path) -> None:
    url, _ = recorded(postgres_url, tmp_path, lambda river, now: river.usual(now))
    with psycopg.connect(url, autocommit=True) as conn:
        archon.install(conn)
        found = {name: conn.execute(sql.encode()).fetchall() for name, sql in ASKED.items()}
        (calls,), (failed,) = (conn.execute(f"SELECT count(*) FROM weir.requests WHERE direction = 'client' AND {only}")
                               .fetchone() or (0,) for only in ("method = 'tools/call'", "weir.is_error(outcome)"
                                                                " AND method IS NOT NULL AND outcome <> 'no_answer'"))
        sessions = conn.execute("SELECT count(*), sum(request_count) FROM weir.sessions").fetchone()
    assert all(found.values()), {name for name, rows in found.items() if not rows}
    assert sum(count for _, count, *_ in found["performance"]) == calls > 1000
    assert all(isinstance(row[2], int) and row[2] > 2000 for row in found["slow"])
    assert sum(count for _, count, _ in found["errors"]) == failed > 0
    assert sessions is not None and len(found["history"]) == sessions[0]
