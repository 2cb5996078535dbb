"""Who plays: clients, their makers' names as clients really give them, made-up people, and what each of them does."""

import base64
import dataclasses
import json

from mcp_weir.demo import acts
from mcp_weir.demo.acts import Act

# How a conversation ends: in order, without a word, or in the middle of a call; `forgotten` loses its session first.
ORDERLY, SILENT, MIDSTREAM, FORGOTTEN = "orderly", "silent", "midstream", "forgotten"


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One conversation to come."""

    name: str
    version: str
    person: str | None
    mode: str  # `legacy` (initialize) or `auto` (server/discover, modern)
    act: Act
    ending: str = ORDERLY

    @property
    def headers(self) -> dict[str, str]:
        """Authorization as a client behind OAuth sends it: a token whose subject is the person. Signed by nobody."""
        if self.person is None:
            return {}
        parts = ({"alg": "none"}, {"sub": self.person, "iss": "https://login.example"}, None)
        token = ".".join(_base64(json.dumps(part).encode() if part else b"demo") for part in parts)
        return {"Authorization": f"Bearer {token}"}


def parts() -> list[Part]:
    """The whole evening: 36 conversations of both eras."""
    legacy = [
        Part("claude-code", "2.0.14", "ada@example.org", "legacy", acts.compute),
        Part("claude-code", "2.0.14", "ada@example.org", "legacy", acts.asked),
        Part("claude-code", "1.0.98", "grace@example.org", "legacy", acts.browse),
        Part("cursor-vscode", "1.7.2", "grace@example.org", "legacy", acts.compute),
        Part("cursor-vscode", "1.7.2", "alan@example.org", "legacy", acts.unlucky),
        Part("cursor-vscode", "1.7.2", "alan@example.org", "legacy", acts.patient, SILENT),
        Part("Visual Studio Code", "1.106.0", "edsger@example.org", "legacy", acts.hungry),
        Part("Visual Studio Code", "1.106.0", "edsger@example.org", "legacy", acts.compute, FORGOTTEN),
        Part("mcp-inspector", "0.17.2", None, "legacy", acts.browse, SILENT),
        Part("mcp-inspector", "0.17.2", None, "legacy", acts.asked, SILENT),
        Part("windsurf-client", "1.12.3", "barbara@example.org", "legacy", acts.gives_up),
        Part("windsurf-client", "1.12.3", "barbara@example.org", "legacy", acts.compute, MIDSTREAM),
        Part("nightly-report", "3.1", "batch@example.org", "legacy", acts.hungry),
        Part("nightly-report", "3.1", "batch@example.org", "legacy", acts.unlucky),
        Part("claude-ai (via mcp-remote 0.1.31)", "0.1.0", None, "legacy", acts.detached),
        Part("claude-code", "2.0.14", "ada@example.org", "legacy", acts.detached),
        Part("goose", "1.14.0", "donald@example.org", "legacy", acts.patient),
        Part("goose", "1.14.0", "donald@example.org", "legacy", acts.compute, SILENT),
    ]
    modern = [
        Part("claude-code", "2.2.0", "ada@example.org", "auto", acts.compute),
        Part("claude-code", "2.2.0", "ada@example.org", "auto", acts.asked),
        Part("claude-code", "2.2.0", "grace@example.org", "auto", acts.asked),
        Part("claude-code", "2.2.0", "grace@example.org", "auto", acts.patient),
        Part("codex-mcp-client", "0.63.0", "alan@example.org", "auto", acts.compute),
        Part("codex-mcp-client", "0.63.0", "alan@example.org", "auto", acts.unlucky),
        Part("codex-mcp-client", "0.63.0", "edsger@example.org", "auto", acts.browse),
        Part("gemini-cli", "0.20.1", "barbara@example.org", "auto", acts.compute),
        Part("gemini-cli", "0.20.1", "barbara@example.org", "auto", acts.gives_up),
        Part("gemini-cli", "0.20.1", "barbara@example.org", "auto", acts.hungry),
        Part("openai-mcp", "1.0.0", "donald@example.org", "auto", acts.compute),
        Part("openai-mcp", "1.0.0", "donald@example.org", "auto", acts.asked),
        Part("level-watcher", "0.4", None, "2026-07-28", acts.compute),
        Part("level-watcher", "0.4", None, "2026-07-28", acts.patient),
        Part("zed", "0.214.0", "tony@example.org", "auto", acts.browse),
        Part("zed", "0.214.0", "tony@example.org", "auto", acts.compute, MIDSTREAM),
        Part("n8n", "1.119.0", "batch@example.org", "auto", acts.unlucky),
        Part("n8n", "1.119.0", "batch@example.org", "auto", acts.hungry),
    ]
    return [part for pair in zip(legacy, modern, strict=True) for part in pair]


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
