"""Figures and times in a reader's form. Pure; the templates' filters."""

from datetime import UTC, datetime

_DASH = "–"


def number(value: float | None) -> str:
    """1,234; 12.3k; 4.56M."""
    if value is None:
        return _DASH
    if abs(value) < 10_000:
        return f"{value:,.0f}"
    for limit, unit in ((1e6, "k"), (1e9, "M"), (1e12, "G")):
        if abs(value) < limit * 0.9995:
            return f"{_three(value / limit * 1000)}{unit}"
    return f"{_three(value / 1e12)}T"


def exact(value: float | None) -> str:
    """Every digit, in groups of three."""
    return _DASH if value is None else f"{value:,.0f}"


def ms(value: float | None) -> str:
    """Milliseconds as 0.45 ms, 45 ms, 1.2 s, 3 min 5 s, 2 h 4 min."""
    if value is None:
        return _DASH
    if value == 0:
        return "0 ms"
    if value < 9.95:
        return f"{value:.2f} ms" if value < 0.995 else f"{value:.1f} ms"
    if value < 999.5:
        return f"{value:.0f} ms"
    if value < 9_950:
        return f"{value / 1000:.1f} s"
    return seconds(value / 1000)


def seconds(value: float | None) -> str:
    """A length of time in its two largest units."""
    if value is None:
        return _DASH
    whole = round(max(value, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    if whole < 86400:
        minutes = whole % 3600 // 60
        return f"{whole // 3600} h" + (f" {minutes} min" if minutes else "")
    hours = whole % 86400 // 3600
    return f"{whole // 86400} d" + (f" {hours} h" if hours else "")


def size(value: float | None) -> str:
    """Bytes with binary units."""
    if value is None:
        return _DASH
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{_three(value)} {unit}"
        value /= 1024
    return f"{_three(value)} TiB"


def percent(share: float | None) -> str:
    """A share of one: 0 %, 0.25 %, 1.2 %, 34 %."""
    if share is None:
        return _DASH
    value = share * 100
    if value == 0 or abs(value) >= 9.95:
        return f"{value:.0f} %"
    return f"{value:.2f} %" if abs(value) < 0.995 else f"{value:.1f} %"


def change(now: float | None, before: float | None) -> str:
    """Against the period before: +12 %, −3 %, ×4.2, new; empty where nothing can be said."""
    if now is None or before is None or (not before and not now):
        return ""
    if not before:
        return "none before"
    ratio = now / before
    if ratio >= 3:
        return f"×{_three(ratio)}"
    rise = round((ratio - 1) * 100)
    return "±0 %" if rise == 0 else f"{'+' if rise > 0 else '−'}{abs(rise)} %"


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, roughly; the exact time belongs into a title."""
    if at is None:
        return _DASH
    gone = (now - at).total_seconds()
    if gone < 0:
        return "in " + _rough(-gone) if gone < -60 else "now"  # clocks differ a little
    return "now" if gone < 2 else f"{_rough(gone)} ago"


def stamp(at: datetime | None) -> str:
    """2026-11-25 14:03:07.123 UTC."""
    return _DASH if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} UTC"


def clock(at: datetime | None) -> str:
    """14:03:07.123, where the day is said elsewhere."""
    return _DASH if at is None else f"{at.astimezone(UTC):%H:%M:%S}.{at.microsecond // 1000:03d}"


def money(value: float | None, currency: str = "$") -> str:
    """An estimate; small sums keep two digits that count."""
    if value is None:
        return _DASH
    return f"≈ {currency}{value:,.2f}" if value >= 0.1 or value == 0 else f"≈ {currency}{value:.2g}"


def _rough(gone: float) -> str:
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86400 * 2, 3600, "h")):
        if gone < limit:
            return f"{gone / unit:.0f} {name}"
    return f"{gone / 86400:.0f} d"


def _three(value: float) -> str:
    """About three digits."""
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.1f}"
