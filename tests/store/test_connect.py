"""A database that cannot be reached is said in one sentence, with the reason and without the password."""

import pytest

from mcp_weir.errors import StoreError
from mcp_weir.store.connect import connect


def test_a_closed_port_is_named_as_such() -> None:
    with pytest.raises(StoreError) as raised:
        connect("postgresql://u:hunter2@127.0.0.1:1/x")
    said = str(raised.value)
    assert "refused" in said and "\t" not in said and not said.endswith("?"), said
    assert "hunter2" not in said
