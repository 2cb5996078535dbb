"""Tools, one tool, and what listing them costs."""

import dataclasses

from mcp_weir.dashboard.filters import Param
from mcp_weir.dashboard.page import Ask, Page, wanted
from mcp_weir.errors import UsageError
from mcp_weir.store import reads
from mcp_weir.store.shapes import ContextLedger, Cost, ToolDetail, ToolSummary

_SORTS = tuple(f"-{name}" for name in reads.TOOL_SORTS) + reads.TOOL_SORTS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolsView:
    """Tools of the window, what each one's tokens would cost where a model is declared, and the context ledger."""

    tools: tuple[ToolSummary, ...]
    costs: tuple[Cost | None, ...]  # one for each tool
    ledger: ContextLedger


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolView:
    """One tool, and what its calls would cost where a model is declared."""

    detail: ToolDetail
    cost: Cost | None


async def tools(ask: Ask) -> ToolsView:
    """Volume, latency and errors by tool; listed tools that nobody calls; tokens that listing takes."""
    where = ask.where(client=ask.filters["client"], text=ask.filters["text"])
    sort, limit = ask.choice("sort", "-calls"), ask.filters.limit or 500
    found, ledger = await wanted(reads.both(
        ask.conn, ask.beside, lambda one: reads.tools(one, ask.window, where, sort=sort, limit=limit),
        lambda other: reads.ledger(other, ask.window, ask.where()),
    ))
    costs = tuple(reads.cost(ask.about.prices, one.totals.tokens_in, one.totals.tokens_out) for one in found)
    return ToolsView(tools=found, costs=costs, ledger=ledger)


async def tool(ask: Ask) -> ToolView | None:
    """One tool against the period before: latency, errors, slowest calls, callers, neighbours, versions."""
    name = ask.filters["name"]
    if name is None:
        raise UsageError("say which tool: ?name=NAME")
    detail = await reads.tool(ask.conn, ask.window, name, ask.where(client=ask.filters["client"]), beside=ask.beside)
    if detail is None:
        return None
    totals = detail.tool.totals
    return ToolView(detail=detail, cost=reads.cost(ask.about.prices, totals.tokens_in, totals.tokens_out))


PAGES = (
    Page(
        path="/tools", title="Tools", says="How often, how quick, how wrong; listed and never called; context cost.",
        template="tools.html", view=tools, nav="/tools", listed=True, heavy=True,
        params=(
            Param("text", "Part of a name"), Param("client", "Client"), Param("sort", "Order", _SORTS),
        ),
    ),
    Page(
        path="/tool", title="Tool", says="One tool, by its name.", template="tool.html", view=tool, nav="/tools",
        heavy=True, params=(Param("name", "The tool's name"), Param("client", "Client")),
    ),
)
