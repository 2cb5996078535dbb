"""How busy the machine is with others' work: judges of time add that to their bounds, and judge the weir alone."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

# a process that sleeps 5 ms, works for a moment as a relay would, and notes how much longer it took; now and then it
# works for some ms, and notes how long it had to be there for that
_WATCH = """
import json, select, sys, time
late, there, worked = [], 0.0, 1e-9
while not select.select([sys.stdin], [], [], 0)[0]:
    began = time.monotonic()
    time.sleep(0.005)
    sum(range(5000))
    late.append(1e3 * (time.monotonic() - began) - 5)
    if len(late) % 16 == 0:
        began, busy = time.monotonic(), time.process_time()
        sum(range(500_000))
        there += time.monotonic() - began
        worked += time.process_time() - busy
print(json.dumps([late, max(1.0, there / worked)]))
"""
_SLOWER_MAX = 5.0  # beyond that a bound would hold nothing


class Unrest:
    """By how many ms that process was late while the block lasted; NaN before it ends.

    `slower`: how many times as long as alone its work took.
    """

    def __init__(self) -> None:
        self._late: list[float] = []
        self.slower = 1.0

    def quantile(self, part: float) -> float:
        """Of the lateness, in ms."""
        ordered = sorted(self._late)
        return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else float("nan")

    @property
    def worst(self) -> float:
        """The longest lateness, in ms."""
        return self.quantile(1.0)

    @property
    def p99(self) -> float:
        """Of the lateness, in ms: a fraction of one where nobody else runs."""
        return self.quantile(0.99)


@contextlib.contextmanager
def unrest() -> Iterator[Unrest]:
    """Watch the machine meanwhile; read the figures after the block."""
    found = Unrest()
    watch = subprocess.Popen([sys.executable, "-S", "-c", _WATCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield found
    finally:
        said, _ = watch.communicate(timeout=60)
        late, slower = json.loads(said)
        found.slower = min(slower, _SLOWER_MAX)
        found._late += late
