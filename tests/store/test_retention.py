"""Retention: old days go, rollups stay longer, what is in use is left to the next time."""

import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from mcp_weir.store import retention
from spooling import call, count, drain, now_us, query, spool, writer_at

DAY_US = 86_400_000_000
HELD = uuid.UUID(int=9)


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
    day = datetime.now(UTC) - timedelta(days=3)  # a date alone would begin by the clock on the wall: TZ=Asia/Kathmandu
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("INSERT INTO weir.derived_requests VALUES (gen_random_uuid(), %s, gen_random_uuid())", (day,))
        conn.execute("SELECT weir.ensure_derived_partition(%s)", (day.date(),))
    assert count(database_url, "derived_requests_default") == 0
    assert query(database_url, f"SELECT count(*) FROM weir.derived_requests_{day:%Y%m%d}") == [(1,)]


def test_a_day_begins_behind_a_long_reader_and_gets_its_own_partition_later(database_url: str, tmp_path: Path) -> None:
    record_days(database_url, tmp_path / "before", [1])  # all is made but today
    name = f"request_rows_{datetime.now(UTC).date():%Y%m%d}"
    assert not query(database_url, "SELECT 1 WHERE to_regclass(%s) IS NOT NULL", f"weir.{name}")
    writer = writer_at(tmp_path)
    with psycopg.connect(database_url) as export, psycopg.connect(database_url, autocommit=True) as conn:
        export.execute("SELECT count(*) FROM weir.requests").fetchall()
        began = datetime.now(UTC)
        for number in range(3):
            spool(writer, call(number))
        drain(database_url, tmp_path, lambda: count(database_url, "request_rows") == 4)
        assert datetime.now(UTC) - began < timedelta(seconds=6)
        assert count(database_url, "request_rows_default") == 3
        assert f"request_rows {datetime.now(UTC).date()}" in retention.make_days(conn)
        export.rollback()
        assert retention.make_days(conn) == []
    assert (count(database_url, name), count(database_url, "request_rows_default")) == (3, 0)
    spool(writer, call(3))
    drain(database_url, tmp_path, lambda: count(database_url, name) == 4)
    writer.close()


def test_streams_without_an_end_and_tools_listed_no_more_go_too(database_url: str) -> None:
    stream = ("INSERT INTO weir.stream_rows (stream_key, service, instance, session_key, kind, opened_at, closed_by)"
              " VALUES")
    with psycopg.connect(database_url, autocommit=True) as conn:
        for age, session, closed_by in ((90, 1, "interrupted"), (90, 2, None), (90, 3, None), (1, 4, "interrupted")):
            conn.execute(
                f"{stream} (gen_random_uuid(), 's', 'i', %s, 'get', now() - make_interval(days => %s), %s)".encode(),
                (uuid.UUID(int=session), age, closed_by))
        conn.execute("INSERT INTO weir.segments (segment, stream, offset_bytes, done, updated_at)"
                     " VALUES (gen_random_uuid(), %s, 1, false, now())", (HELD,))
        conn.execute("INSERT INTO weir.open_exchanges (stream, exchange, recorder, service, session_key, state)"
                     " VALUES (%s, 1, gen_random_uuid(), 's', %s, '')", (HELD, uuid.UUID(int=3)))
        for age in (1, 100, 500):
            conn.execute(
                "INSERT INTO weir.catalog_rows (service, content_hash, tool, first_seen, last_seen)"
                " VALUES ('s', %s, 't', now(), now() - make_interval(days => %s))", (b"%d" % age, age))
        deleted = retention.prune(conn, 30 * 86400)
    assert (deleted["stream_rows"], deleted["catalog_rows"]) == (2, 1)
    left = query(database_url, "SELECT session_key FROM weir.stream_rows ORDER BY 1")
    assert left == [(uuid.UUID(int=3),), (uuid.UUID(int=4),)]


def test_two_that_need_the_same_day_at_once_both_get_it(database_url: str) -> None:
    ensure, said = "SELECT weir.ensure_partition((now() AT TIME ZONE 'UTC')::date)", []
    with psycopg.connect(database_url) as first, psycopg.connect(database_url, autocommit=True) as second:
        assert first.execute(ensure).fetchone() == (True,)
        waits = threading.Thread(target=lambda: said.append(second.execute(ensure).fetchone()))
        waits.start()
        time.sleep(0.1)  # it is held up by the first, for 0.3 s at most
        first.commit()
        waits.join()
    assert said in ([(True,)], [(False,)])  # false: it waited too long here, and takes the default partition
