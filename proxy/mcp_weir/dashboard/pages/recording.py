"""How recording fares: seen against stored, gaps, and what lies in quarantine."""

import dataclasses

from mcp_weir.dashboard.page import Ask, Page, wanted
from mcp_weir.store import reads
from mcp_weir.store.shapes import CoverageRow, Health
from mcp_weir.store.shapes import Page as Piece


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """Sums of the window and its minutes, the newest first."""

    health: Health
    minutes: Piece[CoverageRow]


async def recording(ask: Ask) -> RecordingView:
    """What is not recorded is counted: every exchange is stored, waiting, open, dropped or quarantined."""
    found = await reads.health(ask.conn, ask.window, ask.where())
    minutes = await wanted(reads.coverage(
        ask.conn, ask.window, ask.where(), cursor=ask.filters.after, limit=ask.filters.limit or 60
    ))
    return RecordingView(health=found, minutes=minutes)


PAGES = (
    Page(
        path="/recording", title="Recording", says="Exchanges seen against exchanges stored; gaps; quarantine.",
        template="recording.html", view=recording, nav="/recording", listed=True, paged=True,
    ),
)
