"""The API's description, made from the page table: a test holds it to the routes."""

from collections.abc import Iterable
from typing import Any

from mcp_weir.dashboard.filters import MOST, SHARED, Param
from mcp_weir.dashboard.page import Page

_ERRORS = {"400": "A parameter cannot be read", "401": "A token is needed", "404": "There is none",
           "503": "The database cannot be read"}


def document(pages: Iterable[tuple[str, Page]], version: str) -> dict[str, Any]:
    """OpenAPI 3.1 of the JSON twins, health and metrics."""
    paths = {path: {"get": _operation(path, page)} for path, page in pages}
    paths["/healthz"] = {"get": _plain("The process runs", {"200": "It does"})}
    paths["/readyz"] = {
        "get": _plain("Upstream, database and spool, with reasons", {"200": "Ready", "503": "Not ready"})
    }
    paths["/metrics"] = {"get": _plain("Prometheus text format", {"200": "Metrics"}, "text/plain")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mcp-weir", "version": version or "0",
            "description": "Read-only. Times are UTC; durations ms; sizes bytes; tokens estimates (bytes / 4).",
        },
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }


def _operation(path: str, page: Page) -> dict[str, Any]:
    named = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in named]
    parameters += [_parameter(param) for param in (*SHARED, *page.params)]
    if page.paged:
        parameters.append(_parameter(Param("after", "Cursor: `next` of the page before")))
    parameters.append({"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": MOST}})
    answers: dict[str, Any] = {code: {"description": says} for code, says in _ERRORS.items()}
    schema = {
        "type": "object", "required": ["from", "to", "filters", "data"],
        "properties": {
            "from": {"type": "string", "format": "date-time"}, "to": {"type": "string", "format": "date-time"},
            "service": {"type": ["string", "null"]}, "filters": {"type": "object"},
            "data": {"description": f"What the page {page.path} shows"},
        },
    }
    answers["200"] = {"description": page.says, "content": {"application/json": {"schema": schema}}}
    return {"summary": page.title, "description": page.says, "operationId": _name(path), "parameters": parameters,
            "responses": answers}


def _parameter(param: Param) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if param.choices:
        schema["enum"] = list(param.choices)
    return {"name": param.name, "in": "query", "description": param.says, "schema": schema}


def _plain(says: str, answers: dict[str, str], kind: str = "application/json") -> dict[str, Any]:
    return {
        "summary": says,
        "responses": {code: {"description": text, "content": {kind: {}}} for code, text in answers.items()},
    }


def _name(path: str) -> str:
    return path.removeprefix("/api/").replace("/", "_").replace("{", "").replace("}", "")
