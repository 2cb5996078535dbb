"""Whom `db forget SUBJECT` means: a key as it stands in the rows, or a text that hashes to one."""

import re
import uuid

import psycopg

from mcp_weir.config import Settings
from mcp_weir.keys import Keys, load_all
from mcp_weir.recorder.forget import Subject
from mcp_weir.traffic.principals import subject_key


def subject_of(settings: Settings, conn: psycopg.Connection, text: str, issuer: str) -> Subject:
    """A session_key (UUID with dashes), a principal_key (32 hexadecimal digits), or else raw text.

    Text is hashed under every key of the key file and for every service of the database, as a session id, as a
    subject (of this issuer), as the value of a principal header, and as an Authorization header.
    """
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text.lower()):
        return Subject(sessions=frozenset({uuid.UUID(text)}))
    if re.fullmatch(r"[0-9a-f]{32}", text.lower()):
        return Subject(principals=frozenset({bytes.fromhex(text)}))
    sessions: set[uuid.UUID] = set()
    principals: set[bytes] = set()
    said = text.encode()
    for service in _services(conn):
        for secret in load_all(settings.key_file or settings.data_dir / "key"):
            keys = Keys(secret, service)
            sessions.add(keys.session_key(said))
            principals |= {subject_key(keys, text, issuer), subject_key(keys, text, header=True)}
            principals.add(keys.principal_key(said))
    principals |= _kept_as_text(conn, text)
    return Subject(frozenset(sessions), frozenset(principals))


def _services(conn: psycopg.Connection) -> list[str]:
    found = conn.execute("SELECT service FROM weir.session_rows UNION SELECT service FROM weir.coverage_rows")
    return [service for (service,) in found.fetchall()]


def _kept_as_text(conn: psycopg.Connection, text: str) -> set[bytes]:
    found = conn.execute(
        "SELECT DISTINCT principal_key FROM weir.session_rows WHERE principal = %s AND principal_key IS NOT NULL",
        (text,),
    )
    return {key for (key,) in found.fetchall()}
