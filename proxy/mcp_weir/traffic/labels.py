"""Which client this is, in a person's words: from clientInfo, else from the User-Agent. Pure.

To add a client, add one line to _NAMES (what its clientInfo.name begins with) or _AGENTS (what its User-Agent begins
with). Both are compared lower-cased with everything but letters and digits left out; the longest beginning wins.
"""

import re
from functools import lru_cache

_NAMES = {
    "claude-code": "Claude Code",
    "claude-ai": "Claude Desktop",  # claude.ai's connectors give the same name; the User-Agent may tell them apart
    "claude-desktop": "Claude Desktop",
    "Anthropic/ClaudeAI": "claude.ai",
    "Anthropic/Toolbox": "Anthropic API",
    "cursor": "Cursor",
    "Visual Studio Code": "VS Code",
    "vscode": "VS Code",
    "github-copilot": "GitHub Copilot",
    "copilot": "GitHub Copilot",
    "windsurf": "Windsurf",
    "zed": "Zed",
    "cline": "Cline",
    "roo-code": "Roo Code",
    "continue": "Continue",
    "continue-client": "Continue",
    "jetbrains": "JetBrains",
    "goose": "Goose",
    "codex": "Codex",
    "gemini-cli": "Gemini CLI",
    "antigravity": "Antigravity",
    "opencode": "OpenCode",
    "amp-mcp": "Amp",
    "kiro": "Kiro",
    "warp": "Warp",
    "qwen-cli": "Qwen Code",
    "openai-mcp": "ChatGPT",
    "chatgpt": "ChatGPT",
    "librechat": "LibreChat",
    "open-webui": "Open WebUI",
    "n8n": "n8n",
    "lm-studio": "LM Studio",
    "jan": "Jan",
    "raycast": "Raycast",
    "com.raycast": "Raycast",
    "postman": "Postman",
    "langchain": "LangChain",
    "mcp-use": "mcp-use",
    "fastmcp": "FastMCP",
    "mcp-inspector": "MCP Inspector",
    "inspector": "MCP Inspector",
    "mcp-conformance": "MCP conformance suite",
    "mcp-remote": "mcp-remote",
    "mcp-proxy": "mcp-proxy",
    "supergateway": "supergateway",
    "mcp": "Python SDK",  # only exactly this: see _EXACT
    "mcp-client": "MCP client",
    "mcp-typescript": "TypeScript SDK",
}
_EXACT = {"mcp", "mcp-client", "jan", "zed", "warp", "cline", "kiro", "continue"}  # words that other names begin with
_AGENTS = {
    "claude-code": "Claude Code",
    "Claude-User": "claude.ai",
    "cursor": "Cursor",
    "VisualStudioCode": "VS Code",
    "codex": "Codex",
    "gemini-cli": "Gemini CLI",
    "openai-mcp": "ChatGPT",
    "n8n": "n8n",
    "python-httpx": "Python SDK",
    "python-httpx2": "Python SDK",
    "go-http-client": "Go client",
    "node": "Node client",
    "undici": "Node client",
    "java-http-client": "Java client",
    "reqwest": "Rust client",
    "rmcp": "Rust SDK",
    "okhttp": "Java client",
    "curl": "curl",
    "aiohttp": "Python client",
    "python-requests": "Python client",
    "Mozilla": "browser",
}
_SDK_NAMES = {"", "mcpclient", "unknown", "exampleclient", "client"}  # said by those who did not think of a name
_VIA = re.compile(r"(.*?)\s*\(via (mcp-remote|[\w.@/-]{1,40})(?:\s+v?([\w.+-]{1,32}))?\)\s*", re.DOTALL)
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_LIMIT = 64


@lru_cache(maxsize=4096)
def label(name: str | None, version: str | None, user_agent: str | None) -> str | None:
    """A client's label: from the table, else the cleaned clientInfo.name, else the User-Agent's product; or None.

    What stands behind mcp-remote is named first: it writes `claude-ai (via mcp-remote 0.1.37)` into clientInfo.name.
    """
    said = _shown(name)
    behind = _VIA.fullmatch(said)
    if behind is not None and behind[1]:
        front = _named(_NAMES, behind[1]) or behind[1]
        return f"{front} (via {behind[2]}{' ' + behind[3] if behind[3] else ''})"[: 2 * _LIMIT]
    known = _named(_NAMES, said)
    if known is not None:
        return known
    product = _shown(user_agent).partition("/")[0].partition(" ")[0]
    by_agent = _named(_AGENTS, product)
    if _folded(said) in _SDK_NAMES:
        return by_agent or said or product or None
    return said


def _named(table: dict[str, str], said: str) -> str | None:
    folded = _folded(said)
    fits = [key for key in table if folded == _folded(key) or (key not in _EXACT and folded.startswith(_folded(key)))]
    return table[max(fits, key=len)] if folded and fits else None


def _folded(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _shown(text: str | None) -> str:
    """Without control and direction characters: a name goes to pages, terminals and metric labels."""
    return " ".join(_NOT_SHOWN.sub(" ", text or "").split())[:_LIMIT].strip()
