"""Keyed hashes: stable, separated by service, kept in a file of its own."""

from pathlib import Path

import pytest

from mcp_weir.errors import UsageError
from mcp_weir.keys import Keys, load_or_create


def test_a_session_key_is_stable_and_of_its_service() -> None:
    one, two = Keys(b"k" * 32, "a"), Keys(b"k" * 32, "b")
    assert one.session_key(b"id") == Keys(b"k" * 32, "a").session_key(b"id")
    assert one.session_key(b"id") != two.session_key(b"id")
    assert one.session_key(b"id").version == 8


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    secret = load_or_create(tmp_path / "key")
    assert load_or_create(tmp_path / "key") == secret
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(UsageError):
        load_or_create(tmp_path / "key")
