"""Reading commands over a real database: figures equal rows, hostile names are inert, failures are one sentence."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result
from tests.store.conftest import NOW, SERVICE, World

HOSTILE = (
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://evil.example\x1b\\link", "[bold red]markup[/]",
    "[link=x]y", "a\rb", "a\nb", "a\x08\x08b", "\x9b31m", "\u202egnirts", "\u2066iso\u2069", "=1+1",
    "zero\u200bwidth", "tab\there", "\x7f", "{braces} %s %(x)s",
    ":smile:", "é\u0301 \U0001f469\u200d\U0001f4bb العربية", "x" * 400,
)
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def some_traffic(world: World) -> uuid.UUID:
    key = world.session(client_version="2.1")
    for number in range(12):
        world.request(session_key=key, started_at=NOW - timedelta(minutes=number),
                      outcome="tool_error" if number < 3 else "ok", duration_ms=100.0 * number)
    world.request(method="tools/list", target=None, session_key=key)
    world.store()
    return key


def test_figures_equal_rows(world: World, asked: Callable[..., Any]) -> None:
    key = some_traffic(world)
    assert [row["request_count"] for row in asked("sessions")] == [3]
    assert len(asked("requests")) == 13 and len(asked("requests", "--errors")) == 3
    assert len(asked("requests", "--slow", "900")) == 3 and len(asked("requests", "--tool", "add", "--limit", "5")) == 5
    assert len(asked("requests", "--session", str(key)[:8])) == 13
    (tool,) = asked("tools")
    assert (tool["name"], tool["totals"]["calls"], tool["totals"]["errors"]) == ("add", 12, 3)
    assert asked("tools", "add")["outcomes"] == [
        {"name": "ok", "count": 9, "errors": 0}, {"name": "tool_error", "count": 3, "errors": 3}]
    (client,) = asked("clients")
    assert (client["label"], client["totals"]["requests"], client["sessions"]) == ("claude", 13, 1)
    assert len(asked("session", str(key)[:13])["timeline"]) == 13
    assert [group["count"] for group in asked("errors")] == [3]
    whole = asked("report")
    assert (whole["totals"]["requests"], whole["totals"]["calls"], whole["cost"]) == (13, 12, None)
    assert asked("streams") == [] and asked("coverage") == []


def test_times_say_which_clock(world: World, run: Callable[..., Result]) -> None:
    some_traffic(world)
    assert "(UTC)" in run("requests", "--utc").stdout
    assert re.search(r'"started_at": "[^"]+Z"', run("requests", "--json").stdout)
    old = run("requests", "--since", "2001-01-01T00:00:00Z", "--until", "2001-01-02")
    assert old.exit_code == 0 and old.stdout == "" and "--since asks for more" in old.stderr


def test_hostile_names_are_inert(world: World, run: Callable[..., Result]) -> None:
    for text in HOSTILE:
        key = world.session(client_name=text, client_label=text, user_agent=text, client_version=text[:50],
                            server_name=text, principal=text, principal_key=b"\x01")
        world.request(session_key=key, target=text[:200], client_label=text[:64], client_name=text,
                      outcome="tool_error", error_message=text, flags=[text])
    world.store()
    for command in ("sessions", "requests", "tools", "clients", "errors", "report", "status"):
        said = run(command, "--limit", "100")
        assert said.exit_code in (0, 1), said.output
        assert not UNSEEN.search(said.stdout.replace("\n", "")), command
        json.loads(run(command, "--json").stdout)
    assert "[bold red]markup[/]" in run("tools").stdout
    assert not UNSEEN.search(run("session", str(key)).stdout.replace("\n", ""))
    for text in HOSTILE:
        said = run("tools", text[:200])
        assert said.exit_code == 0 and not UNSEEN.search(said.stdout.replace("\n", ""))


@pytest.mark.parametrize(("args", "code", "says"), [
    (("requests", "--since", "yesterday"), 2, "2h"),
    (("requests", "--since", "1h", "--until", "2h"), 2, "not before"),
    (("requests", "--sort", "target; --"), 2, "cannot sort"),
    (("requests", "--limit", "0"), 2, ""),
    (("session", "zz"), 2, "hexadecimal"),
    (("session", "abcdef"), 1, "no session begins"),
    (("tools", "nobody"), 1, "no tool"),
    (("export", "--format", "xml"), 2, ""),
    (("requests", "--outcome", "bad"), 2, "tool_error"),
    (("sessions", "--end-reason", "bad"), 2, "idle_timeout"),
])
def test_what_cannot_be_asked(run: Callable[..., Result], args: tuple[str, ...], code: int, says: str) -> None:
    said = run(*args)
    assert said.exit_code == code and says in (str(said.exception) + said.output)


def test_two_sessions_that_begin_alike(world: World, run: Callable[..., Result]) -> None:
    for last in (1, 2):
        world.session(session_key=uuid.UUID(int=(0xABCD << 112) + last))
    said = run("session", "abcd")
    assert said.exit_code == 2 and "several" in str(said.exception)


def weir(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mcp_weir", *args], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **env})


def test_no_database_is_one_sentence(tmp_path: Path) -> None:
    said = weir("sessions", "--database-url", "postgresql://u:hunter2@127.0.0.1:1/x")
    assert said.returncode == 1 and said.stdout == "" and len(said.stderr.splitlines()) == 1
    assert "cannot reach" in said.stderr and "hunter2" not in said.stderr
    said = weir("sessions", "--data-dir", str(tmp_path / "none"))
    assert said.returncode == 1 and "start `mcp-weir up` first" in said.stderr
    assert weir("sessions", "--database-url", "http://x").returncode == 2


def test_a_segment_that_is_none(tmp_path: Path) -> None:
    said = weir("spool", "cat", str(tmp_path / "1.seg"), "--data-dir", str(tmp_path))
    assert said.returncode == 2 and "no such segment" in said.stderr


def test_a_database_without_our_schema(database_url: str, run: Callable[..., Result]) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DROP SCHEMA weir CASCADE")
    said = run("sessions")
    assert said.exit_code == 1 and "db migrate" in str(said.exception)


def test_status_is_unhealthy_by_exit_code(world: World, run: Callable[..., Result], tmp_path: Path) -> None:
    assert run("status", "--data-dir", str(tmp_path)).exit_code == 0
    world.insert("coverage_rows", {"stream": uuid.UUID(int=1), "minute": NOW.replace(second=0), "service": SERVICE,
                                   "instance": "i", "seen": 5, "stored": 3,
                                   "dropped": psycopg.types.json.Jsonb({"disk_full": 2})})
    said = run("status", "--data-dir", str(tmp_path), "--json")
    found = json.loads(said.stdout)
    assert said.exit_code == 1 and found["ok"] is False and found["health"]["dropped"] == 2
    assert [alert["kind"] for alert in found["alerts"]] == ["recording_gap"] and found["spool"]["segments"] == 0


def test_cost_is_an_estimate_for_a_declared_model(world: World, run: Callable[..., Result], tmp_path: Path) -> None:
    world.request(tokens_in=1_000_000, tokens_out=2_000_000)
    world.store()
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "EUR"\n[models."sonnet"]\ninput = 3.0\noutput = 15.0\n')
    said = json.loads(run("report", "--prices", str(prices), "--model", "sonnet", "--json").stdout)
    assert said["cost"] == {"model": "sonnet", "currency": "EUR", "amount": 21.0, "tokens_in": 1_000_000,
                            "tokens_out": 2_000_000, "estimate": True}
    assert "estimate" in run("report", "--prices", str(prices), "--model", "sonnet").stdout
    assert json.loads(run("report", "--prices", str(prices), "--json").stdout)["cost"] is None
    assert run("report", "--prices", str(prices), "--model", "opus").exit_code == 2
    prices.write_text("[models.x]\ninput = -1\noutput = 2\n")
    assert run("report", "--prices", str(prices), "--model", "x").exit_code == 2


def test_tail_follows_and_is_not_confused_by_late_rows(world: World) -> None:
    world.request(target="first")
    world.store()
    child = subprocess.Popen(
        [sys.executable, "-m", "mcp_weir", "tail", "--json", "--every", "0.1", "--database-url", world.url],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs inherit "ignore"
    )
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["target"] == "first"
    with psycopg.connect(world.url) as slow, psycopg.connect(world.url) as quick:
        world.request(target="early", service="other:1", started_at=NOW - timedelta(hours=2))
        world.store(slow)
        world.request(target="late")
        world.store(quick)
        quick.commit()
        assert json.loads(child.stdout.readline())["target"] == "late"
        slow.commit()
    assert json.loads(child.stdout.readline())["target"] == "early"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    with child.stdout:
        rest = child.stdout.read()
    assert child.wait(10) == 0 and rest == ""


def test_tail_begins_where_it_is_told_to(world: World, run: Callable[..., Result]) -> None:
    world.request(target="old", started_at=NOW - timedelta(hours=2))
    world.request(target="new", started_at=NOW - timedelta(minutes=5))
    world.store()
    for since, first in (("1h", "new"), ("7d", "old")):
        child = subprocess.Popen([sys.executable, "-m", "mcp_weir", "tail", "--json", "--since", since,
                                  "--database-url", world.url], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["target"] == first
        child.kill()
        child.communicate()
    assert run("tail", "--until", "1h").exit_code == 2


def test_tail_ends_when_nobody_reads(world: World) -> None:
    world.request(target="only")
    world.store()
    child = subprocess.Popen([sys.executable, "-m", "mcp_weir", "tail", "--json", "--every", "0.1", "--database-url",
                              world.url], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["target"] == "only"
    child.stdout.close()
    assert child.wait(30) == 0


def test_help_begins_with_what_a_command_alone_takes_and_tells_defaults(run: Callable[..., Result]) -> None:
    said = run("requests", "--help").stdout
    assert said.index("--since") < said.index("--outcome") < said.index("--database-url") < said.index("--config")
    assert "default: 127.0.0.1:8052" in " ".join(run("up", "--help").stdout.split())


def test_a_filter_that_shares_its_name_with_a_setting_filters(world: World, asked: Callable[..., Any]) -> None:
    ann = world.session(principal_key=b"\xab", principal="ann")
    world.request(session_key=ann, principal_key=b"\xab")
    world.request(service="other:1")
    world.store()
    assert [len(asked("requests", "--user", user)) for user in ("ann", "ab", "bob", "cd")] == [1, 1, 0, 0]
    assert [len(asked("sessions", "--user", user)) for user in ("ann", "ab", "bob", "cd")] == [1, 1, 0, 0]
    for command in ("requests", "tools", "clients"):
        assert [len(asked(command, "--service", name)) for name in (SERVICE, "other:1", "none:1")] == [1, 1, 0], command
    assert [asked("report", "--service", name)["totals"]["calls"] for name in ("other:1", "none:1")] == [1, 0]
