"""How the recorder fares: one value, replaced whole, that the admin port reads from another thread."""

import dataclasses
import time
from collections.abc import Mapping
from datetime import datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Counts are since this recorder started; times ending in `_at_s` are time.monotonic()."""

    connected: bool = False
    last_error: str | None = None  # masked; None while all is well
    schema_problem: str | None = None  # nothing can be written until an operator mends this
    rows: int = 0
    quick: int = 0  # of the rows, those that needed no joins
    lines: int = 0
    batches: int = 0
    quarantined: int = 0
    damaged_lines: int = 0
    torn_bytes: int = 0
    lag_bytes: int = 0  # spooled and not committed
    behind_since_s: float | None = None  # since when something has been waiting
    passed_at_s: float = 0.0  # when the loop last came round: a frozen database shows here
    committed_at: datetime | None = None
    watermark: datetime | None = None  # every live worker has been read up to here
    streams: int = 0
    strange: Mapping[str, str] = dataclasses.field(default_factory=dict)  # files that are no segments of ours, and why

    @property
    def oldest_unacked_s(self) -> float:
        """How long something has been waiting, in seconds; 0 when nothing is."""
        return 0.0 if self.behind_since_s is None else max(0.0, time.monotonic() - self.behind_since_s)

    @property
    def stuck_s(self) -> float:
        """How long the loop has not come round, in seconds: more than a few mean a database that does not answer."""
        return max(0.0, time.monotonic() - self.passed_at_s)
