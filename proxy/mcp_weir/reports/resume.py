"""Where an export's file ends: its last whole row. A row cut in two behind it is taken away: more can follow."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from mcp_weir.errors import UsageError

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Mark:
    """The last row of an export, in the order of an export: by start, then by key."""

    started_at: datetime
    request_key: UUID

    def behind(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of the rows that come after this one."""
        here = (self.started_at, self.request_key)
        return [row for row in rows if (row["started_at"], row["request_key"]) > here]


def mend(path: Path, kind: str, columns: Sequence[str]) -> Mark | None:
    """The last row of a JSONL or CSV file; None where it holds none. Raises UsageError for a file that is no export."""
    with path.open("r+b") as file:
        begin, end = _last_record(file) if kind == "csv" else _last_line(file)
        file.seek(begin)
        found = _mark(path, kind, columns, file.read(end - begin))
        file.truncate(end)
    return found


def _mark(path: Path, kind: str, columns: Sequence[str], last: bytes) -> Mark | None:
    try:
        if kind == "csv":
            (cells,) = csv.reader([last.decode()]) if last else ([],)
            row = dict(zip(columns, cells, strict=True)) if cells and cells != list(columns) else {}
        else:
            row = json.loads(last or b"{}")
        return Mark(datetime.fromisoformat(row["started_at"]), UUID(row["request_key"])) if row else None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path} does not end in a row of an export; --append cannot go on behind it") from None


def _last_line(file: BinaryIO) -> tuple[int, int]:
    """Where the last whole line begins and ends."""
    end = _behind_newline(file, file.seek(0, 2))
    return _behind_newline(file, end - 1) if end else 0, end


def _behind_newline(file: BinaryIO, before: int) -> int:
    """The place behind the last newline before a place; 0 without one."""
    while before > 0:
        start = max(before - _PIECE, 0)
        file.seek(start)
        found = file.read(before - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        before = start
    return 0


def _last_record(file: BinaryIO) -> tuple[int, int]:
    """As _last_line; a line of CSV may end within quotes, so they are counted from the beginning."""
    begin = end = at = quotes = 0
    for line in file:
        at += len(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0 and line.endswith(b"\r\n"):
            begin, end = end, at
    return begin, end
