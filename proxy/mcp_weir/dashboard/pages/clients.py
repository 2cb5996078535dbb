"""Clients, the revisions they speak, and users where they are known."""

import dataclasses

from mcp_weir.dashboard.filters import Param
from mcp_weir.dashboard.page import Ask, Page
from mcp_weir.store import reads
from mcp_weir.store.shapes import ClientSummary, EraPoint, EraShare, PrincipalSummary


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientsView:
    """Clients and eras of the window."""

    clients: tuple[ClientSummary, ...]
    eras: tuple[EraShare, ...]
    era_series: tuple[EraPoint, ...]


async def clients(ask: Ask) -> ClientsView:
    """Who connects, in which version, and who still speaks which revision."""
    where = ask.where(client=ask.filters["client"])
    came = await reads.seen(ask.conn, ask.window, where)
    found = await reads.clients(ask.conn, ask.window, where, limit=ask.filters.limit or 200, known=came)
    return ClientsView(clients=found, eras=came.eras, era_series=came.era_series)


async def users(ask: Ask) -> tuple[PrincipalSummary, ...]:
    """Principals seen in the window, most requests first."""
    where = ask.where(client=ask.filters["client"], principal=ask.filters["principal"], text=ask.filters["text"])
    return await reads.principals(ask.conn, ask.window, where, limit=ask.filters.limit or 100)


PAGES = (
    Page(
        path="/clients", title="Clients and eras", says="Who connects, and who still speaks which revision.",
        template="clients.html", view=clients, nav="/clients", listed=True, params=(Param("client", "Client"),),
    ),
    Page(
        path="/users", title="Users", says="Who calls, where requests carry credentials.",
        template="users.html", view=users, nav="/users", listed=True,
        params=(Param("text", "Part of a name"), Param("client", "Client"), Param("principal", "Key or name")),
    ),
)
