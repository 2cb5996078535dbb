"""The seam to destinations beside Postgres: best effort, told after the commit, never asked."""

from typing import Protocol

from mcp_weir.sinks.batch import Batch


class Sink(Protocol):
    """Somebody who wants to know what was recorded. What it raises is logged and changes nothing."""

    @property
    def wants_rows(self) -> bool:
        """It looks at rows one by one; what came the quick way is then made into rows too (Packed.again), at a cost."""
        ...

    def wrote(self, batch: Batch) -> None:
        """This batch is committed. Returns quickly: the drain waits."""
        ...
