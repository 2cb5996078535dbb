"""The JSON forms of MCP, of any revision: the fields that are decoded, and no others. Absent ones are EMPTY or None.

Apart from the functions that read them, for those can be compiled (docs/performance.md) and these need not be.
"""

from typing import Any, Literal

import msgspec

from mcp_weir.wire.message import EMPTY


class Params(msgspec.Struct, rename={"meta": "_meta"}, gc=False):
    meta: msgspec.Raw = EMPTY
    name: Any = None
    uri: Any = None
    arguments: msgspec.Raw = EMPTY
    protocolVersion: Any = None
    clientInfo: msgspec.Raw = EMPTY
    capabilities: msgspec.Raw = EMPTY
    ref: msgspec.Raw = EMPTY
    task: msgspec.Raw = EMPTY
    taskId: Any = None
    requestState: Any = None
    inputResponses: msgspec.Raw = EMPTY


class RequestMeta(msgspec.Struct, rename={
    "version": "io.modelcontextprotocol/protocolVersion", "client": "io.modelcontextprotocol/clientInfo",
    "capabilities": "io.modelcontextprotocol/clientCapabilities", "related": "io.modelcontextprotocol/related-task",
}):
    version: Any = None
    client: msgspec.Raw = EMPTY
    capabilities: msgspec.Raw = EMPTY
    related: msgspec.Raw = EMPTY
    progressToken: msgspec.Raw = EMPTY
    traceparent: Any = None


class Related(msgspec.Struct):
    """`_meta["io.modelcontextprotocol/related-task"]` of 2025-11-25."""

    taskId: Any = None


class Ref(msgspec.Struct):
    name: Any = None
    uri: Any = None


class TaskForm(msgspec.Struct, rename={"meta": "_meta"}, gc=False):
    """The task fields of 2025-11-25 and of the extension, wherever they stand."""

    taskId: Any = None
    status: Any = None
    result: msgspec.Raw = EMPTY
    error: msgspec.Raw = EMPTY
    meta: msgspec.Raw = EMPTY


class Result(TaskForm, gc=False):
    isError: Any = None
    resultType: Any = None
    protocolVersion: Any = None
    serverInfo: msgspec.Raw = EMPTY
    capabilities: msgspec.Raw = EMPTY
    tools: msgspec.Raw = EMPTY
    task: msgspec.Raw = EMPTY
    requestState: Any = None
    inputRequests: msgspec.Raw = EMPTY

    @property
    def has_more(self) -> bool:
        """Anything beyond what every result has: looking costs 0.3 us, filling ten fields with nothing 2 us."""
        return not (
            self.taskId is None and self.task is EMPTY and self.requestState is None and self.inputRequests is EMPTY
            and self.tools is EMPTY and self.protocolVersion is None
        )


class ResultMeta(msgspec.Struct, rename={
    "server": "io.modelcontextprotocol/serverInfo", "related": "io.modelcontextprotocol/related-task",
}):
    server: msgspec.Raw = EMPTY
    related: msgspec.Raw = EMPTY


class ErrorObject(msgspec.Struct):
    code: Any = None
    message: Any = None


class CancelParams(msgspec.Struct):
    requestId: msgspec.Raw = EMPTY


class ProgressParams(msgspec.Struct):
    progressToken: msgspec.Raw = EMPTY


class PlainMeta(msgspec.Struct, gc=False, rename={
    "version": "io.modelcontextprotocol/protocolVersion", "client": "io.modelcontextprotocol/clientInfo",
    "capabilities": "io.modelcontextprotocol/clientCapabilities", "related": "io.modelcontextprotocol/related-task",
}):
    """`_meta` of a plain call: whatever else is in it is nobody's business, but `related` must not be."""

    version: str | None = None
    client: msgspec.Raw = EMPTY
    capabilities: msgspec.Raw = EMPTY
    traceparent: str | None = None
    related: None = None


class PlainParams(msgspec.Struct, rename={"meta": "_meta"}, forbid_unknown_fields=True, gc=False):
    name: str
    arguments: msgspec.Raw = EMPTY
    meta: PlainMeta | None = None


class PlainCall(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A tool call that is nothing but that: no round of a longer exchange (MRTR), no task."""

    jsonrpc: Literal["2.0"]
    id: msgspec.Raw
    method: Literal["tools/call"]
    params: PlainParams


class PlainResponse(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A result, and no error."""

    jsonrpc: Literal["2.0"]
    id: msgspec.Raw
    result: msgspec.Raw


class PlainResult(msgspec.Struct, rename={"meta": "_meta"}, forbid_unknown_fields=True, gc=False):
    """The whole result of a tool (2025-06-18 and later), and nothing that asks for more or works on."""

    content: msgspec.Raw = EMPTY
    structuredContent: msgspec.Raw = EMPTY
    isError: bool = False
    resultType: Literal["complete"] | None = None
    meta: msgspec.Raw = EMPTY
