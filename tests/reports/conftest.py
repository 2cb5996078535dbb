"""The store's world, and the command line against it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.store.conftest import World

from mcp_weir.cli import cli
from mcp_weir.errors import UsageError, WeirError


@pytest.fixture
def world(database_url: str) -> World:
    return World(database_url)


@pytest.fixture
def run(database_url: str) -> Callable[..., Result]:
    """`run("sessions", "--json")`, as a shell would see it: output, and exit codes 0, 1, 2."""

    def invoke(*args: str, url: str = database_url) -> Result:
        said = CliRunner().invoke(cli, [args[0], "--database-url", url, *args[1:]])
        if isinstance(said.exception, WeirError):  # main() turns these into one sentence
            said.exit_code = 2 if isinstance(said.exception, UsageError) else 1
        elif said.exception is not None and not isinstance(said.exception, SystemExit):
            raise said.exception
        return said

    return invoke


@pytest.fixture
def asked(run: Callable[..., Result]) -> Callable[..., Any]:
    """What `--json` prints, read."""

    def read(*args: str) -> Any:
        said = run(*args, "--json")
        assert said.exit_code in (0, 1), said.output
        return json.loads(said.stdout)

    return read
