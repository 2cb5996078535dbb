"""The Inspector's CLI, a process for each request: `inspector_client.py NODE INSPECTOR URL CALLS`."""

import hashlib
import json
import subprocess
import sys
from typing import Any


def ask(command: list[str], method: str, target: str | None, more: list[str]) -> list[Any]:
    """One request; its outcome in the weir's own words."""
    run = subprocess.run([*command, "--method", method, *more], capture_output=True, text=True, timeout=60)
    try:
        found = json.loads(run.stdout)
    except json.JSONDecodeError:
        return [method, target, "rpc_error", ""]
    seen = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:12]
    return [method, target, "tool_error" if found.get("isError") else "ok", seen]


def main(node: str, inspector: str, url: str, calls: list[Any]) -> list[Any]:
    """The whole conversation; each call is preceded by nothing of its own but `initialize`."""
    command = [node, inspector, "--cli", url, "--transport", "http"]
    done = [ask(command, "tools/list", None, [])]
    for name, arguments in calls:
        more = ["--tool-name", name]
        for key, value in arguments.items():
            more += ["--tool-arg", f"{key}={value}"]
        done.append(ask(command, "tools/call", name, more))
    return done


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))))
