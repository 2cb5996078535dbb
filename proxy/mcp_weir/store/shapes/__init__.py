"""What reads return: frozen values for pages, tables and their JSON twins. No SQL, no I/O.

Times are aware UTC datetimes; durations milliseconds; sizes bytes; tokens are estimates (ceil(bytes / 4)). Bytes keys
are hex text, so that every shape goes to JSON as it is (`to_json`). Every text that a client or server sent is hostile.
"""

from typing import Any

import msgspec

from mcp_weir.store.shapes.figures import (
    Cost,
    Point,
    Share,
    Totals,
)
from mcp_weir.store.shapes.groups import (
    CatalogVersion,
    ClientSummary,
    ContextEntry,
    ContextLedger,
    EraPoint,
    EraShare,
    ErrorGroup,
    PrincipalSummary,
    SearchHit,
    ToolDetail,
    ToolSummary,
)
from mcp_weir.store.shapes.recording import (
    Alert,
    CoverageRow,
    Gap,
    Health,
    Overview,
    Thresholds,
)
from mcp_weir.store.shapes.rows import (
    RequestDetail,
    RequestRow,
    SessionDetail,
    SessionSummary,
    StreamRow,
    TimelineItem,
)
from mcp_weir.store.shapes.windows import (
    DAY,
    HOUR,
    MINUTE,
    NO_FILTER,
    Filter,
    Page,
    Window,
    floor,
)

__all__ = [
    "Alert",
    "CatalogVersion",
    "ClientSummary",
    "ContextEntry",
    "ContextLedger",
    "Cost",
    "CoverageRow",
    "DAY",
    "EraPoint",
    "EraShare",
    "ErrorGroup",
    "Filter",
    "Gap",
    "HOUR",
    "Health",
    "MINUTE",
    "NO_FILTER",
    "Overview",
    "Page",
    "Point",
    "PrincipalSummary",
    "RequestDetail",
    "RequestRow",
    "SearchHit",
    "SessionDetail",
    "SessionSummary",
    "Share",
    "StreamRow",
    "Thresholds",
    "TimelineItem",
    "ToolDetail",
    "ToolSummary",
    "Totals",
    "Window",
    "floor",
    "to_json",
]


def to_json(value: object) -> Any:
    """A shape as plain JSON values (dict, list, str, numbers): what --json prints and /api answers."""
    return msgspec.to_builtins(value)
