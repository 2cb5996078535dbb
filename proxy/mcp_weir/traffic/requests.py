"""What one JSON-RPC request says in MCP, of any revision: the Request fact. Pure; never raises on input."""

import re

import msgspec

from mcp_weir.traffic.asked import Asked, Passed
from mcp_weir.traffic.facts import Request
from mcp_weir.traffic.forms import Params, Ref, Related, RequestMeta
from mcp_weir.traffic.identities import identity_of
from mcp_weir.traffic.masking import held
from mcp_weir.traffic.reading import Reading
from mcp_weir.traffic.text import ID_LIMIT, clean, json_form, json_id, safe_uri, text_hash, tokens
from mcp_weir.wire.lenient import Lenient
from mcp_weir.wire.message import EMPTY, Message

_KEYS_MAX = 32
# version 00 has exactly these four fields; of later ones only the beginning is known (W3C Trace Context 3.2.4)
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_fields = Lenient(dict[str, msgspec.Raw])
_strings: Lenient[str] = Lenient(str)


_params, _meta, _ref, _related = Lenient(Params), Lenient(RequestMeta), Lenient(Ref), Lenient(Related)
_NO_PARAMS, _NO_META = Params(), RequestMeta()


def request_of(reading: Reading, message: Message, passed: Passed, member: int) -> Asked:
    """The fact of a request, and what is to be remembered until its answer."""
    params = _NO_PARAMS if message.params is EMPTY else _params.read(message.params) or _NO_PARAMS
    meta = _NO_META if params.meta is EMPTY else _meta.read(params.meta) or _NO_META
    method = clean(message.method) or ""
    begins = method == "initialize"
    version, info, able = (
        (params.protocolVersion, params.clientInfo, params.capabilities) if begins
        else (meta.version, meta.client, meta.capabilities)
    )
    target, mirrored = _target(method, params)
    arguments = b"" if params.arguments is EMPTY else bytes(params.arguments)
    fact = Request(
        exchange=passed.exchange,
        member=member,
        at_us=passed.at_us,
        direction=passed.sender,
        jsonrpc_id=json_id(reading, message.id),
        method=method,
        target=target,
        size=passed.size,
        tokens_in=tokens(len(arguments)) if arguments else None,
        args_hash=reading.keys.digest("args", arguments) if arguments else None,
        in_batch=passed.in_batch,
        protocol_version=clean(version, 32) if version is not None else None,
        client=identity_of(info, able) if info is not EMPTY or able is not EMPTY else None,
    )
    if _more_to_say(reading, params, meta):
        fact = _with_more(reading, fact, params, meta)
    token = b"" if meta.progressToken is EMPTY else json_form(bytes(meta.progressToken))
    return Asked(fact, token, held(message.params), mirrored)


def _more_to_say(reading: Reading, params: Params, meta: RequestMeta) -> bool:
    """Most calls use none of this: looking costs 0.3 us, filling nine fields with nothing 2 us."""
    return not (
        params.requestState is None and params.inputResponses is EMPTY and params.taskId is None
        and params.task is EMPTY and meta.related is EMPTY and meta.traceparent is None
        and reading.handle_argument is None and not reading.capture.active
    )


def _with_more(reading: Reading, fact: Request, params: Params, meta: RequestMeta) -> Request:
    """Trace context, MRTR, tasks, session handles, captured arguments."""
    trace, parent = trace_of(meta.traceparent)
    arguments = bytes(params.arguments)
    return msgspec.structs.replace(
        fact,
        arguments=reading.capture.take(reading.keys, fact.target or "", params.arguments) if arguments else None,
        trace_id=trace,
        parent_span_id=parent,
        state_hash=text_hash(reading, "request-state", params.requestState),
        input_keys=object_keys(reading, params.inputResponses),
        task=_task(reading, params, meta),
        wants_task=bytes(params.task)[:1] == b"{",
        handle=_handle(reading, arguments) if reading.handle_argument and arguments else None,
    )


def trace_of(traceparent: object) -> tuple[str | None, str | None]:
    """(trace id, parent span id) of a traceparent; nothing of what is none."""
    found = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    return (found[1], found[2]) if found else (None, None)


def related_task(reading: Reading, raw: msgspec.Raw) -> bytes | None:
    """The hash of the task that a `_meta` relates its message to."""
    related = _related.read(raw) if bytes(raw) else None
    return text_hash(reading, "task", related.taskId) if related else None


def object_keys(reading: Reading, raw: msgspec.Raw) -> tuple[str, ...] | None:
    """The sorted keys of inputRequests or inputResponses (2026-07-28, MRTR); None where there is no object."""
    found = _fields.read(raw) if bytes(raw)[:1] == b"{" else None
    if found is None:
        return None
    names = sorted(found)[:_KEYS_MAX]
    return tuple(
        clean(name) or "" if len(name) <= ID_LIMIT else "hash:" + (text_hash(reading, "input-key", name) or b"").hex()
        for name in names
    )


def _target(method: str, params: Params) -> tuple[str | None, str | None]:
    """(what is recorded, what an Mcp-Name header repeats): a tool, a prompt, a resource without its query."""
    if method in ("tools/call", "prompts/get"):
        return clean(params.name), params.name if isinstance(params.name, str) else None
    if method.startswith("resources/"):
        return safe_uri(params.uri), params.uri if isinstance(params.uri, str) else None
    if method == "completion/complete":
        ref = (_ref.read(params.ref) if bytes(params.ref) else None) or Ref()
        return clean(ref.name) or safe_uri(ref.uri), None
    if method.startswith("tasks/"):
        return None, params.taskId if isinstance(params.taskId, str) else None
    return None, None


def _task(reading: Reading, params: Params, meta: RequestMeta) -> bytes | None:
    """tasks/* name their task in taskId; 2025-11-25 relates other requests to one by `_meta`."""
    if params.taskId is not None:
        return text_hash(reading, "task", params.taskId)
    return related_task(reading, meta.related) if bytes(meta.related) else None


def _handle(reading: Reading, arguments: bytes) -> bytes | None:
    found = (_fields.read(arguments) or {}).get(reading.handle_argument or "", EMPTY)
    raw = bytes(found)
    if not raw or raw[:1] in b"{[ntf":  # a string or a number names something
        return None
    text = _strings.read(raw) if raw[:1] == b'"' else raw.decode("ascii", "replace")
    return reading.keys.digest("handle", text.encode("utf-8", "surrogatepass")) if text else None
