"""spool status, spool cat: what waits on disk."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from mcp_weir.cli.options import with_settings
from mcp_weir.config import Settings
from mcp_weir.errors import UsageError


@click.group()
def spool() -> None:
    """What waits on disk."""


@spool.command("status")
@with_settings("database")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def spool_status(settings: Settings, as_json: bool) -> None:
    """Each stream (one worker's life): segments, bytes, alive or not, and its exact counts."""
    from mcp_weir.spool import counters, reader

    root = settings.data_dir / "spool"
    streams: dict[UUID, dict[str, Any]] = {}
    index = reader.Index(root)
    if root.is_dir():
        index.refresh()
    for segment in (segment for segments in index.streams.values() for segment in segments):
        entry = streams.setdefault(segment.header.stream, {
            "stream": str(segment.header.stream), "service": segment.header.service,
            "instance": segment.header.instance, "segments": 0, "bytes": 0,
        })
        entry["segments"] += 1
        entry["bytes"] += segment.size()
    for stream, entry in streams.items():
        counts = counters.read_counts(root / str(stream)).values()
        entry["alive"] = reader.stream_is_live(root, stream)
        entry["seen"] = sum(count.seen for count in counts)
        entry["spooled"] = sum(count.spooled for count in counts)
        entry["dropped"] = sum(sum(count.dropped.values()) for count in counts)
    if as_json:
        click.echo(json.dumps(list(streams.values())))
        return
    for entry in streams.values():
        click.echo("  ".join(f"{name} {value}" for name, value in entry.items()))
    for path, why in index.strange.items():
        click.echo(f"{path}: {why}; left as it is", err=True)
    if not streams:
        click.echo(f"nothing waits in {root}")


@spool.command("cat")
@with_settings("database")
@click.argument("segments", nargs=-1, type=click.Path(path_type=Path))
def spool_cat(settings: Settings, segments: tuple[Path, ...]) -> None:
    """Facts as JSON lines: of all segments, or of those named."""
    import msgspec

    from mcp_weir.spool import reader

    encode = msgspec.json.Encoder().encode
    for path in segments:
        if not path.is_file():
            raise UsageError(f"{path}: no such segment")
    wanted = {path.resolve() for path in segments}
    for segment in reader.scan(settings.data_dir / "spool"):
        if wanted and segment.path.resolve() not in wanted:
            continue
        offset = 0
        while True:
            chunk = segment.read(offset, 1 << 20)
            for _, line in chunk.lines:
                for fact in line:
                    click.echo(encode(fact))
            if chunk.end_offset == offset:
                break
            offset = chunk.end_offset
