"""The first page: is it used, is it quick, does it fail, is all of it recorded."""

import dataclasses

from mcp_weir.dashboard.page import Ask, Page
from mcp_weir.store import reads
from mcp_weir.store.shapes import Cost, Overview


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OverviewView:
    """The overview, and what its tokens would cost where a model is declared."""

    overview: Overview
    cost: Cost | None
    previous_cost: Cost | None


async def overview(ask: Ask) -> OverviewView:
    """Figures of the window and of the one before, what happens now, what is wrong."""
    if ask.filters.service is None:
        shell = await ask.shells.get(ask.conn, ask.filters.now)
        known = reads.Around(shell.alerts, shell.services)
    else:
        known = await reads.around(ask.conn, ask.about.thresholds, ask.where())
    found = await reads.overview(ask.conn, ask.window, known, ask.where(), beside=ask.beside)
    prices, now, before = ask.about.prices, found.totals, found.previous
    return OverviewView(
        overview=found,
        cost=reads.cost(prices, now.tokens_in, now.tokens_out),
        previous_cost=reads.cost(prices, before.tokens_in, before.tokens_out),
    )


PAGES = (
    Page(
        path="/", title="Overview", says="Who uses the server, how quick it is, what fails, and what is recorded.",
        template="overview.html", view=overview, nav="/", listed=True, heavy=True,
    ),
)
