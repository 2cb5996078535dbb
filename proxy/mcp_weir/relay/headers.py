"""Header lists as they came: tuples of (name, value) bytes, in order. Nothing here alters a value."""

from collections.abc import Iterable

Headers = tuple[tuple[bytes, bytes], ...]

HOP_BY_HOP = frozenset(  # RFC 9110 7.6.1; trailers end here too, since RFC 9110 6.5.1 lets a hop drop them
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_HOP_SIZES = frozenset(map(len, HOP_BY_HOP))  # a length tells most names apart; lower() is for the rest


def values(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of a name (lower case), in order."""
    size = len(name)
    return [value for key, value in headers if len(key) == size and key.lower() == name]


def nominated(connection: Iterable[bytes]) -> set[bytes]:
    """The names that Connection nominates, lower case."""
    return {name.strip().lower() for value in connection for name in value.split(b",")}


def write_fields(out: list[bytes], headers: Headers) -> None:
    """Append the end-to-end fields' lines to `out`, in order, without those that a hop keeps for itself."""
    start, connection = len(out), None
    for key, value in headers:
        if len(key) in _HOP_SIZES and (name := key.lower()) in HOP_BY_HOP:
            if name == b"connection":
                connection = value if connection is None else connection + b"," + value
            continue
        out += (key, b": ", value, b"\r\n")
    if connection is None or connection == b"keep-alive" or connection == b"close":
        return
    drop = HOP_BY_HOP | nominated((connection,))
    kept = [field for field in headers if field[0].lower() not in drop]
    out[start:] = [part for key, value in kept for part in (key, b": ", value, b"\r\n")]
