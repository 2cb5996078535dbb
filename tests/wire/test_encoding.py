"""Content codings: whole, in pieces, cut off, damaged, and as bombs."""

import gzip
import tracemalloc
import zlib

import brotli
import pytest
import zstandard

from mcp_weir.wire.encoding import Decoder, decode

LIMIT = 100_000
PLAIN = b'{"jsonrpc":"2.0","id":1,"result":{}}' * 200
CODED = {
    b"gzip": gzip.compress(PLAIN),
    b"x-gzip": gzip.compress(PLAIN[:50]) + gzip.compress(PLAIN[50:]),
    b"deflate": zlib.compress(PLAIN),
    b"Deflate ": zlib.compress(PLAIN)[2:-4],
    b"br": brotli.compress(PLAIN),
    b"zstd": zstandard.compress(PLAIN),
    b"identity, zstd": zstandard.compress(PLAIN[:70]) + zstandard.compress(PLAIN[70:]),
    b"br, gzip": gzip.compress(brotli.compress(PLAIN)),
}
BOMBS = {
    b"gzip": gzip.compress(bytes(50_000_000)),
    b"deflate": zlib.compress(bytes(50_000_000)),
    b"br": brotli.compress(bytes(50_000_000), quality=5),
    b"zstd": zstandard.compress(bytes(50_000_000)),
    b"gzip, gzip": gzip.compress(gzip.compress(bytes(50_000_000))),
}


@pytest.mark.parametrize("coding", CODED)
def test_whole_in_pieces_and_cut(coding: bytes) -> None:
    body = CODED[coding]
    assert decode(body, coding, LIMIT) == PLAIN
    for size in (1, 7, 1000):
        decoder, out = Decoder(coding, LIMIT), b""
        for start in range(0, len(body), size):
            piece = decoder.feed(body[start : start + size])
            assert piece is not None
            out += piece
        assert out == PLAIN and decoder.whole
    assert decode(body[:-5], coding, LIMIT) is None
    assert decode(body, coding, len(PLAIN) - 1) is None
    assert decode(body, coding, len(PLAIN)) == PLAIN


@pytest.mark.parametrize("coding", BOMBS)
def test_a_bomb_is_seen_before_it_bursts(coding: bytes) -> None:
    tracemalloc.start()
    assert decode(BOMBS[coding], coding, LIMIT) is None
    decoder = Decoder(coding, LIMIT)
    assert decoder.feed(BOMBS[coding]) is None and decoder.feed(b"more") is None and not decoder.whole
    assert tracemalloc.get_traced_memory()[1] < 12_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"compress", b"gzip," * 9, b"\xff"])
def test_garbage_is_none(coding: bytes) -> None:
    assert decode(b"\x1f\x8bgarbage that is nothing", coding, LIMIT) is None


def test_nothing_to_decode() -> None:
    assert decode(PLAIN, b"", 1) == decode(PLAIN, b"identity", 1) == PLAIN
