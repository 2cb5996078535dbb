"""Memory of each process at rest, and the time from start to the first forwarded request."""

import compileall
import http.client
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import processes
import results
from load import wrk

import mcp_weir
from mcp_weir.store.embedded import EmbeddedPostgres


def _first_answer(port: int, began: float) -> float:
    while time.monotonic() - began < 30:
        try:
            if _asked(port) == 200:
                return time.monotonic() - began
        except OSError:
            pass
        time.sleep(0.005)
    raise SystemExit("no answer within 30 s")


def _asked(port: int) -> int:
    """The status of one request; raises OSError while nobody answers."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    conn.request("POST", "/mcp", b'{"jsonrpc":"2.0","id":1,"method":"ping"}', {"Content-Type": "application/json"})
    status = conn.getresponse().status
    conn.close()
    return status


def main() -> int:
    """Print JSON: seconds to the first answer, KiB (PSS) of each process idle and after load."""
    args = results.parser("Memory at rest, and the time to the first forwarded request.").parse_args()
    compileall.compile_dir(Path(mcp_weir.__file__).parent, quiet=1)  # as pip does with what it installs
    with tempfile.TemporaryDirectory() as home, processes.nginx(0) as upstream:
        postgres = EmbeddedPostgres(Path(home))
        url = postgres.start()
        found: dict[str, object] = {}
        for attempt in ("cold", "warm"):
            port = processes.free_port()
            began = time.monotonic()
            child = subprocess.Popen(
                [sys.executable, "-m", "mcp_weir", "up", "--upstream", f"http://127.0.0.1:{upstream.port}/mcp",
                 "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{processes.free_port()}",
                 "--data-dir", str(Path(home) / "weir"), "--log-level", "error"],
                env={**os.environ, "WEIR_DATABASE_URL": url}, stdout=subprocess.DEVNULL,
            )
            try:
                found[f"first_answer_s_{attempt}"] = round(_first_answer(port, began), 2)
                time.sleep(4)
                found[f"idle_kib_{attempt}"] = _memory(child.pid)
                wrk(port, connections=32, seconds=5, core=0)
                time.sleep(6)
                found[f"after_load_kib_{attempt}"] = _memory(child.pid)
            finally:
                child.terminate()
                child.wait(40)
        postgres.stop()
    return results.say("footprint", found, args.keep)


def _memory(pid: int) -> dict[str, int]:
    said: dict[str, int] = {}
    for one in processes.descendants(pid):
        words = Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0")
        name = words[3].decode() if b"mcp_weir" in words and len(words) > 3 else words[0].decode()
        said[f"{name} {one}"] = processes.memory_kb(one)
    said["total"] = sum(said.values())
    return said


if __name__ == "__main__":
    sys.exit(main())
