"""Settings: one table. Flags, WEIR_* variables, a TOML file and docs/settings.md all come from it.

Precedence: flag, environment, file, default. May not know what a setting does; `app` maps them to the rooms.
"""

import dataclasses
import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from mcp_weir.errors import UsageError

Kind = Literal["text", "path", "duration", "size", "count", "number", "flag", "list", "url"]
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B?|B)?", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, None: 1}
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def _set(kind: Kind, default: Any, help: str, used_by: str, choices: tuple[str, ...] = ()) -> Any:
    meta = {"kind": kind, "help": help, "used_by": tuple(used_by.split()), "choices": choices}
    return dataclasses.field(default=default, metadata=meta)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its default. Durations are seconds, sizes bytes."""

    upstream: str | None = _set(
        "text", None, "The MCP server: origin and MCP path, http://127.0.0.1:8051/mcp.", "relay admin")
    listen: str = _set("text", "127.0.0.1:8052", "Where clients connect, HOST:PORT.", "relay")
    admin: str = _set(
        "text", "127.0.0.1:8053", "Dashboard, API, health and metrics, HOST:PORT; `off` for none.", "admin")
    database_url: str | None = _set(
        "text", None, "postgresql://... Without it (and without libpq's PG*) an embedded PostgreSQL runs.", "database")
    data_dir: Path = _set(
        "path", Path.home() / ".local" / "share" / "mcp-weir", "Key, spool and embedded PostgreSQL live here.",
        "relay recorder admin database")
    workers: int = _set("count", 1, "Relay processes; one core each.", "up")
    service: str | None = _set(
        "text", None, "Name of the server in the rows; default the upstream's host and port.", "relay")
    instance: str | None = _set("text", None, "Name of this replica in the rows; default the host name.", "relay")
    mcp_path: tuple[str, ...] = _set(
        "list", (), "Paths that are read; default the upstream's path and, beside it and at the root, /sse and"
        " /messages/.", "relay")
    key_file: Path | None = _set("path", None, "The HMAC key, shared by replicas; default DATA_DIR/key.", "relay")
    log_level: str = _set("text", "info", "What is logged to stderr.", "relay recorder admin",
                          ("debug", "info", "warning", "error"))
    # what is recorded
    capture: str = _set("text", "off", "Arguments and results: what of them is kept.", "relay",
                        ("off", "keys", "hashed", "redacted", "full"))
    capture_rule: tuple[str, ...] = _set(
        "list", (), "TOOL=POLICY or TOOL:$.json.path=POLICY; the first that fits wins over --capture.", "relay")
    redact: tuple[str, ...] = _set("list", (), "More key names whose values are never kept.", "relay")
    principal: str = _set(
        "text", "auto", "Who calls: auto (a JWT's sub, else a keyed hash of Authorization), authorization, jwt:CLAIM,"
        " header:NAME or none.", "relay")
    keep_principal: bool = _set("flag", False, "Keep the principal's text, not only its keyed hash.", "relay")
    keep_session_ids: bool = _set("flag", False, "Keep raw session ids (they are credentials).", "relay")
    session_handle: str | None = _set(
        "text", None, "header:NAME or argument:NAME that names a conversation where there is no session id.", "relay")
    body_limit: int = _set(
        "size", 4 << 20, "The longest body or event that is read; longer ones are only forwarded.", "relay")
    idle_window: float = _set("duration", 1800.0, "A pause that ends a session without an id.", "recorder")
    retention: float = _set(
        "duration", 90 * 86400.0, "Requests older than this are dropped; rollups stay; 0 keeps all.", "recorder")
    spool_max: int = _set("size", 8 << 30, "The most the spool may hold while Postgres is away.", "relay")
    keep_free: int = _set("size", 512 << 20, "Disk space that the spool leaves free.", "relay")
    durability: str = _set("text", "process", "What an answer waits for: a write (process) or a sync (power).", "relay",
                           ("process", "power"))
    record: str = _set(
        "text", "on", "`off` forwards without recording: for measuring what recording costs.", "relay", ("on", "off"))
    # forwarding
    connect_timeout: float = _set("duration", 5.0, "For a connection to the upstream.", "relay")
    drain_timeout: float = _set("duration", 25.0, "After SIGTERM: what running requests get.", "relay")
    head_timeout: float = _set("duration", 30.0, "For a client to send a request's head.", "relay")
    stream_idle_timeout: float = _set(
        "duration", 0.0, "Ends a stream that is silent for so long; 0 never does.", "relay")
    max_connections: int = _set("count", 8000, "Open client connections of one worker.", "relay")
    trusted_proxy: tuple[str, ...] = _set(
        "list", (), "CIDR whose Forwarded or X-Forwarded-For is believed.", "relay")
    add_forwarded: bool = _set("flag", False, "Add a Forwarded header for the upstream.", "relay")
    upstream_host: str | None = _set(
        "text", None, "Send this Host upstream; then --allowed-host is required.", "relay")
    allowed_host: tuple[str, ...] = _set("list", (), "Host values taken from clients, with --upstream-host.", "relay")
    allowed_origin: tuple[str, ...] = _set(
        "list", (), "Origin values taken from clients, with --upstream-host.", "relay")
    tls_cert: Path | None = _set("path", None, "Serve TLS with this certificate chain (PEM).", "relay")
    tls_key: Path | None = _set("path", None, "Its private key (PEM).", "relay")
    upstream_ca: Path | None = _set("path", None, "CA file for an https upstream; default the system's.", "relay")
    upstream_cert: Path | None = _set("path", None, "Client certificate for the upstream (PEM).", "relay")
    upstream_key: Path | None = _set("path", None, "Its private key (PEM).", "relay")
    # looking at it
    admin_token: str | None = _set(
        "text", None, "Asked for on every admin route; required where the admin port is not loopback.", "admin")
    admin_host: tuple[str, ...] = _set("list", (), "More Host values that the admin port answers to.", "admin")
    prices: Path | None = _set(
        "path", None, "TOML file with prices per million tokens; costs are estimates.", "admin cost")
    model: str | None = _set("text", None, "The model whose prices apply; no cost is shown without it.", "admin cost")
    alert_error_rate: float = _set(
        "number", 0.2, "Share of errors in 15 minutes that raises an alert.", "admin thresholds")
    alert_slow_ms: float = _set(
        "number", 2000.0, "A tool's p95 in milliseconds that raises an alert.", "admin thresholds")
    alert_spike: float = _set("number", 5.0, "Calls against the hour before that raise an alert.", "admin thresholds")
    otel_endpoint: str | None = _set(
        "text", None, "OTLP/HTTP base that metrics are sent to, http://127.0.0.1:4318; off without it. Headers and"
        " certificates: OTEL_EXPORTER_OTLP_*. Needs the extra `otel`.", "recorder")
    otel_spans: bool = _set(
        "flag", False, "Send a span for each request too (FastMCP may send its own).", "recorder")
    alert_webhook: str | None = _set("url", None, "URL that alerts are posted to as JSON.", "admin")


FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


def load(flags: Mapping[str, object], config: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags (None: not given), the environment and a TOML file. Raises UsageError with what to write."""
    env = os.environ if environ is None else environ
    found: dict[str, object] = {}
    for name, value in _file(config).items():
        found[name] = _value(name, value, f"{name} in {config}")
    for name in FIELDS:
        if (said := env.get(variable(name))) is not None:
            found[name] = _value(name, said, variable(name))
    for name, given in flags.items():
        if name in FIELDS and given is not None and given != ():
            found[name] = _value(name, given, flag(name))
    return Settings(**cast(dict[str, Any], found))


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return "WEIR_" + name.upper()


