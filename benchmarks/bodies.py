"""Bodies of 64 MiB, both ways: seconds, rate, and the most memory meanwhile: `python benchmarks/bodies.py`."""

import socket
import statistics
import sys
import threading
import time

import processes
import results
from processes import Contestant, Running, memory_kb

CONTESTANTS: dict[str, Contestant] = {
    "direct": processes.direct,
    "nginx": lambda core, port: processes.nginx(core, port),
    "weir": lambda core, port: processes.weir(core, port),
    "plain aiohttp proxy": processes.plain_aiohttp,
}
BLOCK = b"x" * 65536


def serve(listener: socket.socket, size: int) -> None:
    """GET is answered with `size` bytes, POST with its length when all of it has come."""
    while True:
        try:
            conn, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(conn, size), daemon=True).start()


def _answer(conn: socket.socket, size: int) -> None:
    with conn:
        head = b""
        while b"\r\n\r\n" not in head:
            head += conn.recv(65536)
        if head.startswith(b"GET"):
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(BLOCK)):
                conn.sendall(BLOCK)
        else:
            got = len(head.partition(b"\r\n\r\n")[2])
            while got < size:  # a chunked upload is a little longer; the rest is read by the close
                got += len(conn.recv(1 << 18))
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        conn.shutdown(socket.SHUT_WR)
        while conn.recv(65536):
            pass


def transfer(port: int, size: int, upload: bool) -> float:
    """Seconds for one body."""
    with socket.create_connection(("127.0.0.1", port), 60) as conn:
        began = time.monotonic()
        if upload:
            conn.sendall(b"POST /mcp HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(BLOCK)):
                conn.sendall(BLOCK)
            conn.recv(65536)
        else:
            conn.sendall(b"GET /mcp HTTP/1.1\r\nHost: bench\r\n\r\n")
            got = 0
            while got < size:
                got += len(conn.recv(1 << 18))
        return time.monotonic() - began


def peak_kb(running: Running, done: threading.Event, found: list[int]) -> None:
    """The most memory seen while it runs."""
    while not done.wait(0.01):
        found.append(sum(memory_kb(pid) for pid in running.pids))


def main() -> int:
    """Print what came out."""
    parser = results.parser("Bodies of 64 MiB.")
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    size = args.mib << 20
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    threading.Thread(target=serve, args=(listener, size), daemon=True).start()
    upstream = int(listener.getsockname()[1])
    found = {}
    for name, contestant in CONTESTANTS.items():
        with contestant(1, upstream) as running:
            before, seen, done = running.rss_kb(), [0], threading.Event()
            watcher = threading.Thread(target=peak_kb, args=(running, done, seen))
            watcher.start()
            times = {way: [transfer(running.port, size, way == "upload") for _ in range(args.rounds)]
                     for way in ("upload", "download")}
            done.set()
            watcher.join()
            found[name] = {f"{way}_mib_s": round(args.mib / statistics.median(of)) for way, of in times.items()}
            found[name]["grew_by_kib"] = max(0, max(seen) - before)
    return results.say("bodies", found, args.keep)


if __name__ == "__main__":
    sys.exit(main())
