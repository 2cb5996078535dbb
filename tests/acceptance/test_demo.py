"""`demo --once --json`: what is recorded equals what its clients, and its server, know."""

import json
import subprocess
import sys
from pathlib import Path


def test_the_record_of_the_demo_is_the_truth(database_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mcp_weir", "demo", "--once", "--json", "--pace", "0.3"]
    ended = subprocess.run(
        [*command, "--data-dir", str(tmp_path), "--database-url", database_url],
        capture_output=True, text=True, timeout=110,
    )
    assert ended.stderr == ""
    report = json.loads(ended.stdout)
    assert (report["missing"], report["duplicates"], report["wrong"]) == (0, 0, 0), report["differences"]
    assert ended.returncode == 0
    assert report["sent"]["requests"] == report["recorded"]["requests"] == report["sent"]["server_counted"] > 200
    assert report["sessions"]["legacy"] == report["sent"]["conversations"]["legacy"] == 19
    assert report["sessions"]["modern"] >= 9  # derived: one at least for each person and client
    outcomes = {*report["recorded"]["by_outcome"]}
    assert {"ok", "tool_error", "rpc_error", "http_error", "input_required", "cancelled"} <= outcomes
