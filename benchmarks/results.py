"""Figures are kept in one file, from which figures.py makes the tables and plots of docs/performance.md."""

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LOAD = os.getloadavg()[0]  # before anything is measured
FILE = Path(__file__).parent / "results.json"


def parser(what: str) -> argparse.ArgumentParser:
    """A parser with the flags that every benchmark has."""
    made = argparse.ArgumentParser(description=what)
    made.add_argument("--keep", action="store_true", help="write what came out to results.json")
    return made


def kept() -> dict[str, Any]:
    """What was measured last, by benchmark."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def say(name: str, found: Mapping[str, Any], keep: bool) -> int:
    """Print it, and keep it where asked; the exit code."""
    print(json.dumps(found, indent=2))
    if keep:
        every = kept() | {name: found}
        every.get("notes", {}).pop(name, None)
        every["load_before"] = every.get("load_before", {}) | {name: round(_LOAD, 1)}
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(every.items())]
        FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")  # a benchmark a line
    return 0
