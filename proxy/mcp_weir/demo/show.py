"""What the demo shows in a terminal, on stderr: bars while it plays, a summary after. stdout is for `--json`."""

import contextlib
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from mcp_weir.demo.judge import Verdict
from mcp_weir.demo.processes import Addresses


class Bars:
    """Progress: conversations that ended, and requests that are rows of those that were sent."""

    def __init__(self, progress: Progress, conversations: TaskID, rows: TaskID) -> None:
        self._progress, self._conversations, self._rows = progress, conversations, rows

    def ended(self, sent: int) -> None:
        """One more conversation; so many requests were sent up to now."""
        self._progress.advance(self._conversations)
        self._progress.update(self._rows, total=sent)

    def recorded(self, rows: int) -> None:
        """So many of them are rows."""
        self._progress.update(self._rows, completed=rows)


class Show:
    """The terminal; silent where it is told to be."""

    def __init__(self, silent: bool) -> None:
        self._console = Console(stderr=True, quiet=silent, highlight=False)

    def starting(self) -> None:
        """Before anything listens."""
        self._console.print("Starting an example MCP server, the weir and a PostgreSQL ...")

    def at(self, dashboard: str) -> None:
        """Where it can be looked at in a moment."""
        self._console.print(f"  dashboard   [bold]{dashboard}[/bold]  (in a few seconds; it fills while you watch)")

    def open(self, addresses: Addresses) -> None:
        """Everything listens."""
        self._console.print(f"  MCP server  {addresses.server_url}")
        self._console.print(f"  weir        {addresses.url}")

    @contextlib.contextmanager
    def progress(self, conversations: int) -> Iterator[Bars]:
        """Bars for as long as the block lasts."""
        columns = (TextColumn("{task.description:14}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, disable=self._console.quiet) as progress:
            first = progress.add_task("conversations", total=conversations)
            yield Bars(progress, first, progress.add_task("rows", total=None))

    def summary(self, report: dict[str, Any], verdict: Verdict) -> None:
        """What the clients know beside what is recorded."""
        sent, recorded = report["sent"], report["recorded"]
        table = Table("", "sent by clients", "recorded", title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        table.add_row("requests", str(sent["requests"]), str(recorded["requests"]))
        for method in sorted({*sent["by_method"], *recorded["by_method"]}):
            counts = (str(side["by_method"].get(method, 0)) for side in (sent, recorded))
            table.add_row(f"  {method}", *counts)
        table.add_row("asked by the server", str(sent["server_requests"]), str(recorded["server_requests"]))
        for era in ("legacy", "modern"):
            table.add_row(f"sessions, {era}", str(sent["conversations"][era]), str(report["sessions"][era]))
        self._console.print(table)
        said = f"missing {verdict.missing}, duplicates {verdict.duplicates}, wrong {verdict.wrong}"
        self._console.print(f"[{'green' if verdict.equal else 'red'}]{said}[/]")
        for difference in verdict.differences:
            self._console.print(f"  {difference}", markup=False)

    def goes_on(self, addresses: Addresses) -> None:
        """Until Ctrl-C."""
        self._console.print(f"Clients go on, gently. Dashboard: [bold]{addresses.dashboard}[/bold]")
        self._console.print("Ctrl-C ends it all.")
