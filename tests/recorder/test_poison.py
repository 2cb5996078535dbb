"""Poison: what Postgres refuses goes to quarantine, is counted, and blocks no neighbour, wherever it stands."""

import zlib
from pathlib import Path

import msgspec
import psycopg
import pytest

from mcp_weir.traffic.facts import Answer, Identity, Opened, Request, ToolShown
from spooling import call, count, drain, query, recording, spool, wait, writer_at

HUGE = 1 << 70
NUL, SURROGATE = "a\0b", "a\udc80b"
TEXTS = ["target", "method", "jsonrpc_id", "trace_id", "parent_span_id", "protocol_version", "arguments"]


def altered(line: list, kind: type, **said: object) -> list:
    return [msgspec.structs.replace(fact, **said) if isinstance(fact, kind) else fact for fact in line]


def poisons() -> dict[str, list]:
    """Forty-odd lines, each with one thing in it that some part of a batch cannot take."""
    base = call(1000)
    found = {f"request.{name}.nul": altered(base, Request, **{name: NUL}) for name in TEXTS}
    found |= {f"answer.{name}.nul": altered(base, Answer, **{name: NUL}) for name in ("error_message", "result")}
    found |= {f"opened.{name}.nul": altered(base, Opened, **{name: NUL}) for name in (
        "http_method", "user_agent", "protocol_version", "client_addr", "session_source", "session_id", "principal")}
    found |= {f"client.{name}.nul": altered(base, Request, client=Identity(**{"name": "c", name: NUL}))
              for name in ("name", "version", "capabilities")}
    found |= {f"server.{name}.nul": altered(base, Answer, server=Identity(**{name: NUL}))
              for name in ("name", "version")}
    found |= {f"arguments.{name}": altered(base, Request, arguments=text) for name, text in {
        "escaped_nul": '{"a": "\\u0000"}', "no_json": "{", "number": "1e400000", "deep": "[" * 100_000 + "]" * 100_000,
        "lone": '"\\ud800"', "empty": "", "nan": "NaN"}.items()}
    found |= {f"result.{name}": altered(base, Answer, result=text) for name, text in {
        "escaped_nul": '"\\u0000"', "number": "-1e400000"}.items()}
    found |= {f"huge.{name}": altered(base, Request, **{name: HUGE}) for name in ("size", "tokens_in")}
    found |= {f"huge.answer.{name}": altered(base, Answer, **{name: 1 << 63}) for name in (
        "size", "tokens_out", "progress_count", "error_code")}
    found["huge.wall"] = altered(base, Opened, wall_us=1 << 62)
    found["address"] = altered(base, Opened, client_addr="not an address")
    found["address.long"] = altered(base, Opened, client_addr="1" * 4000)
    found["long.target"] = altered(base, Request, target="é" * 100_000)
    found["long.method"] = altered(base, Request, method="m" * 100_000)
    found["long.message"] = altered(altered(base, Answer, outcome="rpc_error"), Answer, error_message="x" * 1_000_000)
    tool = ToolShown(tool=NUL, content_hash=b"c" * 16, schema_hash=b"s" * 16)
    found["catalog.nul"] = altered(altered(base, Request, method="tools/list"), Answer, tools=(tool,))
    return found


POISONS = poisons()


def test_there_are_enough_of_them() -> None:
    assert len(POISONS) >= 40


def test_every_poison_among_neighbours(database_url: str, tmp_path: Path) -> None:
    writer, number, offered = writer_at(tmp_path), 0, 0
    for line in POISONS.values():
        for neighbour in (call(number), renumbered(line, number + 1), call(number + 2)):
            offered += spool(writer, neighbour)
        number += 3
    neighbours = {n for n in range(number) if n % 3 != 1}
    assert offered >= len(neighbours) + 35  # a few cannot even be spooled: they are dropped, and counted

    def all_there() -> bool:
        found = query(database_url, "SELECT jsonrpc_id FROM weir.requests WHERE target = 'add'")
        return neighbours <= {int(row[0]) for row in found if row[0].isdigit()}

    recorder = drain(database_url, tmp_path, lambda: all_there() and settled(database_url), 90)
    assert recorder.state.quarantined > 15
    assert count(database_url, "quarantine") == recorder.state.quarantined
    assert "4111" not in str(query(database_url, "SELECT reason FROM weir.quarantine"))
    assert sums(database_url)["seen"] == number
    writer.close()


def sums(url: str) -> dict[str, int]:
    names = ("seen", "stored", "spooled", "open", "dropped", "quarantined")
    columns = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in names)
    return dict(zip(names, query(url, f"SELECT {columns} FROM weir.coverage")[0], strict=True))


def settled(url: str) -> bool:
    found = sums(url)
    assert found["seen"] == sum(found.values()) - found["seen"]
    return found["seen"] > 0 and found["spooled"] == found["open"] == 0


