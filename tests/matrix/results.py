"""What the cells of the matrix came to, kept with a digest of the code they ran on, so that a table is of one code."""

import hashlib
import json

from peers import HERE, HOME, Client, Server, clients, servers

ROOT = HERE.parent.parent
KEPT = HOME / "results.jsonl"
PAGE = ROOT / "docs" / "matrix.md"
_BEGIN, _END = "<!-- the table, from `make matrix` -->\n", "<!-- end -->\n"
Verdict = tuple[str, str, str, str]  # server, mode, client, what came out


def digest() -> str:
    """Of all that decides what a cell comes to."""
    found = hashlib.sha256()
    for folder in (ROOT / "proxy" / "mcp_weir", HERE):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".sql", ".mjs", ".json"):
                found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


class Results:
    """Of the code as it stood when this was made; the last outcome of a cell counts."""

    def __init__(self) -> None:
        self.state = digest()
        self._found: dict[tuple[str, str, str], str] = {}
        for line in KEPT.read_text().splitlines() if KEPT.exists() else ():
            state, server, mode, client, verdict = json.loads(line)
            if state == self.state:
                self._found[server, mode, client] = verdict

    def passed(self, server: Server, client: Client) -> bool:
        """Ran on this code, and did not fail."""
        return not self._found.get((server.name, server.mode, client.name), "FAIL").startswith("FAIL")

    def add(self, server: Server, client: str, verdict: str) -> None:
        """Keep one outcome at once: a run may be ended at any time."""
        self._found[server.name, server.mode, client] = verdict
        with KEPT.open("a") as out:
            out.write(json.dumps([self.state, server.name, server.mode, client, verdict]) + "\n")

    def cells(self) -> list[Verdict]:
        """All of this code, in the order of the servers."""
        order = {(name, mode): n for n, (name, mode) in enumerate((s.name, s.mode) for s in servers())}
        found = ((*key, verdict) for key, verdict in self._found.items())
        return sorted(found, key=lambda cell: order[cell[0], cell[1]])

    def write(self) -> None:
        """The table into the page, with how many cells it has and of which code."""
        cells, page = self.cells(), PAGE.read_text()
        before, rest = page.split(_BEGIN)
        after = rest.split(_END)[1]
        ok = sum(cell[3] == "ok" for cell in cells)
        said = f"{table(cells)}\n\n{len(cells)} cells, {ok} `ok`.\n"
        PAGE.write_text(f"{before}{_BEGIN}{said}{_END}{after}")


def table(cells: list[Verdict]) -> str:
    """Servers down, clients across; `–` where a client does not speak HTTP+SSE."""
    names = list(dict.fromkeys(client.name for client in clients()))
    speak = {(client.name, client.transport) for client in clients()}
    transports = {(server.name, server.mode): server.transport for server in servers()}
    found = {(server, mode, client): verdict for server, mode, client, verdict in cells}
    lines = [f"| server | mode | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for server, mode in dict.fromkeys((server, mode) for server, mode, _, _ in cells):
        said = [found.get((server, mode, name), "").partition(":")[0]
                if (name, transports[server, mode]) in speak else "–" for name in names]
        lines.append(f"| {server} | {mode} | {' | '.join(said)} |")
    return "\n".join(lines)