def flag(name: str) -> str:
    """The flag of a setting."""
    return "--" + name.replace("_", "-")


def environment(settings: Settings) -> dict[str, str]:
    """Variables that give a child process the same settings: secrets travel here and never in argv."""
    said: dict[str, str] = {}
    for name, field in FIELDS.items():
        value = getattr(settings, name)
        if value != field.default:
            said[variable(name)] = json.dumps(value) if isinstance(value, tuple) else str(value)
    return said


def documentation() -> str:
    """docs/settings.md: a test holds the file to this."""
    lines = [
        "# Settings", "",
        "Flag, environment variable or key of a TOML file (`--config FILE`); the first of these that is given counts.",
        "Durations: `500ms`, `30s`, `15m`, `2h`, `7d`. Sizes: `64KiB`, `512MiB`, `8GiB`. Lists: repeat the flag, or",
        "separate by commas in a variable (where a value holds a comma: a JSON array of texts).", "",
        "Made by `mcp-weir settings`.", "",
        "| flag | variable | default | what it is |", "|---|---|---|---|",
    ]
    for name, field in FIELDS.items():
        choices = f" One of {', '.join(field.metadata['choices'])}." if field.metadata["choices"] else ""
        said = f"{field.metadata['help']}{choices}"
        lines.append(f"| `{flag(name)}` | `{variable(name)}` | {shown_default(name)} | {said} |")
    return "\n".join(lines) + "\n"