def renumbered(line: list, number: int) -> list:
    return [msgspec.structs.replace(fact, exchange=number) for fact in line]


def test_a_poison_alone_is_counted_as_quarantined(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    spool(writer, altered(call(1), Request, target=NUL))
    drain(database_url, tmp_path, lambda: settled(database_url))
    assert sums(database_url) == {"seen": 1, "stored": 0, "spooled": 0, "open": 0, "dropped": 0, "quarantined": 1}
    writer.close()


def test_what_cannot_be_spooled_is_dropped_whole_and_counted(tmp_path: Path, database_url: str) -> None:
    writer = writer_at(tmp_path)
    line = call(1)
    assert not spool(writer, altered(line, Request, target=SURROGATE))
    writer.seen(line[0].wall_us // 60_000_000)
    first, rest = renumbered(line[:1], 2), renumbered(altered(line[1:], Request, target=SURROGATE), 2)
    assert writer.offer(first, line[0].wall_us // 60_000_000)
    assert not writer.offer(rest, line[0].wall_us // 60_000_000)
    spool(writer, call(3))
    writer.heartbeat(line[0].wall_us)
    drain(database_url, tmp_path, lambda: settled(database_url))
    assert sums(database_url) == {"seen": 3, "stored": 1, "spooled": 0, "open": 0, "dropped": 2, "quarantined": 0}
    assert query(database_url, "SELECT dropped, reasons FROM weir.gaps") == [(2, {"error": 2})]
    writer.close()


def test_a_damaged_line_and_a_torn_tail_are_left_out_and_the_rest_is_stored(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number in range(4):
        spool(writer, call(number))
    writer.close()
    (segment,) = tmp_path.glob("*/*.seg")
    lines = segment.read_bytes().split(b"\n")
    lines[2] = lines[2][:-10] + b"x" + lines[2][-9:]
    segment.write_bytes(b"\n".join(lines)[:-20])
    recorder = drain(database_url, tmp_path, lambda: settled(database_url))
    assert (recorder.state.damaged_lines, recorder.state.torn_bytes > 100) == (1, True)
    assert sums(database_url) == {"seen": 4, "stored": 2, "spooled": 0, "open": 0, "dropped": 2, "quarantined": 0}
    assert query(database_url, "SELECT reasons FROM weir.gaps") == [({"lost": 2},)]


def test_files_that_are_no_segments_of_ours_stop_nothing_and_stay(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    foreign = tmp_path / str(writer.stream) / "00000000.seg"
    foreign.write_bytes(b"something else\n")
    (tmp_path / "lost+found").mkdir()
    newer = tmp_path / "00000000-0000-4000-8000-000000000000"
    newer.mkdir()
    payload = b'{"format":99,"what":"ever"}'
    (newer / "00000001.seg").write_bytes(b"%08x %b\n" % (zlib.crc32(payload), payload))
    spool(writer, call(1))
    writer.close()
    recorder = drain(database_url, tmp_path, lambda: count(database_url, "requests") == 1)
    assert "no segment header" in recorder.state.strange.values()
    assert any("format 99" in why for why in recorder.state.strange.values())
    assert foreign.exists() and (newer / "00000001.seg").exists()


def test_counts_of_another_version_are_named_and_stay_when_their_stream_is_done(
    database_url: str, tmp_path: Path
) -> None:
    writer = writer_at(tmp_path)
    spool(writer, call(1))
    writer.close()
    page = next((tmp_path / str(writer.stream)).glob("counts-*"))
    page.write_bytes(page.read_bytes().replace(b'"format": 2', b'"format": 7', 1))
    recorder = drain(database_url, tmp_path, lambda: count(database_url, "requests") == 1 and not segments(tmp_path))
    assert [why.partition(";")[0] for why in recorder.state.strange.values()] == ["counts of format 7"]
    assert page.exists()


def segments(root: Path) -> list[Path]:
    return list(root.glob("*/*.seg"))


@pytest.mark.parametrize("table", ["session_rows", "coverage_rows"])
def test_a_schema_that_does_not_fit_stops_the_drain_loudly_until_it_is_mended(
    table: str, database_url: str, tmp_path: Path
) -> None:
    writer = writer_at(tmp_path)
    rename(database_url, table, "away")
    spool(writer, call(1))
    with recording(database_url, tmp_path) as recorder:
        wait(lambda: recorder.state.schema_problem is not None)
        assert recorder.state.lag_bytes > 0
        rename(database_url, "away", table)
        wait(lambda: count(database_url, "requests") == 1)
        assert recorder.state.schema_problem is None
    writer.close()


def rename(url: str, old: str, new: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"ALTER TABLE weir.{old} RENAME TO {new}".encode())
