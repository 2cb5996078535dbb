"""Values as terminal text. Every recorded text is hostile: what could move a cursor, colour or reorder is spelt out."""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

_BARS = " ▁▂▃▄▅▆▇█"
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINS_EMOJI = "\u200d"


def inert(value: object, longest: int = 200) -> str:
    """One line of text without control characters, escapes or direction overrides; rich markup in it stays text."""
    said = "" if value is None else str(value)
    cut = said if len(said) <= longest else said[: longest - 1] + "…"
    return "".join(
        char if char == _JOINS_EMOJI or unicodedata.category(char) not in _INVISIBLE else _shown(char) for char in cut
    )


def _shown(char: str) -> str:
    return char.encode("unicode_escape").decode()


def zone_name(zone: tzinfo | None) -> str:
    """How a table's head says which clock it shows; None is this machine's own."""
    return datetime.now(UTC).astimezone(zone).strftime("%Z") or "local"


def clock(at: datetime | None, zone: tzinfo | None) -> str:
    """A time to the second on the zone's clock."""
    return "" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def ms(value: float | None) -> str:
    """Milliseconds as people read them."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.1f} ms"
    if value < 1000:
        return f"{value:.0f} ms"
    return span(value / 1000)


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def size(value: float | None) -> str:
    """Bytes in binary units."""
    if value is None:
        return ""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return ""


def count(value: int | None) -> str:
    """A whole number with thin groups."""
    return "" if value is None else f"{value:,}"


def share(value: float) -> str:
    """A rate in percent: a rate that is not zero never looks like it."""
    return "0 %" if value == 0 else ("<0.1 %" if value < 0.001 else f"{value * 100:.1f} %")


def change(now: float | None, before: float | None) -> str:
    """Against the period before, in percent; empty where there was nothing."""
    if not before or now is None:
        return ""
    return f"{(now - before) / before * 100:+.0f} %"


def spark(values: Sequence[float], width: int = 60) -> str:
    """A sparkline of at most `width` signs; anything above zero shows."""
    if len(values) > width:
        each = -(-len(values) // width)
        values = [sum(values[start : start + each]) for start in range(0, len(values), each)]
    top = max(values, default=0)
    if top <= 0:
        return " " * len(values)
    return "".join(_BARS[0 if value <= 0 else 1 + round(value / top * 7)] for value in values)


def bar(offset: float, length: float | None, total: float, width: int = 40) -> str:
    """A waterfall's bar of a stretch within `total`; one that still runs ends in an arrow."""
    total = max(total, 1e-9)
    begin = min(width - 1, max(0, int(offset / total * width)))
    if length is None:
        return " " * begin + "━" * (width - begin - 1) + "▶"
    end = min(width, max(begin + 1, round((offset + length) / total * width)))
    return " " * begin + "━" * (end - begin)
