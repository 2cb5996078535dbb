"""Cost: prices per million tokens from a TOML file, for a declared model only. Always an estimate."""

from dataclasses import dataclass
from pathlib import Path

from mcp_weir.store.shapes import Cost


@dataclass(frozen=True, slots=True)
class Prices:
    """One model's prices per million tokens."""

    model: str
    currency: str
    tokens_in: float
    tokens_out: float


def load_prices(path: Path | None, model: str | None) -> Prices | None:
    """The declared model's prices; None where either is not given. UsageError for what is no price file."""
    return None


def cost(prices: Prices | None, tokens_in: int, tokens_out: int) -> Cost | None:
    """What these tokens would cost as a model's input and output; None without prices."""
    return None
