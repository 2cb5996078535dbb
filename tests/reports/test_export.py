"""export: what comes out is what stands in the table; formulas are text; an export goes on where it ended."""

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet
import pytest
from click.testing import Result
from defusedcsv import csv as defusedcsv
from tests.store.conftest import NOW, World

from mcp_weir.reports import export
from mcp_weir.store import reads


@pytest.fixture
def rows(world: World) -> World:
    names = ("add", "=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1+2", 'quo"te,\nline', "naïve ☃", "\x1b[1m")
    for number, text in enumerate(names):
        world.request(target=text, started_at=NOW - timedelta(minutes=number), duration_ms=None if number == 3 else 1.5,
                      flags=["late", "probe"] if number == 2 else [])
    world.store()
    return world


def by_key(world: World) -> dict[str, str]:
    return {str(row["request_key"]): row["target"] for row in world.rows}


def test_jsonl_round_trip(rows: World, run: Callable[..., Result]) -> None:
    said = run("export")
    found = [json.loads(line) for line in said.stdout.splitlines()]
    assert {row["request_key"]: row["target"] for row in found} == by_key(rows)
    assert [row["started_at"] for row in found] == sorted(row["started_at"] for row in found)
    assert list(found[0]) == [name for name, _ in reads.EXPORTED]
    assert found[-3]["flags"] == ["late", "probe"]


def test_csv_is_safe_in_a_spreadsheet(rows: World, run: Callable[..., Result]) -> None:
    said = run("export", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(said.stdout_bytes.decode(), newline="")))
    assert len(found) == 8
    for row in found:
        want = by_key(rows)[row["request_key"]]
        assert row["target"].replace("\\|", "|") == ("'" + want if want[0] in "=+-@" else want)
        assert all(not value.startswith(("=", "+", "@")) for value in row.values())


def test_parquet_round_trip(rows: World, run: Callable[..., Result], tmp_path: Path) -> None:
    said = run("export", "--format", "parquet", "--output", str(tmp_path / "x.parquet"))
    assert said.exit_code == 0, said.output
    found = pyarrow.parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert {row["request_key"]: row["target"] for row in found} == by_key(rows)
    assert isinstance(found[0]["started_at"], datetime) and found[0]["started_at"].tzinfo is not None


def test_it_goes_on_where_it_ended(rows: World, run: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "x.jsonl"
    said = run("export", "--output", str(out), "--until", (NOW - timedelta(minutes=3)).isoformat())
    resume = said.stderr.split("--since ")[1].strip()
    assert run("export", "--output", str(out)).exit_code == 2  # never overwritten unasked
    assert run("export", "--output", str(out), "--append", "--since", resume).exit_code == 0
    keys = [json.loads(line)["request_key"] for line in out.read_text().splitlines()]
    assert sorted(keys) == sorted(by_key(rows))


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_cut_file_goes_on_with_each_row_once(
    world: World, run: Callable[..., Result], tmp_path: Path, kind: str
) -> None:
    for number in range(30):  # ten moments of three rows each
        world.request(started_at=NOW - timedelta(minutes=number // 3), target='a "quoted"\r\n, line\r\n')
    world.store()
    out = tmp_path / f"x.{kind}"
    command = ("export", "--format", kind, "--output", str(out), "--since", "2d")
    assert run(*command).exit_code == 0
    whole = out.read_bytes()
    for cut in {0, 5, len(whole), *range(17, len(whole), 997)}:  # wherever a disk or a kill -9 ends it
        out.write_bytes(whole[:cut])
        said = run(*command[:-2], "--append")
        assert said.exit_code == 0, said.output
        assert out.read_bytes() == whole, cut


def test_an_old_file_goes_on_whatever_the_default_of_since(
    world: World, run: Callable[..., Result], tmp_path: Path
) -> None:
    for day in (5, 4, 3):
        world.request(started_at=NOW - timedelta(days=day))
    world.store()
    out = tmp_path / "x.jsonl"
    assert run("export", "-o", str(out), "--since", "6d", "--until", "108h").exit_code == 0  # a day ago begins later
    assert run("export", "-o", str(out), "--append", "--until", "84h").exit_code == 0
    keys = [json.loads(line)["request_key"] for line in out.read_text().splitlines()]
    assert keys == [str(row["request_key"]) for row in world.rows][:2]


def test_a_file_that_is_no_export_is_left_as_it_is(rows: World, run: Callable[..., Result], tmp_path: Path) -> None:
    for kind in ("jsonl", "csv"):
        out = tmp_path / f"x.{kind}"
        out.write_bytes(b"my,own\r\nnotes,here\r\nno end")
        said = run("export", "--format", kind, "--output", str(out), "--append")
        assert said.exit_code == 2 and "does not end in a row of an export" in str(said.exception)
        assert out.read_bytes() == b"my,own\r\nnotes,here\r\nno end"


def test_a_limit_of_a_file_goes_on_by_itself(rows: World, run: Callable[..., Result], tmp_path: Path) -> None:
    command = ("export", "--output", str(tmp_path / "x.jsonl"), "--limit", "3")
    assert "go on with the same command and --append" in run(*command).stderr
    for _ in range(3):
        run(*command, "--append")
    keys = [json.loads(line)["request_key"] for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert len(keys) == 8 and set(keys) == set(by_key(rows))


def test_a_limit_says_where_to_go_on(rows: World, run: Callable[..., Result]) -> None:
    first = run("export", "--limit", "3")
    rest = run("export", "--since", first.stderr.split("--since ")[1].strip())
    keys = {json.loads(line)["request_key"] for line in (first.stdout + rest.stdout).splitlines()}
    assert keys == set(by_key(rows))


def test_many_rows_stream_in_batches(world: World, run: Callable[..., Result]) -> None:
    for number in range(4500):
        world.request(started_at=NOW - timedelta(seconds=number))
    world.store()
    assert len(run("export").stdout.splitlines()) == 4500


def test_rows_without_a_formula_read_as_defusedcsv_would_write_them() -> None:
    """The plain writer takes rows that hold none; nothing else may differ."""
    texts = ["", "plain", " =x", "=x", "-1", "-x", "|a|b", "a|b", "%x", "\t=x", 'q"', "a,b", "a\nb", "\r", "é", "'=x"]
    rows = [{"a": one, "b": other, "n": number} for number, one in enumerate(texts) for other in texts]
    out, want = io.BytesIO(), io.StringIO()
    export.sink("csv", out, [("a", "text"), ("b", "text"), ("n", "int")]).write(rows)
    safe = defusedcsv.writer(want, lineterminator="\r\n")
    safe.writerows([["a", "b", "n"], *([row["a"], row["b"], row["n"]] for row in rows)])
    assert out.getvalue().decode() == want.getvalue()
