"""Modern tries of legacy clients are probes; refused calls of modern clients are errors."""

from pathlib import Path
from typing import Any

import pytest

from mcp_weir.attribution.joins import Joiner
from mcp_weir.traffic.facts import Identity, Line
from spooling import query, recording, wait

from .script import BASE_US, Exchange, heartbeat, initialize, joined, told
from .test_two_recorders import Replicas, both_have_read

MODERN = "2026-07-28"


def refused(at: float, status: int = 400, name: str = "c", **opened: Any) -> Line:
    """A modern tools/list that the server will not have."""
    one = Exchange(at, session=None, **opened)
    client = Identity(name=name, version="1")
    return [*one.open(), *one.asks(1, "tools/list", protocol_version=MODERN, client=client),
            *one.closes(at + 0.01, status=status)]


def outcomes(*lines: Line, until: float = 10_000) -> list[tuple[str | None, str, list[str]]]:
    found = joined(*lines, until=until)
    return [(row.method, row.outcome, row.flags) for row, _ in sorted(found.rows, key=lambda pair: pair[0].started_at)]


def test_a_refused_modern_try_followed_by_initialize_is_a_probe() -> None:
    assert outcomes(refused(1), initialize(1.1)) == [("tools/list", "ok", ["probe"]), ("initialize", "ok", [])]


@pytest.mark.parametrize("then", [
    initialize(8), initialize(1.1, name="other"), initialize(1.1, client_addr="10.0.0.9"),
    initialize(1.1, principal_key=b"another"),
])
def test_what_another_client_begins_or_comes_later_explains_nothing(then: Line) -> None:
    assert outcomes(refused(1), then)[0] == ("tools/list", "http_error", [])


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_who_was_not_let_in_has_not_probed(status: int) -> None:
    assert outcomes(refused(1, status), initialize(1.1))[0] == ("tools/list", "http_error", [])


def test_an_error_waits_until_no_initialize_can_have_come() -> None:
    joiner = Joiner()
    assert told(joined(refused(1), until=3, joiner=joiner)) == []
    assert told(joined(heartbeat(7), until=7, joiner=joiner)) == [("1", "http_error")]
    assert joiner.fallbacks.since_us is None and not joiner.exchanges


def test_a_try_at_one_replica_and_initialize_at_another_are_one_legacy_client(
    database_url: str, tmp_path: Path
) -> None:
    replicas = Replicas(tmp_path)
    with recording(database_url, replicas.roots[0]), recording(database_url, replicas.roots[1]):
        both_have_read(database_url)
        replicas.write(0, refused(1), BASE_US + 1_100_000)
        replicas.write(1, initialize(1.2), BASE_US + 1_300_000)
        for worker in range(4):
            replicas.writers[worker].heartbeat(BASE_US + 60_000_000)
        wait(lambda: query(database_url, "SELECT method, outcome, flags FROM weir.requests ORDER BY started_at") == [
            ("tools/list", "ok", ["probe"]), ("initialize", "ok", [])])
        replicas.close()
    assert query(database_url, "SELECT source, error_count FROM weir.sessions") == [("header", 0)]
