"""Rows as binary COPY takes them.

Binary spares Postgres the parsing of text. Where psycopg has no quick dumper for a type, the field is packed here and
handed over as bytea: binary COPY sends bytes as they are.
"""

import ipaddress
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import psycopg

NO_BUCKET = -128
_TEXT_OID = 25
_INET, _INET6 = 2, 3  # PGSQL_AF_INET and PGSQL_AF_INET6


More = Mapping[str, tuple[str, Callable[[Any], int]]]  # column -> type, how to compute it


class Columns:
    """The columns of a table that a kind of value fills, by the types that the table gives them."""

    def __init__(self, names: Sequence[str], types: Mapping[str, str]) -> None:
        self.names = tuple(names)
        self.types = tuple(types[name] for name in self.names)
        self._get = attrgetter(*self.names)
        packers = [(at, _PACKERS[kind]) for at, kind in enumerate(self.types) if kind in _PACKERS]
        self._packers: list[tuple[int, Callable[[Any], bytes]]] = packers
        self._sent = ["bytea" if kind in _PACKERS else kind for kind in self.types]

    def values(self, value: object) -> tuple[Any, ...]:
        """The fields of one value, in order."""
        found: tuple[Any, ...] = self._get(value)
        return found

    def copy(self, cur: psycopg.Cursor[Any], table: str, rows: Iterable[object], more: More) -> None:
        """COPY values into a table; `more` computes further columns from each value."""
        names = ", ".join((*self.names, *more))
        extra = [compute for _, compute in more.values()]
        with cur.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.set_types([*self._sent, *(kind for kind, _ in more.values())])
            for row in rows:
                fields = list(self._get(row))
                for at, pack in self._packers:
                    if fields[at] is not None:
                        fields[at] = pack(fields[at])
                for compute in extra:
                    fields.append(compute(row))
                copy.write_row(fields)


def latency_bucket(duration_ms: float | None) -> int:
    """Index in an exponential histogram of base 2^(1/8): see the comment on weir.request_rows.latency_bucket."""
    if duration_ms is None or duration_ms <= 0:
        return NO_BUCKET
    return max(NO_BUCKET + 1, math.ceil(math.log2(duration_ms) * 8) - 1)


def pack_jsonb(text: str) -> bytes:
    """A jsonb, given as JSON text, as binary COPY takes it."""
    return b"\x01" + text.encode()


@lru_cache(maxsize=65_536)
def pack_inet(text: str) -> bytes:
    """An inet as binary COPY takes it. Raises ValueError."""
    address = ipaddress.ip_interface(text)
    family = _INET if address.version == 4 else _INET6
    return struct.pack("!4B", family, address.network.prefixlen, 0, len(address.packed)) + address.packed


def pack_texts(texts: list[str]) -> bytes:
    """A text[] as binary COPY takes it."""
    return _pack_text_tuple(tuple(texts))


@lru_cache(maxsize=4096)
def _pack_text_tuple(texts: tuple[str, ...]) -> bytes:
    if not texts:
        return struct.pack("!3i", 0, 0, _TEXT_OID)
    items = [text.encode() for text in texts]
    head = struct.pack("!5i", 1, 0, _TEXT_OID, len(items), 1)
    return head + b"".join(struct.pack("!i", len(item)) + item for item in items)


_PACKERS: dict[str, Callable[[Any], bytes]] = {"jsonb": pack_jsonb, "inet": pack_inet, "text[]": pack_texts}


def column_types(conn: psycopg.Connection[Any], table: str) -> dict[str, str]:
    """Column -> type of a table, as COPY and casts name them."""
    found = conn.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        (table,),
    )
    return {name: _SHORT.get(kind, kind) for name, kind in found.fetchall()}


_SHORT = {"timestamp with time zone": "timestamptz", "double precision": "float8", "integer": "int4", "bigint": "int8",
          "smallint": "int2", "real": "float4", "boolean": "bool"}
