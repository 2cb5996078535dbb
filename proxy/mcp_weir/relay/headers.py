"""Header lists as they came: tuples of (name, value) bytes, in order. Nothing here alters a value."""

from collections.abc import Iterable

Headers = tuple[tuple[bytes, bytes], ...]

HOP_BY_HOP = frozenset(  # RFC 9110 7.6.1; trailers end here too, since RFC 9110 6.5.1 lets a hop drop them
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)


def values(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of a name (lower case), in order."""
    return [value for key, value in headers if key.lower() == name]


def nominated(connection: Iterable[bytes]) -> set[bytes]:
    """The names that Connection nominates, lower case."""
    return {name.strip().lower() for value in connection for name in value.split(b",")}


def write_fields(out: list[bytes], headers: Headers) -> None:
    """Append the end-to-end fields' lines to `out`, in order, without those that a hop keeps for itself."""
    drop: frozenset[bytes] | set[bytes] = HOP_BY_HOP
    connection = [value for key, value in headers if len(key) == 10 and key.lower() == b"connection"]
    if connection:
        drop = HOP_BY_HOP | nominated(connection)
    for key, value in headers:
        if key.lower() not in drop:
            out.append(b"%b: %b\r\n" % (key, value))
