"""Passwords in URLs are not shown. Apart from connect.py: who masks a URL need not load a database driver."""

import re

_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@/\s]*@|(password\s*=\s*)('[^']*'|\S+)", re.IGNORECASE)


def mask(text: str) -> str:
    """The text with passwords of URLs and conninfo strings replaced."""
    return _PASSWORD.sub(lambda m: f"{m[1]}***@" if m[1] else f"{m[2]}***", text)
