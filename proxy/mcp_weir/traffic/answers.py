"""What one JSON-RPC response says in MCP, of any revision: the Answer fact; and what notifications say of tasks.

Pure; never raises on input.
"""


import msgspec

from mcp_weir.traffic.asked import Asked, Heard, Passed
from mcp_weir.traffic.catalogue import shown
from mcp_weir.traffic.facts import Answer, TaskSeen
from mcp_weir.traffic.forms import ErrorObject, Result, ResultMeta, TaskForm
from mcp_weir.traffic.identities import identity_of
from mcp_weir.traffic.masking import masked
from mcp_weir.traffic.reading import Reading
from mcp_weir.traffic.requests import object_keys, related_task
from mcp_weir.traffic.text import clean, json_id, text_hash, tokens
from mcp_weir.wire.lenient import Lenient
from mcp_weir.wire.message import EMPTY, Message

_CODE_LIMIT = 1 << 31
_STATUSES = frozenset({"working", "input_required", "completed", "failed", "cancelled"})
_CAPTURED = frozenset({"tools/call", "prompts/get", "resources/read", "completion/complete", "tasks/result"})


_result, _task, _meta, _error = Lenient(Result), Lenient(TaskForm), Lenient(ResultMeta), Lenient(ErrorObject)
_NO_RESULT, _NO_META = Result(), ResultMeta()


def answer_of(reading: Reading, message: Message, passed: Passed, heard: Heard) -> Answer:
    """The fact of a response. Its direction is the other side of `passed.sender`: who had asked."""
    direction = "client" if passed.sender == "server" else "server"
    if message.error is not EMPTY and bytes(message.error)[:1] == b"{":
        return _refusal(reading, message, passed, heard, direction)
    asked = heard.asked
    result = _result.read(message.result) or _NO_RESULT
    meta = _NO_META if result.meta is EMPTY else _meta.read(result.meta) or _NO_META
    server = result.serverInfo if result.serverInfo is not EMPTY else meta.server
    fact = Answer(
        exchange=passed.exchange,
        at_us=passed.at_us,
        direction=direction,
        jsonrpc_id=asked.fact.jsonrpc_id if asked else json_id(reading, message.id),
        member=asked.fact.member if asked else None,
        outcome=_outcome(result),
        size=passed.size,
        tokens_out=tokens(len(bytes(message.result))),
        progress_count=heard.progress,
        server=identity_of(server, result.capabilities) if server is not EMPTY else None,
    )
    if reading.capture.active or result.has_more or meta.related is not EMPTY or asked is None or asked.special:
        return _with_more(reading, fact, message.result, (result, meta), heard)
    return fact


def _with_more(
    reading: Reading, fact: Answer, raw: msgspec.Raw, read: "tuple[Result, ResultMeta]", heard: Heard
) -> Answer:
    """What few answers hold: a session begun, MRTR, tasks, tools shown, a captured result."""
    result, meta = read
    method = heard.asked.fact.method if heard.asked else None
    session = heard.said.session_id if method == "initialize" else None
    task, status, task_outcome = _task_of(reading, method, result, meta, fact.outcome)
    lists = method in (None, "tools/list") and result.tools is not EMPTY
    return msgspec.structs.replace(
        fact,
        result=_captured(reading, raw, heard.asked, fact.direction),
        protocol_version=clean(result.protocolVersion, 32),
        session=reading.keys.session_key(session) if session else None,
        session_id=clean(session.decode("latin-1")) if session and reading.keep_session_ids else None,
        state_hash=text_hash(reading, "request-state", result.requestState),
        input_keys=object_keys(reading, result.inputRequests),
        task=task,
        task_status=status,
        task_outcome=task_outcome,
        tools=shown(reading.keys, result.tools) if lists else None,
    )


def task_seen(reading: Reading, message: Message, passed: Passed) -> TaskSeen | None:
    """notifications/tasks/status of 2025-11-25, notifications/tasks of the extension."""
    said = _task.read(message.params) if bytes(message.params) else None
    task = text_hash(reading, "task", said.taskId) if said else None
    if said is None or task is None:
        return None
    direction = "client" if passed.sender == "server" else "server"
    return TaskSeen(
        exchange=passed.exchange, at_us=passed.at_us, direction=direction, task=task, task_status=_status(said),
        task_outcome=_inlined(said),
    )


def _refusal(reading: Reading, message: Message, passed: Passed, heard: Heard, direction: str) -> Answer:
    error, asked = _error.read(message.error) or ErrorObject(), heard.asked
    fact = asked.fact if asked else None
    spared: set[str | None] = {fact.target, fact.method, fact.protocol_version} if fact else set()
    if fact and fact.client:
        spared |= {fact.client.name, fact.client.version}
    known = type(error.code) is int and abs(error.code) < _CODE_LIMIT  # true is an int to isinstance, and none to JSON
    is_result = fact is not None and fact.method == "tasks/result"
    return Answer(
        exchange=passed.exchange,
        at_us=passed.at_us,
        direction=direction,
        jsonrpc_id=json_id(reading, message.id) if bytes(message.id) else "null",
        member=fact.member if fact else None,
        outcome="http_error" if heard.refused else "rpc_error",
        error_code=error.code if known else None,
        error_message=masked(error.message, asked.held if asked else None, spared, heard.said.secrets()),
        size=passed.size,
        progress_count=heard.progress,
        task=fact.task if fact and is_result else None,
        task_outcome="rpc_error" if is_result else None,
    )


def _outcome(result: Result) -> str:
    if result.resultType == "input_required":
        return "input_required"
    return "tool_error" if result.isError is True else "ok"


def _task_of(
    reading: Reading, method: str | None, result: Result, meta: ResultMeta, outcome: str
) -> tuple[bytes | None, str | None, str | None]:
    """(task, its status, the outcome of its work where this answer ends it).

    2025-11-25: `result.task` made by a request that wanted one; `taskId` and `status` in the results of tasks/get and
    tasks/cancel; the end is the result of tasks/result. Extension: `resultType: "task"`; tasks/get inlines the end.
    """
    if method == "tasks/result":
        return related_task(reading, meta.related), None, outcome
    if bytes(result.task)[:1] == b"{":
        made = _task.read(result.task) or TaskForm()
        return text_hash(reading, "task", made.taskId), _status(made), None
    if result.taskId is None:
        return related_task(reading, meta.related), None, None
    return text_hash(reading, "task", result.taskId), _status(result), _inlined(result)


def _status(task: TaskForm) -> str | None:
    return task.status if isinstance(task.status, str) and task.status in _STATUSES else None


def _inlined(task: TaskForm) -> str | None:
    """Of the extension; 2025-11-25 says a status alone, and how it failed in the answer to tasks/result."""
    if task.status == "failed" and bytes(task.error)[:1] == b"{":
        return "rpc_error"
    if task.status == "completed" and bytes(task.result)[:1] == b"{":
        return _outcome(_result.read(task.result) or _NO_RESULT)
    return None


def _captured(reading: Reading, result: msgspec.Raw, asked: Asked | None, direction: str) -> str | None:
    if asked is None:
        return reading.capture.take(reading.keys, None, result) if direction == "client" else None
    if asked.fact.method not in _CAPTURED:
        return None
    tool = None if asked.fact.method == "tasks/result" else asked.fact.target or ""  # a task does not name its tool
    return reading.capture.take(reading.keys, tool, result)
