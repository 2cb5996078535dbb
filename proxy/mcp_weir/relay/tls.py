"""TLS on both sides. The upstream's certificate is always verified: there is no setting that turns it off."""

import ssl
from pathlib import Path

from mcp_weir.errors import UsageError


def serving(cert: Path, key: Path) -> ssl.SSLContext:
    """For clients. Raises UsageError for files that are none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load(context, cert, key, "--tls-cert")
    return context


def asking(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """For an https upstream: its CA (default the system's) and our client certificate, if there is one."""
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except (OSError, ssl.SSLError):
        raise UsageError(f"--upstream-ca {ca} cannot be read as PEM") from None
    context.set_alpn_protocols(["http/1.1"])
    if cert is not None:
        _load(context, cert, key, "--upstream-cert")
    return context


def _load(context: ssl.SSLContext, cert: Path, key: Path | None, named: str) -> None:
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError):
        raise UsageError(f"{named} {cert} and its key cannot be read, or do not belong together") from None
