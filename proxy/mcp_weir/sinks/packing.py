"""Rows as bytes, for what comes by the tens of thousands: fields in the form that binary COPY takes.

What many rows share is packed once and kept; what differs goes through one struct.pack. Many times as fast as
handing values to a driver column by column.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import psycopg

from mcp_weir.attribution.verdicts import Row
from mcp_weir.sinks.copying import pack_inet, pack_texts
from mcp_weir.traffic.whole import Whole

_EPOCH_US = 946_684_800_000_000  # 2000-01-01, where Postgres begins to count
_NULL = struct.pack("!i", -1)
_HASH_BYTES = 16
_FIXED = {"uuid": "8sQ", "timestamptz": "q", "int8": "q", "int4": "i", "int2": "h", "float8": "d", "bool": "?"}
_PACKERS: dict[str, Callable[[Any], bytes]] = {"inet": pack_inet, "text[]": pack_texts, "uuid": lambda key: key.bytes}
_length = struct.Struct("!i").pack
_float = struct.Struct("!id").pack
_bigint = struct.Struct("!iq").pack
_queued = struct.Struct("!hi16siqi8sQi8sQiqi").pack
COPIED = b"PGCOPY\n\xff\r\n\x00" + bytes(8)  # how a binary COPY begins
_ENDS = b"\xff\xff"


class RowPacker:
    """The columns of weir.request_rows, in the order in which whole lines fill them."""

    FIXED = ("request_key", "started_at", "operation_key", "duration_ms", "end_ms", "client_stall_ms", "overhead_us",
             "request_bytes", "response_bytes", "progress_count", "latency_bucket", "connection")
    LOOSE = ("first_byte_ms", "first_event_ms", "tokens_in", "tokens_out", "args_hash", "trace_id", "parent_span_id",
             "jsonrpc_id")
    OF_KIND = ("direction", "method", "target", "outcome", "http_method", "http_status", "error_code",
               "error_message", "response_kind", "batch_key", "arguments", "result", "flags")
    OF_WHO = ("service", "instance", "session_key", "era", "protocol_version", "client_name", "client_version",
              "client_label", "principal_key", "remote_addr", "user_agent", "stream", "key_id", "handle", "proxied")
    NAMES = (*FIXED, *LOOSE, *OF_KIND, *OF_WHO)

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types
        wanted = {"first_byte_ms": "float8", "first_event_ms": "float8", "tokens_in": "int8", "tokens_out": "int8"}
        if {name: types[name] for name in wanted} != wanted:
            raise TypeError("weir.request_rows has other types")
        codes = "!h" + "".join("i" + _FIXED[types[name]] for name in self.FIXED)
        self._pack = struct.Struct(codes).pack
        self._pack_usual = struct.Struct(codes + "id" + "i" + "iq" + "iq" + f"i{_HASH_BYTES}s" + "i" + "i" + "i").pack

    def of_kind(self, row: Row) -> bytes:
        """What all requests of this row's kind share. Raises ValueError, UnicodeEncodeError or struct.error."""
        return self._fields(row, self.OF_KIND)

    def of_who(self, row: Row) -> bytes:
        """What all requests of this row's client share. Raises ValueError, UnicodeEncodeError or struct.error."""
        return self._fields(row, self.OF_WHO)

    def row(self, line: Whole, key: tuple[bytes, int], bucket: int, shared: bytes) -> bytes:
        """The row of a whole line; `key`: its request_key in two halves. Raises UnicodeEncodeError, struct.error."""
        opened, request, answer, closed = line
        high, low = key
        jsonrpc_id = request.jsonrpc_id.encode()
        first_byte, first_event = closed.first_byte_us, closed.first_event_us
        tokens_in, tokens_out, args_hash = request.tokens_in, answer.tokens_out, request.args_hash
        fixed = (
            len(self.NAMES), 16, high, low, 8, opened.wall_us - _EPOCH_US, 16, high, low,
            8, answer.at_us / 1000, 8, closed.at_us / 1000, 8, closed.stall_us / 1000, 8, closed.overhead_us,
            8, request.size, 8, answer.size, 4, answer.progress_count, 2, bucket, 8, opened.connection)
        if (first_byte is not None and first_event is None and tokens_in is not None and tokens_out is not None
                and args_hash is not None and len(args_hash) == _HASH_BYTES and request.trace_id is None
                and request.parent_span_id is None):  # the most frequent: a tool call, without a trace
            return self._pack_usual(
                *fixed, 8, first_byte / 1000, -1, 8, tokens_in, 8, tokens_out, _HASH_BYTES, args_hash, -1, -1,
                len(jsonrpc_id)) + jsonrpc_id + shared
        return b"".join((
            self._pack(*fixed),
            _NULL if first_byte is None else _float(8, first_byte / 1000),
            _NULL if first_event is None else _float(8, first_event / 1000),
            _NULL if tokens_in is None else _bigint(8, tokens_in),
            _NULL if tokens_out is None else _bigint(8, tokens_out),
            _NULL if args_hash is None else _text(args_hash),
            _NULL if request.trace_id is None else _text(request.trace_id.encode()),
            _NULL if request.parent_span_id is None else _text(request.parent_span_id.encode()),
            _length(len(jsonrpc_id)), jsonrpc_id, shared,
        ))

    def _fields(self, row: Row, names: Sequence[str]) -> bytes:
        return b"".join(_field(self._types[name], getattr(row, name)) for name in names)


def queued(scope: bytes, at_us: int, key: tuple[bytes, int], evidence: bytes, counts: bytes) -> bytes:
    """A row of weir.derived_queue for the first request of an exchange; columns as in QUEUED."""
    high, low = key
    at = at_us - _EPOCH_US
    head = _queued(7, 16, scope, 8, at, 16, high, low, 16, high, low, 8, at, len(evidence))
    return b"".join((head, evidence, _length(len(counts)), counts))


QUEUED = ("scope", "started_at", "request_key", "lead_key", "lead_at", "evidence", "counts")


def copy(cur: psycopg.Cursor[Any], table: str, names: Iterable[str], rows: Iterable[bytes]) -> None:
    """COPY packed rows into a table."""
    with cur.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)".encode()) as into:
        into.write(b"".join((COPIED, *rows, _ENDS)))


def _text(data: bytes) -> bytes:
    return _length(len(data)) + data


def _field(kind: str, value: Any) -> bytes:
    if value is None:
        return _NULL
    if kind in _PACKERS:
        return _text(_PACKERS[kind](value))
    if kind in _FIXED:
        return _text(struct.pack("!" + _FIXED[kind], value))
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("Postgres takes no NUL in a text")
        value = value.encode()
    return _text(value)
