"""Cost: prices per million tokens from a TOML file, for a declared model only. Always an estimate.

    currency = "USD"
    [models."claude-sonnet"]
    input = 3.0     # a tool's results become a model's input
    output = 15.0   # a model writes a call's arguments
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from mcp_weir.errors import UsageError
from mcp_weir.store.shapes import Cost


@dataclass(frozen=True, slots=True)
class Prices:
    """One model's prices per million tokens, as the model sees them: it reads results and writes arguments."""

    model: str
    currency: str
    input: float
    output: float


def load_prices(path: Path | None, model: str | None) -> Prices | None:
    """The declared model's prices; None where either is not given. Raises UsageError for what is no price file."""
    if path is None or not model:
        return None
    try:
        said = tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"cannot read --prices {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--prices {path} is no TOML: {error}") from None
    models = said.get("models")
    if not isinstance(models, dict) or model not in models:
        known = ", ".join(sorted(models)) if isinstance(models, dict) and models else "none"
        raise UsageError(f"--prices {path} has no [models.{model!r}]; it has {known}")
    prices = (_price(path, models[model], name) for name in ("input", "output"))
    return Prices(model, str(said.get("currency", "USD")), *prices)


def _price(path: Path, entry: object, name: str) -> float:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise UsageError(f"--prices {path}: {name} must be a number from 0, a price per million tokens")
    return float(value)


def cost(prices: Prices | None, tokens_in: int, tokens_out: int) -> Cost | None:
    """What a call's arguments (`tokens_in`, written by a model) and result (`tokens_out`, read by it) would cost.

    None without prices.
    """
    if prices is None:
        return None
    amount = (tokens_in * prices.output + tokens_out * prices.input) / 1e6
    return Cost(model=prices.model, currency=prices.currency, amount=amount, tokens_in=tokens_in, tokens_out=tokens_out)
