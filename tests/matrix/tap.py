"""A judge outside the system: a TCP forwarder that counts the JSON-RPC requests a client sends."""

import collections
import re
import socket
import threading

_METHOD = re.compile(rb'"method"\s*:\s*"(initialize|tools/list|tools/call)"')


class Tap:
    """Forwards a port of its own to `port` on loopback. Counts once a connection has ended."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._said: dict[int, bytearray] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def counts(self) -> collections.Counter[str]:
        """Requests by method since the last call."""
        said, self._said = self._said, {}
        return collections.Counter(
            found.decode() for sent in said.values() for found in _METHOD.findall(bytes(sent))
        )

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            kept = self._said.setdefault(client.fileno() << 32 | len(self._said), bytearray())
            threading.Thread(target=_copy, args=(client, server, kept), daemon=True).start()
            threading.Thread(target=_copy, args=(server, client, None), daemon=True).start()


def _copy(source: socket.socket, to: socket.socket, kept: bytearray | None) -> None:
    try:
        while data := source.recv(65536):
            if kept is not None:
                kept += data
            to.sendall(data)
    except OSError:
        pass
    for end in (source, to):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
