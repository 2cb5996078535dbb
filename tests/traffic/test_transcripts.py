"""Every transcript, fed whole, byte by byte and cut at random, tells the same; and it is what was said.

A .said file is read by eye before it is believed. Its lines: HTTP method, status, session; each request with its
answer; what else passed; flags.
"""

import random
from pathlib import Path

import pytest

from mcp_weir.keys import Keys
from mcp_weir.traffic.facts import Answer, Assigned, Cancel, Closed, EventIds, Fact, Opened, Request, TaskSeen
from mcp_weir.traffic.reading import Reading
from traffic.replay import FOLDER, Http, feed, transcript

READING = Reading(Keys(b"k" * 32, "s"))
PATHS = sorted([*FOLDER.glob("*.jsonl"), *FOLDER.glob("*.http")])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_same_however_cut(path: Path) -> None:
    whole = [_gathered(facts) for facts in _replay(transcript(path), 1 << 30, 0)]
    for size, seed in ((1, 0), (7, 0), (0, 1), (0, 2)):
        assert [_gathered(facts) for facts in _replay(transcript(path), size, seed)] == whole


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_what_was_said(path: Path) -> None:
    names: dict[object, str] = {}
    lines = [_line(facts, names) for facts in _replay(transcript(path), 1 << 30, 0)]
    said = path.with_suffix(".said")
    assert lines == (said.read_text().splitlines() if said.exists() else []), "\n".join(["", *lines])


def _replay(exchanges: list[Http], size: int, seed: int) -> list[list[Fact]]:
    chance = random.Random(seed)
    return [feed(READING, seq, http, size, chance) for seq, http in enumerate(exchanges, 1)]


def _gathered(facts: list[Fact]) -> list[object]:
    """Event ids go out with the chunk they came in: however cut, the same ids in all."""
    ids = [id for fact in facts if isinstance(fact, EventIds) for id in fact.ids]
    return [*(fact for fact in facts if not isinstance(fact, EventIds)), ids]


def _line(facts: list[Fact], names: dict[object, str]) -> str:
    def name(kind: str, key: object) -> str:
        known = {value for value in names.values() if value.startswith(kind)}
        return "" if key is None else " " + names.setdefault(key, f"{kind}{len(known) + 1}")

    opened, closed = facts[0], facts[-1]
    assert isinstance(opened, Opened) and isinstance(closed, Closed)
    answers = {fact.member: fact for fact in facts if isinstance(fact, Answer) and fact.member is not None}
    words = [f"{opened.http_method} {closed.status}{name('session', opened.session)}"]
    if opened.transport != "http":
        words.append(opened.transport)
    for fact in facts:
        match fact:
            case Request():
                words.append(_request(fact, answers.get(fact.member), name))
            case Answer() if fact.member is None:
                words.append(f"answer to {fact.direction}'s {fact.jsonrpc_id}: {fact.outcome}{_more(fact, name)}")
            case Assigned():
                words.append(f"assigned by {fact.session_source}{name('session', fact.session)}")
            case Cancel():
                words.append(f"cancels {fact.direction}'s {fact.jsonrpc_id}")
            case TaskSeen():
                words.append(f"{fact.direction}'s{name('task', fact.task)} {fact.task_status} {fact.task_outcome}")
            case _:
                pass
    ids = [id for fact in facts if isinstance(fact, EventIds) for id in fact.ids]
    if opened.resumes is not None:
        words.append("resumes after" + name("event", opened.resumes))
    if ids:
        words.append("ids" + "".join(name("event", id) for id in ids))
    if closed.closed_by != "complete":
        words.append(f"ended by {closed.closed_by}")
    return "; ".join([*words, *closed.flags])


def _request(fact: Request, answer: Answer | None, name) -> str:
    who = "" if fact.direction == "client" else "server asks "
    text = f"{who}{fact.method}{' ' + fact.target if fact.target else ''} {fact.jsonrpc_id}"
    text += f" by {fact.client.name} {fact.client.version}" if fact.client else ""
    text += f" speaking {fact.protocol_version}" if fact.protocol_version else ""
    text += " (wants a task)" if fact.wants_task else ""
    text += f" returns{name('state', fact.state_hash)}" if fact.state_hash else ""
    text += f" answers {','.join(fact.input_keys)}" if fact.input_keys is not None else ""
    text += f" of{name('task', fact.task)}" if fact.task else ""
    text += "".join(f" [{flag}]" for flag in fact.flags)
    text += f" traced by {fact.trace_id}/{fact.parent_span_id}" if fact.trace_id else ""
    if answer is None:
        return text
    return f"{text} -> {answer.outcome}{_more(answer, name)}"


def _more(answer: Answer, name) -> str:
    text = f" {answer.error_code} {answer.error_message!r}" if answer.error_code is not None else ""
    text += f" from {answer.server.name}" if answer.server else ""
    text += f" speaking {answer.protocol_version}" if answer.protocol_version else ""
    text += f" begins{name('session', answer.session)}" if answer.session else ""
    text += f" with{name('state', answer.state_hash)}" if answer.state_hash else ""
    text += f" asks {','.join(answer.input_keys)}" if answer.input_keys is not None else ""
    text += f" gives{name('task', answer.task)}" if answer.task else ""
    text += f" {answer.task_status}" if answer.task_status else ""
    text += f" (work: {answer.task_outcome})" if answer.task_outcome else ""
    text += f" after {answer.progress_count} progress" if answer.progress_count else ""
    text += f" shows {len(answer.tools)} tools" if answer.tools is not None else ""
    return text
