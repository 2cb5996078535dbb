"""What a server asks and nobody answers becomes a row, though the stream in which it was asked goes on."""

import threading
from pathlib import Path

from mcp_weir.recorder.drain import Recorder
from mcp_weir.traffic.facts import Answer, Line, Opened, Request
from spooling import SESSION, call, count, now_us, query, spool, wait, writer_at


def asks(number: int, opened: Opened) -> Line:
    return [Request(exchange=1, member=0x80_0000 + number, at_us=now_us() - opened.wall_us, direction="server",
                    jsonrpc_id=str(number), method="ping")]


def test_a_living_stream_s_question_gets_its_verdict_and_leaves(database_url: str, tmp_path: Path) -> None:
    writer, stop = writer_at(tmp_path), threading.Event()
    opened = Opened(exchange=1, wall_us=now_us(), mono_us=1, http_method="GET", session=SESSION)
    spool(writer, [opened])
    thread = threading.Thread(target=Recorder(database_url, tmp_path, idle_window_s=1, poll_s=0.02).run, args=(stop,))
    thread.start()
    try:
        writer.offer(asks(1, opened), 1)
        wait(lambda: count(database_url, "pending_requests") == 1, 60)

        def later() -> bool:  # the watermark follows the worker's heartbeats
            writer.heartbeat(now_us())
            return query(database_url, "SELECT jsonrpc_id, outcome FROM weir.request_rows") == [("1", "no_answer")]

        wait(later, 60)
        assert (count(database_url, "pending_requests"), count(database_url, "open_exchanges")) == (0, 1)
        writer.offer(asks(2, opened), 1)  # and the next one is heard as the first would have been
        post, *_, closed = call(2, session=SESSION)
        spool(writer, [post, Answer(exchange=2, at_us=5, direction="server", jsonrpc_id="2", member=None), closed])
        wait(lambda: ("2", "ok") in query(database_url, "SELECT jsonrpc_id, outcome FROM weir.request_rows"), 60)
    finally:
        stop.set()
        thread.join(30)
    writer.close()
