"""Retention: old days go, rollups stay longer, what is in use is left to the next time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from mcp_weir.store import retention
from spooling import call, count, drain, now_us, query, spool, writer_at

DAY_US = 86_400_000_000


def record_days(url: str, root: Path, ages: list[int]) -> None:
    writer = writer_at(root)
    for number, age in enumerate(ages):
        spool(writer, call(number, wall_us=now_us() - age * DAY_US, session=None))
    drain(url, root, lambda: count(url, "request_rows") == len(ages))
    writer.close()


def test_old_days_go_and_rollups_stay_longer(database_url: str, tmp_path: Path) -> None:
    ages = [0, 1, 5, 20, 30, 390, 500]
    record_days(database_url, tmp_path, ages)
    with psycopg.connect(database_url, autocommit=True) as conn:
        deleted = retention.prune(conn, 10 * 86400)
    assert count(database_url, "request_rows") == 3
    assert sum(1 for name in deleted if name.startswith("request_rows_2")) == 3
    assert deleted["request_rows_default"] == 1  # 500 days: never had a partition of its own
    assert query(database_url, "SELECT sum(requests) FROM weir.total_minute") == [(3,)]
    assert query(database_url, "SELECT sum(requests) FROM weir.total_day") == [(6,)]


def test_nothing_goes_when_everything_is_kept(database_url: str, tmp_path: Path) -> None:
    record_days(database_url, tmp_path, [0, 100, 1000])
    with psycopg.connect(database_url, autocommit=True) as conn:
        retention.prune(conn, 0)
        assert retention.rebuild_rollups(conn) == 3
    assert count(database_url, "request_rows") == 3


def test_rollups_of_dropped_rows_survive_a_rebuild(database_url: str, tmp_path: Path) -> None:
    record_days(database_url, tmp_path, [0, 3, 8])
    with psycopg.connect(database_url, autocommit=True) as conn:
        retention.prune(conn, 5 * 86400)
        before = query(database_url, "SELECT t::text FROM weir.rollup_day t ORDER BY 1")
        assert retention.rebuild_rollups(conn) == 2
    assert query(database_url, "SELECT t::text FROM weir.rollup_day t ORDER BY 1") == before
    assert len(before) == 3


def test_a_partition_in_use_is_left_to_the_next_time(database_url: str, tmp_path: Path) -> None:
    record_days(database_url, tmp_path, [0, 30])
    with psycopg.connect(database_url) as reader, psycopg.connect(database_url, autocommit=True) as conn:
        reader.execute("SELECT count(*) FROM weir.request_rows").fetchall()
        began = datetime.now(UTC)
        assert not [name for name in retention.prune(conn, 86400) if name.startswith("request_rows_2")]
        assert datetime.now(UTC) - began < timedelta(seconds=6)
        reader.rollback()
        assert [name for name in retention.prune(conn, 86400) if name.startswith("request_rows_2")]


def test_a_day_that_began_in_the_default_partition_moves_out(database_url: str, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    record_days(database_url, tmp_path, [0])
    with psycopg.connect(database_url, autocommit=True) as conn:
        name = f"request_rows_{today:%Y%m%d}"
        conn.execute(f"ALTER TABLE weir.request_rows DETACH PARTITION weir.{name}".encode())
        conn.execute(f"INSERT INTO weir.request_rows_default SELECT * FROM weir.{name}".encode())
        conn.execute(f"DROP TABLE weir.{name}".encode())
        conn.execute("SELECT weir.ensure_partition(%s)", (today,))
        assert count(database_url, name) == 1 and count(database_url, "request_rows_default") == 0


def test_a_day_that_a_clock_ahead_left_in_the_default_partition_gets_its_own(database_url: str, tmp_path: Path) -> None:
    record_days(database_url, tmp_path, [0])
    day = datetime.now(UTC).date() - timedelta(days=3)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("INSERT INTO weir.derived_requests VALUES (gen_random_uuid(), %s, gen_random_uuid())", (day,))
        conn.execute("SELECT weir.ensure_derived_partition(%s)", (day,))
    assert count(database_url, "derived_requests_default") == 0
    assert query(database_url, f"SELECT count(*) FROM weir.derived_requests_{day:%Y%m%d}") == [(1,)]
