"""Reading commands: what the dashboard shows, as tables or JSON."""

from typing import Any
from uuid import UUID

import click

from mcp_weir.cli.asking import Asked, asking, read, say
from mcp_weir.errors import StoreError, UsageError

_NOTHING = "nothing in this time; --since asks for more"


@click.command()
@asking("service", "client", "principal", "status", "era", "end_reason", "ghosts", "errors", "text")
@click.option("--sort", default="-last_seen_at", show_default=True, help="A column; - before it for falling.")
def sessions(asked: Asked, sort: str, **said: Any) -> None:
    """Who came: sessions alive since then, newest first."""
    from mcp_weir.reports import ask, tables
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    window = ask.exactly(asked.since, asked.until)
    found = read(asked, lambda conn: reads.sessions(conn, window, Filter(**said), sort=sort, limit=asked.limit))
    say(asked, found.items, lambda: tables.sessions(found.items, asked.zone), _NOTHING)


@click.command()
@asking(limit=500)
@click.argument("id")
def session(asked: Asked, id: str) -> None:
    """One session as a timeline; ID is its key or how it begins."""
    from mcp_weir.reports import screens
    from mcp_weir.store import reads

    async def look(conn: Any) -> Any:
        return await reads.session(conn, await one_session(conn, id), limit=asked.limit)

    found = read(asked, look)
    say(asked, found, lambda: screens.session(found, asked.zone))


async def one_session(conn: Any, prefix: str) -> UUID:
    """The key of the session that begins so. Raises StoreError for none, UsageError for several."""
    from mcp_weir.store import reads

    found = await reads.find_sessions(conn, prefix, limit=6)
    if not found:
        raise StoreError(f"no session begins with {prefix[:40]!r}")
    if len(found) > 1:
        keys = ", ".join(str(other.session_key) for other in found[:5])
        raise UsageError(f"several sessions begin with {prefix[:40]!r}: {keys}{', ...' if len(found) > 5 else ''}")
    return found[0].session_key


@click.command()
@asking("service", "tool", "client", "method", "outcome", "errors", "session", "slow_ms", "principal", "era", "layer",
        "fault", "text")
@click.option("--sort", default="-started_at", show_default=True, help="A column; - before it for falling.")
def requests(asked: Asked, sort: str, session: str | None, **said: Any) -> None:
    """What was asked, and how it ended; newest first, running ones included."""
    from mcp_weir.reports import ask, tables
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    window = ask.exactly(asked.since, asked.until)

    async def look(conn: Any) -> Any:
        key = None if session is None else await one_session(conn, session)
        return await reads.requests(conn, window, Filter(session=key, **said), sort=sort, limit=asked.limit)

    found = read(asked, look).items
    say(asked, found, lambda: tables.requests(found, asked.zone), _NOTHING)


@click.command()
@asking("service", "client", "errors", "text", limit=200)
@click.argument("name", required=False)
@click.option("--sort", default="-calls", show_default=True, help="A figure or name; - before it for falling.")
def tools(asked: Asked, name: str | None, sort: str, **said: Any) -> None:
    """Tools: volume, latency, errors; with NAME, one tool whole."""
    from mcp_weir.reports import ask, screens, tables
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    window, where = ask.window(asked.since, asked.until), Filter(**said)
    if name is not None:
        one = read(asked, lambda conn: reads.tool(conn, window, name, where))
        if one is None:
            raise StoreError(f"no tool {name[:100]!r} was called or listed in this time")
        say(asked, one, lambda: screens.tool(one, window, asked.zone))
        return
    found = read(asked, lambda conn: reads.tools(conn, window, where, sort=sort, limit=asked.limit))
    say(asked, found, lambda: tables.tools(found, asked.zone), _NOTHING)


@click.command()
@asking("service", "client", "tool", limit=100)
def clients(asked: Asked, **said: Any) -> None:
    """Clients, most requests first, and the revisions they speak."""
    from mcp_weir.reports import ask, tables
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    window = ask.window(asked.since, asked.until)
    found = read(asked, lambda conn: reads.clients(conn, window, Filter(**said), limit=asked.limit))
    say(asked, found, lambda: tables.clients(found, asked.zone), _NOTHING)


@click.command()
@asking("service", "client", "session", "kind", "open")
def streams(asked: Asked, session: str | None, open_: bool | None, **said: Any) -> None:
    """Standing streams, newest first."""
    from mcp_weir.reports import ask, tables
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    window = ask.exactly(asked.since, asked.until)
    status = None if open_ is None else ("open" if open_ else "closed")

    async def look(conn: Any) -> Any:
        key = None if session is None else await one_session(conn, session)
        return await reads.streams(conn, window, Filter(session=key, status=status, **said), limit=asked.limit)

    found = read(asked, look).items
    say(asked, found, lambda: tables.streams(found, asked.zone), _NOTHING)


@click.command()
@asking("service")
def coverage(asked: Asked, **said: Any) -> None:
    """Exchanges seen against stored, by minute and instance, newest first."""
    from mcp_weir.reports import ask, tables
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    window = ask.exactly(asked.since, asked.until)
    found = read(asked, lambda conn: reads.coverage(conn, window, Filter(**said), limit=asked.limit)).items
    say(asked, found, lambda: tables.coverage(found, asked.zone), _NOTHING)


@click.command()
@asking("service", "client", "tool", "outcome", "layer", "fault", "text")
def errors(asked: Asked, **said: Any) -> None:
    """Failures, alike ones together: in which layer, and whose fault."""
    from mcp_weir.reports import ask, tables
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    window = ask.window(asked.since, asked.until)
    found = read(asked, lambda conn: reads.errors(conn, window, Filter(**said), limit=asked.limit))
    say(asked, found, lambda: tables.errors(found, asked.zone), _NOTHING)


@click.command()
@asking("service", "client", "principal", "text")
def users(asked: Asked, **said: Any) -> None:
    """Users, most requests first: by keyed hash, by name only with --keep-principal."""
    from mcp_weir.reports import ask, tables
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    window = ask.window(asked.since, asked.until)
    found = read(asked, lambda conn: reads.principals(conn, window, Filter(**said), limit=asked.limit))
    say(asked, found, lambda: tables.users(found, asked.zone), "no request of this time named a user")


@click.command()
@asking("service", limit=20)
@click.argument("words", nargs=-1, required=True)
def search(asked: Asked, words: tuple[str, ...], **said: Any) -> None:
    """Tools, clients, users, sessions and requests that hold WORDS, or whose key begins so."""
    from mcp_weir.reports import ask, tables
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    window = ask.exactly(asked.since, asked.until)
    found = read(asked, lambda conn: reads.search(conn, window, " ".join(words), Filter(**said), limit=asked.limit))
    say(asked, found, lambda: tables.hits(found, asked.zone), _NOTHING)
