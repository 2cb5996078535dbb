"""Work is counted, not timed: the machine instructions that a small tool call costs the whole relay process.

Unlike test_work.py's calls this sees everything: a second look at a body, a slower library, a larger copy. Callgrind
counts the same on a busy machine as on a quiet one, but needs half a minute: `make work`, which CI runs.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from relay.small_calls import answer_for_ever, ask

COUNTED = 200
MEASURED = 187_000  # instructions of one request in the loop's thread, Python 3.11
ROOM = 1.12
SERVING = Path(__file__).parent / "serving.py"

pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("callgrind_control") is None, reason="needs valgrind"),
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the bound is Python 3.11's"),
]


def instructions_per_request(home: Path) -> float:
    """Counted by callgrind, after the first requests."""
    out, counting = home / "callgrind.out", False
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=answer_for_ever, args=(listener,), daemon=True).start()
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", "-q",
               f"--callgrind-out-file={out}", sys.executable, str(SERVING), str(listener.getsockname()[1])]
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as relay:
        assert relay.stdin is not None and relay.stdout is not None

        def switch() -> None:
            nonlocal counting
            counting = not counting
            said = ["callgrind_control", "-i", "on" if counting else "off", str(relay.pid)]
            subprocess.run(said, check=True, capture_output=True, timeout=60)

        ask(int(relay.stdout.readline()), COUNTED, switch)
        relay.stdin.close()
        assert relay.wait(60) == 0
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    loop = out.with_name(f"{out.name}-01").read_text()  # the main thread: others wake by the clock
    found = re.search(r"^totals: (\d+)", loop, re.MULTILINE)
    assert found is not None
    return int(found[1]) / COUNTED


def test_a_small_call_costs_so_many_instructions(tmp_path: Path) -> None:
    count = instructions_per_request(tmp_path)
    print(f"{count:,.0f} instructions a request")
    assert MEASURED / 2 < count < MEASURED * ROOM, f"{count:,.0f} instructions a request"
