"""Answers of one turn: looked at together, spooled by one write before any goes on; one that fails takes none along."""

import asyncio
import time

import pytest

from mcp_weir.relay.turn import Turn
from mcp_weir.relay.upstream_protocol import Head
from mcp_weir.relay.watch import Recording
from mcp_weir.traffic.facts import Closed, Line


class Spoken:
    """An answer as the turn sees it; says into `story` what happens to it. A `broken` one fails when looked at."""

    def __init__(self, story: list[str], recording: Recording, number: int, broken: bool = False) -> None:
        self.ended, self._story, self._recording, self._number, self._broken = False, story, recording, number, broken

    def look(self, head: Head | None, body: bytes, end: bool, arrived_ns: int) -> list[bytes]:
        assert end
        if self._broken:
            raise RuntimeError("broken on purpose")
        self._story.append(f"look {self._number}")
        self._recording.offer([Closed(exchange=self._number, at_us=1, closed_by="complete")], 1)
        return [body]

    def tell(self, out: list[bytes], size: int) -> None:
        self._story.append(f"tell {out[0].decode()} {size}")

    def cut(self) -> None:
        self._story.append(f"cut {self._number}")


@pytest.fixture
def story() -> list[str]:
    return []


@pytest.fixture
def recording(story: list[str]) -> Recording:
    def offer_all(lines: list[tuple[Line, int]]) -> None:
        story.append("spool " + " ".join(str(line[0].exchange) for line, _ in lines))

    return Recording(offer_all, lambda minute: None)


async def test_all_are_spooled_before_one_is_told(story: list[str], recording: Recording) -> None:
    turn = Turn(recording, {1, 2, 3})
    for number in range(3):
        assert turn.take(Spoken(story, recording, number), None, b"%d" % number, time.monotonic_ns())
    assert story == [], "the turn is not over"
    await asyncio.sleep(0)
    assert story == ["look 0", "look 1", "look 2", "spool 0 1 2", "tell 0 1", "tell 1 1", "tell 2 1"]


async def test_one_alone_does_not_wait(story: list[str], recording: Recording) -> None:
    assert not Turn(recording, {1}).take(Spoken(story, recording, 0), None, b"", 0)


async def test_who_left_meanwhile_is_not_looked_at(story: list[str], recording: Recording) -> None:
    turn = Turn(recording, {1, 2})
    gone, here = Spoken(story, recording, 0), Spoken(story, recording, 1)
    turn.take(gone, None, b"0", 0)
    turn.take(here, None, b"1", 0)
    gone.ended = True
    await asyncio.sleep(0)
    assert story == ["look 1", "spool 1", "tell 1 1"]


async def test_one_that_fails_is_cut_and_takes_none_along(story: list[str], recording: Recording) -> None:
    turn, heard = Turn(recording, {1, 2, 3}), []
    asyncio.get_running_loop().set_exception_handler(lambda loop, said: heard.append(str(said["exception"])))
    for number in range(3):
        turn.take(Spoken(story, recording, number, broken=number == 1), None, b"%d" % number, 0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert story == ["look 0", "spool 0", "cut 1", "tell 0 1", "look 2", "spool 2", "tell 2 1"]
    assert heard == ["broken on purpose"]
