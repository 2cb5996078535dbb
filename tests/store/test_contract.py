"""The public face: the views' columns and the commands' names are a contract with whoever builds on them."""

import psycopg
import pytest
from click.testing import CliRunner

from mcp_weir.cli import COMMANDS, cli

VIEWS = {
    "sessions": """service instance session_key:uuid source confidence:real era session_id client_name client_version
        client_label client_capabilities:jsonb user_agent protocol_version server_name server_version principal
        principal_key:bytea remote_addr:inet started_at:timestamptz last_seen_at:timestamptz ended_at:timestamptz status
        end_reason previous_session_key:uuid request_count:int8 tool_call_count:int8 error_count:int8
        request_bytes:int8 response_bytes:int8 tokens_in:int8 tokens_out:int8""",
    "requests": """service instance request_key:uuid session_key:uuid started_at:timestamptz direction method target
        jsonrpc_id outcome http_method http_status:int4 error_code:int8 error_message duration_ms:float8
        first_byte_ms:float8 first_event_ms:float8 end_ms:float8 client_stall_ms:float8 overhead_us:float8
        response_kind request_bytes:int8 response_bytes:int8 tokens_in:int8 tokens_out:int8 progress_count:int4
        operation_key:uuid batch_key:uuid args_hash:bytea arguments:jsonb result:jsonb flags:_text trace_id
        parent_span_id""",
    "streams": """service instance stream_key:uuid session_key:uuid kind opened_at:timestamptz closed_at:timestamptz
        closed_by events:int8 bytes:int8 resumed_from:uuid""",
    "catalog": """service instance tool schema_hash:bytea tokens:int8 first_seen:timestamptz last_seen:timestamptz
        times_listed:int8 times_called""",
    "coverage": "service instance minute:timestamptz seen stored spooled dropped",
    "quarantine": "service instance raw:bytea",
}
READING = ("sessions", "requests", "tools", "clients", "streams", "tail", "report", "export")


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_its_columns(database_url: str, view: str) -> None:
    with psycopg.connect(database_url) as conn:
        found = dict(conn.execute(
            "SELECT column_name, udt_name FROM information_schema.columns"
            " WHERE table_schema = 'weir' AND table_name = %s", (view,)
        ).fetchall())
    found = {name: {"float4": "real"}.get(kind, kind) for name, kind in found.items()}
    for wanted in VIEWS[view].split():
        name, _, kind = wanted.partition(":")
        assert name in found, f"weir.{view} has no {name}"
        assert not kind or found[name] == kind, f"weir.{view}.{name} is {found[name]}"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", READING)
def test_a_reading_command_takes_the_common_options(name: str) -> None:
    said = CliRunner().invoke(cli, [name, "--help"]).output
    for option in ("--json", "--since", "--limit", "--database-url"):
        assert option in said, f"{name} has no {option}"


@pytest.mark.parametrize("name", ["migrate", "status", "prune", "url", "archon-views", "forget", "rollup"])
def test_the_database_has_its_commands(name: str) -> None:
    assert CliRunner().invoke(cli, ["db", name, "--help"]).exit_code == 0


@pytest.mark.parametrize("name", ["status", "cat"])
def test_the_spool_has_its_commands(name: str) -> None:
    assert CliRunner().invoke(cli, ["spool", name, "--help"]).exit_code == 0
