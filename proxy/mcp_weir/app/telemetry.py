"""OpenTelemetry, composed: only where an endpoint is set, and only then is the SDK (an extra) loaded."""

from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_weir.config import Settings
from mcp_weir.errors import UsageError

if TYPE_CHECKING:
    from mcp_weir.sinks.otel import Otel


def check_otel(settings: Settings) -> None:
    """Raises UsageError for an endpoint that is none, and where the extra is not installed."""
    if not settings.otel_endpoint:
        if settings.otel_spans:
            raise UsageError("--otel-spans has nowhere to send them; give --otel-endpoint http://127.0.0.1:4318")
        return
    try:
        parts = urlsplit(settings.otel_endpoint)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or parts.query or parts.fragment:
        raise UsageError("--otel-endpoint is no HTTP URL; write the collector's OTLP/HTTP base, http://127.0.0.1:4318")
    if parts.username is not None:
        raise UsageError("--otel-endpoint holds a user name; send credentials by OTEL_EXPORTER_OTLP_HEADERS")
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise UsageError('--otel-endpoint needs the OpenTelemetry SDK; run pip install "mcp-weir[otel]"')


def otel(settings: Settings) -> "Otel | None":
    """The sink, its thread running; None where nothing is to be sent. Raises UsageError as `check_otel` does."""
    check_otel(settings)
    said_in = settings.data_dir / "otel.json"
    said_in.unlink(missing_ok=True)
    if not settings.otel_endpoint:
        return None
    from mcp_weir.sinks.otel import Otel  # noqa: PLC0415 - 20 MB that only who asked for it pays

    return Otel(settings.otel_endpoint, spans=settings.otel_spans, said_in=said_in)
