"""A client's name in a person's words."""

import pytest

from mcp_weir.traffic.labels import label


@pytest.mark.parametrize(
    ("name", "user_agent", "said"),
    [
        ("claude-code", "claude-code/2.1.0 (cli)", "Claude Code"),
        ("claude-ai", None, "Claude Desktop"),
        ("claude-ai (via mcp-remote 0.1.37)", "node", "Claude Desktop (via mcp-remote 0.1.37)"),
        ("some-agent (via mcp-remote 0.1.9)", "node", "some-agent (via mcp-remote 0.1.9)"),
        ("mcp-remote", "node", "mcp-remote"),
        ("cursor-vscode", None, "Cursor"),
        ("Cursor", None, "Cursor"),
        ("Visual Studio Code - Insiders", None, "VS Code"),
        ("Visual-Studio-Code", None, "VS Code"),
        ("windsurf-client", None, "Windsurf"),
        ("Zed", None, "Zed"),
        ("zedonk", None, "zedonk"),
        ("inspector-cli", "node", "MCP Inspector"),
        ("mcp-inspector", "node", "MCP Inspector"),
        ("mcp", "python-httpx2/2.16.2", "Python SDK"),
        ("mcpx-of-mine", None, "mcpx-of-mine"),
        ("mcp-use", None, "mcp-use"),
        ("codex-mcp-client", None, "Codex"),
        ("gemini-cli-mcp-client", None, "Gemini CLI"),
        ("gemini-cli-mcp-client-weir", None, "Gemini CLI"),
        ("@n8n/n8n-nodes-langchain.mcpClientTool", None, "n8n"),
        ("goose", None, "Goose"),
        ("@librechat/api-client", None, "LibreChat"),
        ("my own agent", "python-httpx/0.28", "my own agent"),
        (None, "claude-code/2.1.0", "Claude Code"),
        (None, "python-httpx/0.28.1", "Python SDK"),
        (None, "weird-thing/1.0 (x)", "weird-thing"),
        ("mcp-client", "weird-thing/1.0", "MCP client"),
        ("", "undici", "Node client"),
        (None, None, None),
        ("\u202eevil\x1b[31m", None, "evil [31m"),
        ("x" * 500, None, "x" * 64),
    ],
)
def test_labels(name: str | None, user_agent: str | None, said: str | None) -> None:
    assert label(name, "1.0", user_agent) == said
