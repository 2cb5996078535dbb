"""What one JSON-RPC message says in MCP: from envelope to Request and Answer. Pure; never raises on input."""

import re
import uuid
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mcp_weir.traffic.facts import Answer, Identity, Request, ToolShown
from mcp_weir.traffic.reading import Reading
from mcp_weir.wire.jsonrpc import Message

_META = "io.modelcontextprotocol/"
_NAMED = {"tools/call": "name", "prompts/get": "name"}
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_STRING = re.compile(rb'"((?:[^"\\]|\\.)+)"')
_UNSAFE = re.compile("[\0\ud800-\udfff]")


class _Params(msgspec.Struct):
    meta: msgspec.Raw = msgspec.field(default=msgspec.Raw(b""), name="_meta")
    name: Any = None
    uri: Any = None
    arguments: msgspec.Raw = msgspec.Raw(b"")
    protocolVersion: Any = None
    clientInfo: Any = None
    capabilities: msgspec.Raw = msgspec.Raw(b"")


class _Result(msgspec.Struct):
    meta: Any = msgspec.field(default=None, name="_meta")
    isError: Any = None
    resultType: Any = None
    protocolVersion: Any = None
    serverInfo: Any = None
    tools: msgspec.Raw = msgspec.Raw(b"")


class _Error(msgspec.Struct):
    code: Any = None
    message: Any = None


_TOOLS = msgspec.json.Decoder(list[msgspec.Raw])


def clean(text: object, limit: int = 256) -> str | None:
    """Text that Postgres can hold, or None for what is no text."""
    return _UNSAFE.sub("\ufffd", text)[:limit] if isinstance(text, str) else None


def json_id(reading: Reading, raw: msgspec.Raw) -> str:
    """The id's JSON form; over 64 characters, its keyed hash."""
    text = bytes(raw).decode("utf-8", "replace")
    if len(text) > 64:
        return "hash:" + reading.keys.digest("jsonrpc-id", bytes(raw)).hex()
    return _UNSAFE.sub("\ufffd", text)


def request_of(
    reading: Reading, message: Message, size: int, *, exchange: int, member: int, at_us: int, direction: str,
    in_batch: bool,
) -> Request:
    """The fact of a request."""
    params = _typed(message.params, _Params) or _Params()
    meta = _object(params.meta)
    arguments = bytes(params.arguments)
    trace = _TRACEPARENT.fullmatch(str(meta.get("traceparent", "")))
    return Request(
        exchange=exchange,
        member=member,
        at_us=at_us,
        direction=direction,
        jsonrpc_id=json_id(reading, message.id),
        method=clean(message.method) or "",
        target=_target(message.method, params),
        size=size,
        tokens_in=-(-len(arguments) // 4) if arguments else None,
        args_hash=reading.keys.digest("args", arguments) if arguments else None,
        in_batch=in_batch,
        protocol_version=clean(params.protocolVersion if message.method == "initialize" else None, 32)
        or clean(meta.get(_META + "protocolVersion"), 32),
        client=_client(message.method, params, meta),
        trace_id=trace[1] if trace else None,
        parent_span_id=trace[2] if trace else None,
    )


def answer_of(
    reading: Reading, message: Message, size: int, *, exchange: int, at_us: int, direction: str,
    asked: Request | None, secrets: bytes, session_id: bytes | None, progress: int,
) -> Answer:
    """The fact of a response. `secrets` is the JSON of the request's own arguments: its strings are masked."""
    error = _typed(message.error, _Error) if bytes(message.error) else None
    result = (_typed(message.result, _Result) or _Result()) if error is None else _Result()
    meta = result.meta if isinstance(result.meta, dict) else {}
    begins = asked is not None and asked.method == "initialize" and error is None and session_id is not None
    keep = reading.keep_session_ids
    server = result.serverInfo or meta.get(_META + "serverInfo")
    failed = bool(bytes(message.error))
    return Answer(
        exchange=exchange,
        at_us=at_us,
        direction=direction,
        jsonrpc_id=json_id(reading, message.id),
        member=asked.member if asked else None,
        outcome="rpc_error" if failed else _outcome(result),
        error_code=error.code if error and isinstance(error.code, int) and abs(error.code) < 1 << 62 else None,
        error_message=_masked(error.message, secrets) if error else None,
        size=size,
        tokens_out=-(-len(bytes(message.result)) // 4) if not failed else None,
        progress_count=progress,
        server=_identity(server, None),
        protocol_version=clean(result.protocolVersion, 32),
        session=_session(reading, session_id) if begins and session_id is not None else None,
        session_id=session_id.decode("ascii", "replace") if begins and session_id and keep else None,
        tools=_tools(reading, result.tools) if asked and asked.method == "tools/list" else None,
    )


def _session(reading: Reading, session_id: bytes) -> uuid.UUID:
    return reading.keys.session_key(session_id)


def _outcome(result: _Result) -> str:
    if result.resultType == "input_required":
        return "input_required"
    return "tool_error" if result.isError is True else "ok"


def _target(method: str, params: _Params) -> str | None:
    if method in _NAMED:
        return clean(params.name)
    if method.startswith("resources/") and isinstance(params.uri, str):
        try:
            return clean(urlsplit(params.uri)._replace(query="", fragment="").geturl())
        except ValueError:
            return None
    return None


def _client(method: str, params: _Params, meta: dict[str, Any]) -> Identity | None:
    if method == "initialize":
        return _identity(params.clientInfo, bytes(params.capabilities) or None)
    capabilities = meta.get(_META + "clientCapabilities")
    return _identity(meta.get(_META + "clientInfo"), msgspec.json.encode(capabilities) if capabilities else None)


def _identity(info: object, capabilities: bytes | None) -> Identity | None:
    if not isinstance(info, dict):
        return None
    text = capabilities.decode("utf-8", "replace") if capabilities and len(capabilities) < 8192 else None
    if text is not None and ("\\u0000" in text or _UNSAFE.search(text)):
        text = None
    return Identity(name=clean(info.get("name")), version=clean(info.get("version")), capabilities=text)


def _masked(message: object, secrets: bytes) -> str | None:
    text = clean(message, 4096)
    for found in _STRING.findall(secrets[:65536]) if text else ():
        text = (text or "").replace(found.decode("utf-8", "replace"), "***")
    return text[:300] if text else text


def _tools(reading: Reading, raw: msgspec.Raw) -> tuple[ToolShown, ...] | None:
    try:
        shown = []
        for tool in _TOOLS.decode(raw)[:1000] if bytes(raw) else ():
            body = msgspec.json.decode(tool)
            schema = msgspec.json.encode(body.get("inputSchema"), order="sorted")
            shown.append(ToolShown(
                tool=clean(body.get("name")) or "",
                content_hash=reading.keys.digest("tool", msgspec.json.encode(body, order="sorted")),
                schema_hash=reading.keys.digest("schema", schema),
                description=clean(body.get("description"), 2000),
                tokens=-(-len(bytes(tool)) // 4),
            ))
        return tuple(shown)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, AttributeError, ValueError):
        return None


def _typed(raw: msgspec.Raw, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind) if bytes(raw) else None
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw) if bytes(raw) else None
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return {}
    return found if isinstance(found, dict) else {}
