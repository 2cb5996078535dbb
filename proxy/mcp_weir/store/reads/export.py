"""All final rows of a window, streamed by a server-side cursor: memory stays flat however many they are."""

from collections.abc import AsyncGenerator
from typing import Any

from psycopg.rows import dict_row

from mcp_weir.store.reads.queries import Conn, composed, params
from mcp_weir.store.shapes import NO_FILTER, Filter, Window

# name and kind of each column, in order: text, uuid (as text), time, int, float, list
EXPORTED = (
    ("service", "text"), ("instance", "text"), ("request_key", "uuid"), ("session_key", "uuid"), ("started_at", "time"),
    ("direction", "text"), ("method", "text"), ("target", "text"), ("jsonrpc_id", "text"), ("outcome", "text"),
    ("http_method", "text"), ("http_status", "int"), ("error_code", "int"), ("error_message", "text"),
    ("duration_ms", "float"), ("first_byte_ms", "float"), ("first_event_ms", "float"), ("end_ms", "float"),
    ("client_stall_ms", "float"), ("overhead_us", "float"), ("response_kind", "text"), ("request_bytes", "int"),
    ("response_bytes", "int"), ("tokens_in", "int"), ("tokens_out", "int"), ("progress_count", "int"),
    ("operation_key", "uuid"), ("batch_key", "uuid"), ("args_hash", "text"), ("arguments", "text"), ("result", "text"),
    ("flags", "list"), ("trace_id", "text"), ("parent_span_id", "text"), ("era", "text"), ("protocol_version", "text"),
    ("client_name", "text"), ("client_version", "text"), ("client_label", "text"), ("principal_key", "text"),
    ("remote_addr", "text"), ("user_agent", "text"),
)


async def export(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, batch: int = 2000
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """Batches of final rows by `started_at`, then `request_key`; keys as EXPORTED. Uses what `requests` uses."""
    async with conn.transaction(), conn.cursor("export", row_factory=dict_row) as cur:
        await cur.execute(composed("export"), params(window, where))
        while found := await cur.fetchmany(batch):
            yield found


async def running(conn: Conn, window: Window) -> int:
    """Requests of the window that still run: an export does not have them."""
    found = await (await conn.execute(
        "SELECT count(*) FROM weir.pending_requests WHERE started_at >= %s AND started_at < %s",
        (window.since, window.until),
    )).fetchone()
    return int(found[0]) if found else 0
