"""Options made from the settings table, and the database that a command works on."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from mcp_weir.config import FIELDS, Settings, flag, load, shown_default, variable

Command = Callable[..., Any]


def with_settings(*uses: str) -> Callable[[Command], Command]:
    """Give a command the flags of these parts and a `Settings` as its first argument."""

    taken = [name for name, field in FIELDS.items() if set(field.metadata["used_by"]) & set(uses)]

    def wrap(command: Command) -> Command:
        @functools.wraps(command)
        def run(config: Path | None, **said: Any) -> Any:
            # no more than these: a command's own option may have a setting's name (--service of a list is a filter)
            flags = {name: said.pop(name) for name in taken}
            click.get_current_context().obj = functools.partial(load, flags, config)  # for whoever reads them again
            return command(load(flags, config), **said)

        made: Command = click.option(
            "--config", type=click.Path(path_type=Path), envvar="WEIR_CONFIG", help="A TOML file of settings."
        )(run)
        for name in reversed(taken):
            made = _option(name)(made)
        return made

    return wrap


def _option(name: str) -> Callable[[Command], Command]:
    field = FIELDS[name]
    meta = field.metadata
    choices = f" One of {', '.join(meta['choices'])}." if meta["choices"] else ""
    default = shown_default(name).strip("`")
    text = f"{meta['help']}{choices} [{variable(name)}{'; default: ' + default if default else ''}]"
    if meta["kind"] == "flag":
        return click.option(f"{flag(name)}/--no-{name.replace('_', '-')}", name, default=None, help=text)
    if meta["kind"] == "list":
        return click.option(flag(name), name, multiple=True, help=text)
    return click.option(flag(name), name, default=None, help=text, metavar=meta["kind"].upper())


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The URL of the database that the settings name; starts an embedded one for as long as it is needed.

    Raises StoreError where there is none yet.
    """
    from mcp_weir.app.database import database_url
    from mcp_weir.errors import StoreError
    from mcp_weir.store.embedded import EmbeddedPostgres

    url = database_url(settings)
    if url is not None:
        yield url
        return
    if not (settings.data_dir / "postgres").exists():
        raise StoreError(f"no --database-url, and no database in {settings.data_dir}; start `mcp-weir up` first")
    server = EmbeddedPostgres(settings.data_dir)
    try:
        yield server.start()
    finally:
        server.stop()
