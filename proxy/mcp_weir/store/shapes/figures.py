"""Counts, percentiles and costs, and the points of a series. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts of a window. `calls` are a client's tools/call; percentiles (within 4.5 %) are theirs, else None."""

    requests: int = 0
    calls: int = 0
    errors: int = 0
    call_errors: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    mean_ms: float | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    error_rate: float = 0.0  # share of the requests that failed
    call_error_rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One step of a series. `recorded` is False where exchanges were dropped: a hole or a lower bound."""

    at: datetime
    requests: int = 0
    calls: int = 0
    errors: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    recorded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An estimate in the currency of the price file, for a declared model: tokens are ceil(bytes / 4) to begin with."""

    model: str
    currency: str
    amount: float
    tokens_in: int
    tokens_out: int
    estimate: bool = True  # always


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A name with its count, and how many of them failed."""

    name: str
    count: int
    errors: int = 0
