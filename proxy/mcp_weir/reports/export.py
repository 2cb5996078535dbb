"""Rows to JSON lines, CSV (formula-safe) or Parquet."""

import csv as plain_csv
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Any, Protocol

import msgspec
from defusedcsv import csv

from mcp_weir.errors import UsageError

FORMATS = ("jsonl", "csv", "parquet")
_FORMULA = frozenset("@+-=|%")  # what a cell that defusedcsv changes begins with
Row = Mapping[str, Any]


class Sink(Protocol):
    """Takes batches of rows; `close` writes what a format ends with, and leaves the file open."""

    def write(self, rows: Sequence[Row]) -> None: ...
    def close(self) -> None: ...


def sink(format: str, out: IO[bytes], columns: Sequence[tuple[str, str]], *, appending: bool = False) -> Sink:
    """A writer of rows with these columns (name, kind). Raises UsageError where pyarrow is missing."""
    if format == "parquet":
        return _Parquet(out, columns)
    return _Csv(out, columns, appending) if format == "csv" else _Jsonl(out)


class _Jsonl:
    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def write(self, rows: Sequence[Row]) -> None:
        self._out.writelines(self._line(row) for row in rows)

    def _line(self, row: Row) -> bytes:
        line = self._encode(row)
        # what is no ASCII is spelt out: readers that end a line at U+2028 would cut one in two
        return line + b"\n" if line.isascii() else json.dumps(json.loads(line)).encode() + b"\n"

    def close(self) -> None:
        self._out.flush()


class _Lines:
    """What csv.writer writes text to."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def write(self, text: str) -> int:
        return self._out.write(text.encode())


class _Csv:
    def __init__(self, out: IO[bytes], columns: Sequence[tuple[str, str]], appending: bool) -> None:
        self._names, self._out = [name for name, _ in columns], out
        lines = _Lines(out)
        self._safe = csv.writer(lines, lineterminator="\r\n")  # RFC 4180
        self._plain = plain_csv.writer(lines, lineterminator="\r\n")  # in half the time, for rows without a formula
        if not appending:
            self._safe.writerow(self._names)

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            cells = [_flat(row[name]) for name in self._names]
            risky = any(type(cell) is str and cell[:1] in _FORMULA for cell in cells if cell)
            (self._safe if risky else self._plain).writerow(cells)

    def close(self) -> None:
        self._out.flush()


class _Parquet:
    def __init__(self, out: IO[bytes], columns: Sequence[tuple[str, str]]) -> None:
        try:
            import pyarrow  # noqa: PLC0415 -- the optional extra `parquet`
            import pyarrow.parquet  # noqa: PLC0415
        except ImportError:
            raise UsageError('Parquet needs pyarrow: pip install "mcp-weir[parquet]"') from None
        kinds = {"text": pyarrow.string(), "uuid": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64(),
                 "time": pyarrow.timestamp("us", tz="UTC"), "list": pyarrow.list_(pyarrow.string())}
        self._schema = pyarrow.schema([(name, kinds[kind]) for name, kind in columns])
        self._make, self._uuids = pyarrow.Table.from_pylist, [name for name, kind in columns if kind == "uuid"]
        self._writer = pyarrow.parquet.ParquetWriter(out, self._schema, compression="zstd")
        self._held: list[dict[str, Any]] = []

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._held.append({**row, **{name: row[name] and str(row[name]) for name in self._uuids}})
        if len(self._held) >= 20_000:  # a row group
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(self._make(self._held, schema=self._schema))
            self._held = []


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value if isinstance(value, str | int | float | list | None) else str(value)


def _flat(value: object) -> object:
    if value is None:
        return ""
    return " ".join(value) if isinstance(value, list) else _plain(value)
