"""Logs: JSON lines on stderr (readable ones on a terminal). What a client sent never gets into them."""

import logging
import sys
import traceback

import structlog


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


def configure(level: str = "info") -> None:
    """Set up structlog and the standard library's loggers for this process."""
    number = getattr(logging, level.upper())
    terminal = sys.stderr.isatty()
    shown = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)  # rich's shows locals
    last = shown if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_NameOnly())
    for name in ("aiohttp.server", "aiohttp.client", "aiohttp.web", "aiohttp.internal", "asyncio", "psycopg.pool",
                 "opentelemetry", "urllib3"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.DEBUG if level == "debug" else logging.ERROR)
