"""One part of `up` as a process of its own, without the command line's libraries.

Whoever runs a part alone comes by way of cli/run.py, which has click for its flags; a child's settings are all in its
environment.
"""

import os
import select
import sys
from importlib import import_module
from socket import socket

from mcp_weir import log
from mcp_weir.app.failure import one_sentence
from mcp_weir.config import load

_PATIENCE_S = 5.0


def main() -> None:
    """argv: the part's name and descriptors: `--listen-fd N` or `--admin-fd N`, a socket that the supervisor has bound;
    `--after-fd N`, a pipe whose end is waited for before the part is loaded.
    """
    name, words = sys.argv[1], sys.argv[2:]
    fds = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    if (after := fds.pop("--after-fd", None)) is not None:
        select.select([after], [], [], _PATIENCE_S)
        os.close(after)
    with one_sentence():
        settings = load({}, None)
        log.configure(settings.log_level)
        import_module("mcp_weir.app.aiohttp_first")
        part = import_module(f"mcp_weir.app.{name}").part
        part(settings, next((socket(fileno=fd) for fd in fds.values()), None))