def shown_default(name: str) -> str:
    """A setting's default as documentation shows it; empty where it has none."""
    value: Any = FIELDS[name].default
    kind = FIELDS[name].metadata["kind"]
    if value in (None, ()):
        return ""
    if kind == "size":
        unit = next(u for u in (30, 20, 10) if value % (1 << u) == 0)
        return f"`{value >> unit}{ {30: 'GiB', 20: 'MiB', 10: 'KiB'}[unit] }`"
    if kind == "duration":
        return f"`{value / 86400:g}d`" if value >= 86400 else f"`{value:g}s`"
    if kind == "flag":
        return "off"
    return f"`{'~/' + str(value.relative_to(Path.home())) if kind == 'path' else value}`"


def _file(config: Path | None) -> dict[str, object]:
    if config is None:
        return {}
    try:
        said = tomllib.loads(config.read_text())
    except OSError as error:
        raise UsageError(f"cannot read --config {config}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {config} is no TOML: {error}") from None
    found = {}
    for key, value in said.items():
        name = key.replace("-", "_")
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "; `mcp-weir settings` lists them"
            if isinstance(value, dict):
                hint = "; the file has no sections, every setting stands at the top"
            raise UsageError(f"{config}: no setting {key!r}{hint}")
        found[name] = value
    return found


def _value(name: str, said: object, where: str) -> object:
    meta = FIELDS[name].metadata
    try:
        value = _KINDS[meta["kind"]](said)
    except (ValueError, TypeError):
        kind, shown = meta["kind"], _masked(name, said)
        raise UsageError(f"{where}: {shown!r} is no {kind}; write {_EXAMPLES[kind]}") from None
    if meta["choices"] and value not in meta["choices"]:
        raise UsageError(f"{where}: {said!r} is none of {', '.join(meta['choices'])}")
    return value


def _masked(name: str, said: object) -> object:
    return "***" if name in ("database_url", "admin_token", "alert_webhook") else said


def _duration(said: object) -> float:
    if isinstance(said, int | float) and not isinstance(said, bool):
        return float(said)
    found = _DURATION.fullmatch(str(said).strip())
    if found is None:
        raise ValueError
    return float(found[1]) * _SECONDS[found[2]]


def _size(said: object) -> int:
    if isinstance(said, int) and not isinstance(said, bool):
        return said
    found = _SIZE.fullmatch(str(said).strip())
    if found is None:
        raise ValueError
    power = "BKMGT".index((found[2] or "B")[0].upper())
    return int(float(found[1]) * 1024**power)


def _count(said: object) -> int:
    value = int(cast(Any, said))
    if value < 1 or isinstance(said, bool):
        raise ValueError
    return value


def _flag(said: object) -> bool:
    if isinstance(said, bool):
        return said
    word = str(said).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError
    return word in _TRUE


def _list(said: object) -> tuple[str, ...]:
    if isinstance(said, str):
        if said.lstrip().startswith('["'):  # and not [::1]
            return tuple(map(_text, json.loads(said)))
        return tuple(part.strip() for part in said.split(",") if part.strip())
    return tuple(str(part) for part in cast(Any, said))


def _text(said: object) -> str:
    if not isinstance(said, str):
        raise ValueError
    return said


def _url(said: object) -> str | None:
    found = urlsplit(_text(said).strip())
    if not found.geturl():
        return None
    if found.scheme not in ("http", "https") or not found.hostname or found.port == 0:  # .port raises for what is none
        raise ValueError
    return found.geturl()


_KINDS: dict[str, Callable[[object], object]] = {
    "text": _text, "path": lambda said: Path(_text(str(said))).expanduser(), "duration": _duration, "size": _size,
    "url": _url, "count": _count, "number": lambda said: float(cast(Any, said)), "flag": _flag, "list": _list,
}
_EXAMPLES = {
    "text": "a text", "url": "https://HOST/PATH", "path": "a path", "duration": "30s, 15m, 2h or 7d",
    "size": "64KiB, 512MiB or 8GiB",
    "count": "a whole number from 1", "number": "a number", "flag": "true or false", "list": "a list of texts",
}
