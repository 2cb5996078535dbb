"""Rollups: kept up by batches, made again from the rows, and the two are equal."""

import random
from pathlib import Path

import psycopg
import pytest

from mcp_weir.sinks.copying import NO_BUCKET, latency_bucket
from mcp_weir.store import retention
from spooling import call, count, drain, now_us, query, spool, writer_at

TABLES = [f"{kind}_{grain}" for kind in ("rollup", "total") for grain in ("minute", "hour", "day")]
TABLES += [f"{kind}_{grain}" for kind in ("facet", "latency", "error") for grain in ("hour", "day")]
DAY_US = 86_400_000_000


def contents(url: str) -> dict[str, list[tuple]]:
    return {table: sorted(query(url, f"SELECT t::text FROM weir.{table} t")) for table in TABLES}


def test_what_batches_add_up_is_what_the_rows_say(database_url: str, tmp_path: Path) -> None:
    pick = random.Random(5)
    writer = writer_at(tmp_path)
    for number in range(400):
        outcome = pick.choice(["ok", "ok", "tool_error", "rpc_error"])
        message = pick.choice([f'row {number} of "{number}x" is \'odd\'', None, "Über 12 ° `a1`", "x" * 300 + "9"])
        spool(writer, call(
            number, wall_us=now_us() - pick.randrange(3 * DAY_US), outcome=outcome,
            at_us=pick.choice([0, 1, 999, 10**7]),
            error_message=message if outcome != "ok" else None, target=pick.choice(["add", "é" * 300, "slow"]),
            error_code=pick.choice([None, -32602]),
        ))
        if number % 100 == 99:
            drain(database_url, tmp_path, lambda want=number + 1: count(database_url, "request_rows") >= want)
    kept_up = contents(database_url)
    assert sum(row[0].count(",") for row in kept_up["rollup_minute"]) > 1000
    assert query(database_url, "SELECT sum(requests) FROM weir.total_day") == [(400,)]
    assert query(database_url, "SELECT sum(requests) FROM weir.rollup_hour") == [(400,)]
    assert query(database_url, "SELECT sum(requests) FROM weir.facet_day WHERE facet = 'all'") == [(400,)]
    with psycopg.connect(database_url, autocommit=True) as conn:
        assert retention.rebuild_rollups(conn) == 400
    assert contents(database_url) == kept_up
    writer.close()


def test_equal_failures_are_grouped_whatever_they_quote(database_url: str) -> None:
    said = ['no "a1" in \'b\' at 12', 'no "zz" in \'other\' at 7']
    grouped = {query(database_url, "SELECT weir.error_group(%s)", message)[0][0] for message in said}
    assert grouped == {'no "…" in "…" at #'}
    assert query(database_url, "SELECT length(weir.error_group(repeat('x', 999)))") == [(200,)]


@pytest.mark.parametrize("ms", [0.001, 0.5, 1.0, 1.0000001, 2.0, 7.3, 1000.0, 86_400_000.0])
def test_a_duration_lies_in_its_bucket(ms: float) -> None:
    bucket = latency_bucket(ms)
    assert 2 ** (bucket / 8) < ms * (1 + 1e-12) and ms <= 2 ** ((bucket + 1) / 8) * (1 + 1e-12)


def test_no_duration_has_no_bucket() -> None:
    assert latency_bucket(None) == latency_bucket(0.0) == NO_BUCKET
