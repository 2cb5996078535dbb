"""Whom a text means that is to be forgotten: every form in which rows may know him, under every key of the file."""

import base64
import json
import uuid
from pathlib import Path

import psycopg
import pytest

from mcp_weir.app.subject import subject_of
from mcp_weir.config import Settings
from mcp_weir.keys import Keys
from mcp_weir.recorder.forget import Subject, forget
from mcp_weir.traffic.principals import PrincipalRule, principal_of
from spooling import call, count, drain, query, spool, writer_at

OLD, NEW = b"o" * 32, b"n" * 32
TOKEN = b"Bearer " + b".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (
        {"alg": "none"}, {"sub": "alice", "iss": "https://issuer.test"}, "signature"))


def principal(secret: bytes, service: str = "s", *, rule: str = "auto", **fields: bytes) -> bytes:
    """As a worker hashes whoever sends these fields."""
    said = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    found = principal_of(PrincipalRule.parse(rule), Keys(secret, service), said)
    assert found is not None
    return found.key


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A key file that has been rotated once."""
    (tmp_path / "key").write_text(f"{NEW.hex()}\n{OLD.hex()}\n")
    return Settings(data_dir=tmp_path)


def whom(settings: Settings, url: str, text: str, issuer: str = "") -> Subject:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("INSERT INTO weir.coverage_rows (stream, minute, service, instance)"
                     " SELECT gen_random_uuid(), now(), s, 'i' FROM unnest(ARRAY['s', 't']) AS s")
        return subject_of(settings, conn, text, issuer)


def test_a_text_means_all_that_it_may_hash_to(database_url: str, settings: Settings) -> None:
    meant = whom(settings, database_url, "Bearer secret")
    for secret in (OLD, NEW):
        for service in ("s", "t"):
            assert Keys(secret, service).session_key(b"Bearer secret") in meant.sessions
            assert principal(secret, service, authorization=b"Bearer secret") in meant.principals
    assert principal(OLD, "other", authorization=b"Bearer secret") not in meant.principals
    assert principal(OLD, authorization=b"Bearer secret2") not in meant.principals


def test_a_token_s_subject_is_his_issuer_s(database_url: str, settings: Settings) -> None:
    alice = {principal(secret, authorization=TOKEN) for secret in (OLD, NEW)}
    assert alice <= whom(settings, database_url, "alice", "https://issuer.test").principals
    assert not alice & whom(settings, database_url, "alice").principals
    assert not alice & whom(settings, database_url, "alice", "https://other.test").principals


def test_a_header_s_value_is_found_too(database_url: str, settings: Settings) -> None:
    bob = {principal(secret, rule="header:X-User", x_user=b"bob") for secret in (OLD, NEW)}
    assert bob <= whom(settings, database_url, "bob").principals


def test_a_key_means_itself(database_url: str, settings: Settings) -> None:
    session = uuid.uuid4()
    assert whom(settings, database_url, str(session).upper()) == Subject(sessions=frozenset({session}))
    assert whom(settings, database_url, "AB" * 16) == Subject(principals=frozenset({b"\xab" * 16}))


def test_what_an_old_key_hashed_is_forgotten_after_a_rotation(
    database_url: str, settings: Settings, tmp_path: Path
) -> None:
    writer = writer_at(tmp_path / "spool")
    for number, secret in enumerate((OLD, NEW, OLD)):
        spool(writer, call(number, principal_key=principal(secret, authorization=TOKEN)))
    spool(writer, call(3, session=uuid.uuid4(), principal_key=principal(OLD, authorization=b"Bearer other")))
    drain(database_url, tmp_path / "spool", lambda: count(database_url, "request_rows") == 4)
    with psycopg.connect(database_url, autocommit=True) as conn:
        erased = forget(conn, subject_of(settings, conn, "alice", "https://issuer.test"))
    assert erased["requests"] == 3
    assert query(database_url, "SELECT jsonrpc_id FROM weir.request_rows") == [("3",)]
    writer.close()
