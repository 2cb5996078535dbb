"""Logs: JSON lines on stderr (readable ones on a terminal). What a client sent never gets into them.

structlog loads rich, where that is installed, for tracebacks that we do not let it draw (they show locals): a tenth of
a second and 3 MB for every process. So it is told that there is none, while it is imported.
"""

import contextlib
import logging
import sys
import traceback

_RICH = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    del sys.modules["rich"]
    if _RICH is not None:
        sys.modules["rich"] = _RICH

_THEIRS = ("aiohttp.server", "aiohttp.client", "aiohttp.web", "aiohttp.internal", "asyncio", "psycopg.pool",
           "opentelemetry", "urllib3")


def info(event: str, **said: object) -> None:
    """Something that an operator may want to know."""
    with contextlib.suppress(OSError):  # nobody reads them any more: no reason to end
        structlog.get_logger().info(event, **said)


def warning(event: str, **said: object) -> None:
    """Something that goes on in spite of it."""
    with contextlib.suppress(OSError):
        structlog.get_logger().warning(event, **said)


def error(event: str, **said: object) -> None:
    """Something that does not."""
    with contextlib.suppress(OSError):
        structlog.get_logger().error(event, **said)


def configure(level: str = "info") -> None:
    """What this process says from now on, the loggers of its libraries included."""
    _configure(level)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_NameOnly())
    for name in _THEIRS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.DEBUG if level == "debug" else logging.ERROR)


def _configure(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _render(logger: object, method: str, said: structlog.typing.EventDict) -> str | bytes:
    if sys.stderr.isatty():  # rich's tracebacks would show locals
        shown = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        return shown(logger, method, said)
    return structlog.processors.JSONRenderer()(logger, method, said)


class _NameOnly(logging.Filter):
    """aiohttp logs the text of bad requests, headers included: keep the kind of trouble, drop its words."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = where = ""
        if record.exc_info and record.exc_info[0]:
            kind = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            where = f"at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
        record.msg, record.args = " ".join((record.name, record.levelname.lower(), kind, where)).strip(), ()
        record.exc_info = record.exc_text = None
        return True


_configure("info")
