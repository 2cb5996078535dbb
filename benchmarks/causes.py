"""Where a request's CPU goes, by cause, in the weir and in nginx: `python benchmarks/causes.py`; needs perf.

The relay is sampled at full load on a core of its own; the share of a shared object, times the CPU of a request, is in
microseconds. What is left between the weir and nginx is the difference of the two columns.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import processes
import results
from load import wrk
from processes import Contestant

CORE, OTHER = 1, 0
CONTESTANTS: dict[str, Contestant] = {
    "weir": lambda core, port: processes.weir(core, port),
    "weir, not recording": lambda core, port: processes.weir(core, port, "--record", "off"),
    "nginx": lambda core, port: processes.nginx(core, port),
}
CAUSES = (  # of an object's name, and of a symbol's in the kernel; the first that fits
    ("kernel: files (the spool)", r"^\[(?:k|g).* .*(?:ext4|jbd2|fdatasync|vfs_write$|blk_|bio_|folio|writeback|iomap)"),
    ("kernel: sockets and the rest", r"^\[(?:k|g|vdso)"),
    ("HTTP parsers", r"^(?:_http_parser|_http_writer|parser\.|url_parser)"),
    ("event loop (uvloop)", r"^loop\."),
    ("JSON (msgspec)", r"^_core\."),
    ("our compiled modules", r"mypyc|^(?:wire|traffic|relay|spool)\b"),
    ("interpreter: allocation and collection",
     r"^(?:python|libpython)\S* (?:_?PyObject_(?:Malloc|Free|GC)|gc_|.*[Dd]ealloc|.*_GC_|visit_|subtract_refs)"),
    ("interpreter", r"^(?:python|libpython)"),
    ("nginx itself", r"^nginx"),
    ("libc, zlib and the rest", r""),
)


def sampled(pid: int, seconds: float) -> Iterator[tuple[float, str]]:
    """(share, "object symbol") of a process."""
    with tempfile.TemporaryDirectory() as home:
        data = str(Path(home) / "perf.data")
        record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-o", data, "-p", str(pid)]
        subprocess.run([*record, "--", "sleep", str(seconds)], check=True, stderr=subprocess.DEVNULL)
        report = ["perf", "report", "-i", data, "--stdio", "--sort", "dso,symbol", "-t", "|", "--percent-limit", "0"]
        text = subprocess.run(report, check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        if found := re.match(r"\s*([\d.]+)% *\|(\S+) *\|\[.\] (\S+)", line):
            yield float(found[1]) / 100, f"{found[2]} {found[3]}"


def causes(contestant: Contestant, seconds: float) -> dict[str, float]:
    """Microseconds of each cause for a request."""
    with processes.nginx(OTHER) as upstream, contestant(CORE, upstream.port) as running:
        wrk(running.port, connections=32, seconds=1, core=OTHER)
        before = running.cpu_s()
        load = wrk(running.port, connections=32, seconds=seconds, core=OTHER)
        each = (running.cpu_s() - before) / load.requests * 1e6
        more = subprocess.Popen(["taskset", "-c", str(OTHER), "wrk", "-t1", "-c32", f"-d{round(seconds + 3)}s", "-s",
                                 str(processes.HERE / "call.lua"), f"http://127.0.0.1:{running.port}/mcp"],
                                stdout=subprocess.DEVNULL)
        samples = list(sampled(running.pids[-1], seconds))
        more.wait(60)
    found = dict.fromkeys((name for name, _ in CAUSES), 0.0)
    for share, what in samples:
        found[next(name for name, form in CAUSES if re.search(form, what))] += share * each
    return {"in all": round(each, 1)} | {name: round(us, 1) for name, us in found.items()}


def main() -> int:
    """Print what came out."""
    parser = results.parser("Where a request's CPU goes, by cause.")
    parser.add_argument("--seconds", type=float, default=6)
    args = parser.parse_args()
    return results.say("causes", {name: causes(one, args.seconds) for name, one in CONTESTANTS.items()}, args.keep)


if __name__ == "__main__":
    sys.exit(main())
