"""SSE lines end three ways, are cut anywhere, and never cost more than they weigh."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_weir.wire.sse import Event, SseDecoder

STREAM = (
    b"\xef\xbb\xbf: hello\n"
    b"id: 7\rdata\rretry: 100\r\r"  # the priming event of 2025-11-25: an id, empty data, retry
    b"event: message\r\ndata: one\r\ndata:  two\r\n\r\n"
    b"id: 8\n\n"
    b"data: x\r\n\n"
    b"unknown: field\n\n"
    b"id: a\0b\ndata: never ended"
)
EVENTS = [
    Event(b"", "message", b"7", 100),
    Event(b"one\n two", "message", None),
    Event(None, "message", b"8"),
    Event(b"x", "message", None),
]


def read(stream: bytes, cuts: list[int], limit: int = 1 << 20) -> list[Event]:
    decoder, events, start = SseDecoder(limit), [], 0
    for cut in [*cuts, len(stream)]:
        events += decoder.feed(stream[start:cut])
        start = cut
    return events


def test_whole_and_byte_by_byte() -> None:
    assert read(STREAM, []) == EVENTS
    assert read(STREAM, list(range(len(STREAM)))) == EVENTS


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_cut_at_random(data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(STREAM)), max_size=12)))
    assert read(STREAM, cuts) == EVENTS


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"data: a", b"id: 1", b":", b"\xef\xbb\xbf", b"data"])))
def test_any_mix_of_ends_is_the_same_however_cut(parts: list[bytes]) -> None:
    stream = b"".join(parts)
    assert read(stream, list(range(len(stream)))) == read(stream, [])


def test_an_event_ended_by_cr_does_not_wait_for_the_next_byte() -> None:
    decoder = SseDecoder(100)
    assert [e.data for e in decoder.feed(b"data: x\r\r")] == [b"x"]
    assert decoder.between_events
    assert decoder.feed(b"\ndata: y\r\n") == []
    assert not decoder.between_events
    assert [e.data for e in decoder.feed(b"\r\n")] == [b"y"]


def test_between_events() -> None:
    decoder = SseDecoder(100)
    assert decoder.between_events
    for piece, between in ((b"da", False), (b"ta: x\n", False), (b"\n", True), (b": hi\n", True), (b"i", False)):
        decoder.feed(piece)
        assert decoder.between_events is between


@pytest.mark.parametrize("piece", [b"x" * 1000, b"x\n" * 500, b"data: y\n" * 100])
def test_memory_is_bounded_by_the_limit(piece: bytes) -> None:
    decoder = SseDecoder(4096)
    decoder.feed(b"data: ")
    for _ in range(200):
        decoder.feed(piece)
        assert len(decoder._part) + len(decoder._data) + len(decoder._more) <= 2 * 4096
    (event,) = decoder.feed(b"\n\n")
    assert event.oversized is (piece != b"x\n" * 500) and (event.data == b"" or not event.oversized)
    assert [e.data for e in decoder.feed(b"data: after\n\n")] == [b"after"]


def test_byte_by_byte_is_linear() -> None:
    def cost(size: int) -> float:
        decoder, began = SseDecoder(1 << 22), time.process_time()
        for byte in b"data: " + b"x" * size:
            decoder.feed(bytes((byte,)))
        return time.process_time() - began

    cost(1000)
    small = min(cost(25_000) for _ in range(3))
    assert min(cost(200_000) for _ in range(3)) < 8 * small * 3  # 8 times the bytes; a square would be 64 times


def test_random_garbage_never_raises() -> None:
    chance = random.Random(3)
    for _ in range(200):
        read(chance.randbytes(300), sorted(chance.sample(range(300), 5)), limit=16)
