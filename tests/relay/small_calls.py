"""A client and an upstream of the least kind, for tests that count what the relay does between them."""

import contextlib
import socket
import threading
from collections.abc import Callable

CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}'
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"3"}],"isError":false}}'
REQUEST = (
    b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
    b"Mcp-Session-Id: abc\r\nContent-Length: %d\r\n\r\n%b" % (len(CALL), CALL)
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(RESULT), RESULT)
WARM_UP = 64


def answer_for_ever(listener: socket.socket) -> None:
    """An upstream that answers each request the same, on any number of connections, until `listener` is closed."""
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=_answer, args=(listener.accept()[0],), daemon=True).start()


def _answer(conn: socket.socket) -> None:
    with contextlib.suppress(OSError), conn:
        while got := conn.recv(65536):
            while not got.endswith(CALL):
                got += conn.recv(65536)
            conn.sendall(ANSWER)


def ask(port: int, times: int, then: Callable[[], object], connections: int = 1) -> None:
    """Clients that ask together, each when all have been answered. `then` is called after WARM_UP, and in the end."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(connections)]
        for number in range((WARM_UP + times) // connections):
            if number == WARM_UP // connections:
                then()
            for conn in clients:
                conn.sendall(REQUEST)
            for conn in clients:
                got = b""
                while not got.endswith(RESULT):
                    got += conn.recv(65536)
        then()
