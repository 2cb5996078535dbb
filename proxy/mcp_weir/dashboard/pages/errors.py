"""Errors by layer, by whose fault, and grouped by message."""

import dataclasses

from mcp_weir.dashboard.filters import Param
from mcp_weir.dashboard.page import Ask, Page
from mcp_weir.store import reads
from mcp_weir.store.shapes import ErrorGroup, Point, Totals
from mcp_weir.store.shapes.names import FAULTS, LAYERS, OUTCOMES


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorsView:
    """Groups of like failures; their sums by layer and fault; the series they stand in."""

    groups: tuple[ErrorGroup, ...]
    by_layer: dict[str, int]
    by_fault: dict[str, int]
    totals: Totals
    previous: Totals
    series: tuple[Point, ...]


async def errors(ask: Ask) -> ErrorsView:
    """What fails, where in the stack, and who can mend it."""
    asked = ask.filters
    where = ask.where(
        layer=asked["layer"], fault=asked["fault"], tool=asked["tool"], outcome=asked["outcome"],
        client=asked["client"], method=asked["method"], text=asked["text"],
    )
    whole = ask.where(tool=asked["tool"], client=asked["client"], method=asked["method"])
    groups = await reads.errors(ask.conn, ask.window, where, limit=asked.limit or 100)
    return ErrorsView(
        groups=groups,
        by_layer={layer: sum(g.count for g in groups if g.layer == layer) for layer in LAYERS},
        by_fault={fault: sum(g.count for g in groups if g.fault == fault) for fault in FAULTS},
        totals=await reads.totals(ask.conn, ask.window, whole),
        previous=await reads.totals(ask.conn, ask.window.previous, whole),
        series=await reads.series(ask.conn, ask.window, whole),
    )


PAGES = (
    Page(
        path="/errors", title="Errors", says="Four layers, whose fault, grouped by message.",
        template="errors.html", view=errors, nav="/errors", listed=True,
        params=(
            Param("layer", "Layer", LAYERS), Param("fault", "Whose fault", FAULTS),
            Param("outcome", "Outcome", OUTCOMES), Param("tool", "Tool"), Param("client", "Client"),
            Param("method", "Method"), Param("text", "Text in messages"),
        ),
    ),
)
