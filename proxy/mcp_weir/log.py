"""Logs: JSON lines on stderr (readable ones on a terminal). What a client sent never gets into them.

A page of our own: structlog brings asyncio, and rich wherever that is installed, to every process that starts.
"""

import json
import logging
import sys
import time
import traceback

_THEIRS = ("aiohttp.server", "aiohttp.client", "aiohttp.web", "aiohttp.internal", "asyncio", "psycopg.pool",
           "opentelemetry", "urllib3")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_shown = {"from": _LEVELS["info"]}


def info(event: str, **said: object) -> None:
    """Something that an operator may want to know."""
    _say("info", event, said)


def warning(event: str, **said: object) -> None:
    """Something that goes on in spite of it."""
    _say("warning", event, said)


def error(event: str, **said: object) -> None:
    """Something that does not."""
    _say("error", event, said)


def configure(level: str = "info") -> None:
    """What this process says from now on, the loggers of its libraries included."""
    _shown["from"] = _LEVELS[level]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_NameOnly())
    for name in _THEIRS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.DEBUG if level == "debug" else logging.ERROR)


def _say(level: str, event: str, said: dict[str, object]) -> None:
    if _LEVELS[level] < _shown["from"]:
        return
    now = time.time_ns()
    at = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now // 10**9))}.{now // 1000 % 10**6:06}Z"
    if sys.stderr.isatty():  # repr: what would move a terminal's cursor is escaped
        line = " ".join((at, f"{level:7}", event, *(f"{key}={value!r}" for key, value in said.items())))
    else:
        line = json.dumps({**said, "event": event, "level": level, "timestamp": at}, default=repr)
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:  # nobody reads them any more: no reason to end
        return


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
