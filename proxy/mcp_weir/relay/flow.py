"""The seam between a client's socket and the exchange that runs on it."""

from typing import Protocol


class Flow(Protocol):
    """What a running exchange hears of its client's socket."""

    def client_full(self) -> None:
        """It takes no more for now."""

    def client_ready(self) -> None:
        """It takes again."""

    def client_gone(self) -> None:
        """It is closed."""
