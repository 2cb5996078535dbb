"""What derived sessions say of client, server and principal beyond the columns of their rows."""

import itertools
import uuid
from pathlib import Path

import pytest

from mcp_weir.attribution.conversations import Conversation
from mcp_weir.attribution.evidence import Asked, Counted, Said, Who
from mcp_weir.traffic.facts import Identity, Line
from spooling import query, recording, wait

from .script import BASE_US, Exchange
from .test_two_recorders import Replicas, both_have_read, settled

SAYS = "SELECT client_capabilities, server_name, server_version, principal FROM weir.sessions"


def conversation() -> Conversation:
    who = Who("s", "i", "modern", None, None, None, None, None, None, None)
    asked = Asked(uuid.UUID(int=1), 0, b"", True, None, "1", False, None, None, who)
    return Conversation(asked.key, b"", True, who, 0, 0, None, 0)


def test_what_was_said_first_stays_in_whatever_order_it_comes() -> None:
    said = [(3, Said(capabilities="{}", server=("late", "9"))), (1, Said(principal="me")), (2, Said(server=("s", "1")))]
    for order in itertools.permutations(said):
        one = conversation()
        for at_us, what in order:
            one.count(Counted(0, True, (1, 0, 0, 0, 0, 0, 0, 0), what), at_us, uuid.UUID(int=at_us))
        assert [one.said(name) for name in ("capabilities", "principal", "server")] == ["{}", "me", ("s", "1")]


def modern(at: float, id: int, server: str | None, flags: tuple[str, ...] = ()) -> Line:
    """A modern call; with `flags` one that has to go the general way."""
    one = Exchange(at, session=None, connection=4, principal="ann", principal_key=b"ann")
    client = Identity(name="c", version="1", capabilities='{"sampling": {}}')
    return [*one.open(), *one.asks(id, client=client, protocol_version="2026-07-28", flags=flags),
            *one.answers(id, at + 0.1, server=Identity(name=server, version="3") if server else None),
            *one.closes(at + 0.1)]


@pytest.mark.parametrize("flags", [(), ("duplicate_id",)])
def test_a_derived_session_knows_what_its_requests_said(
    database_url: str, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    replicas = Replicas(tmp_path)
    want = [({"sampling": {}}, "srv", "3", "ann")]
    with recording(database_url, replicas.roots[0]), recording(database_url, replicas.roots[1]):
        both_have_read(database_url)
        for n, server in ((1, None), (2, "srv"), (3, "later")):
            replicas.write(0, modern(n, n, server, flags), BASE_US + n * 1_000_000)
        replicas.writers[1].heartbeat(BASE_US + 60_000_000)
        for worker in range(4):
            replicas.writers[worker].heartbeat(BASE_US + 60_000_000)
        wait(lambda: settled(database_url, 3))
        assert query(database_url, SAYS) == want
        replicas.write(1, modern(2.5, 9, None), BASE_US + 61_000_000)  # behind the frontier: derived again
        for worker in range(4):
            replicas.writers[worker].heartbeat(BASE_US + 90_000_000)
        wait(lambda: settled(database_url, 4))
        replicas.close()
    assert want[0] in query(database_url, SAYS)
