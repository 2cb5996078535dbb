"""Load: wrk for requests, and what it says as values."""

import dataclasses
import http.client
import json
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """One run of wrk; times in milliseconds."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def wrk(port: int, *, connections: int, seconds: float, core: int | None, **env: str) -> Load:
    """Post tool calls for so many whole seconds; `env` goes to call.lua. Raises RuntimeError when wrk fails."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s",
               "-s", str(HERE / "call.lua"), f"http://127.0.0.1:{port}/mcp"]
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env})
    line = next((line for line in run.stdout.splitlines() if line.startswith("RESULT")), None)
    if line is None:
        raise RuntimeError(run.stderr[-500:] or run.stdout[-500:])
    count, duration, status, errors, p50, p99, _ = line.split()[1:]
    return Load(
        int(count), int(duration) / 1e6, int(status) + int(errors), float(p50) / 1000, float(p99) / 1000
    )


def open_session(port: int) -> str | None:
    """Initialize a legacy session; its id, or None where the server keeps none."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    conn.request("POST", "/mcp", json.dumps(hello), headers)
    answer = conn.getresponse()
    answer.read()
    session = answer.getheader("mcp-session-id")
    if session:
        headers |= {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    conn.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}), headers)
    conn.getresponse().read()
    conn.close()
    return session
