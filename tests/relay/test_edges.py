"""What stands around us: TLS on both sides, proxies before us, Host and Origin."""

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mcp_weir.errors import UsageError
from mcp_weir.relay.forwarded import client_of, element, networks
from mcp_weir.relay.hosts import hosts
from mcp_weir.relay.tls import asking, serving


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return certificate(tmp_path_factory.mktemp("tls"), names)


def certificate(folder: Path, names: list[x509.GeneralName]) -> tuple[Path, Path]:
    """One that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))
    return folder / "cert.pem", folder / "key.pem"


def served(pem: tuple[Path, Path], ask_for_certificate: bool = False) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pem)
    if ask_for_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pem[0])
    return lambda sock: context.wrap_socket(sock, server_side=True)


def test_tls_to_clients(upstream: Any, weir: Any, tools: Any, pem: tuple[Path, Path]) -> None:
    through = weir(upstream(lambda p, r: tools.fixed(r.body)(p, r)), tls=serving(*pem))
    context = ssl.create_default_context(cafile=str(pem[0]))
    for body in (b"small", b"x" * 3_000_000):
        with socket.create_connection(("127.0.0.1", through.port)) as sock:
            peer = tools.Peer(context.wrap_socket(sock, server_hostname="localhost"))
            assert peer.send(tools.post(body)).response().body == body
            peer.close()


def test_tls_to_the_upstream_is_verified(upstream: Any, weir: Any, tools: Any, pem: tuple[Path, Path]) -> None:
    server = upstream(wrap=served(pem))
    origin = f"https://localhost:{server.port}"
    assert weir(origin, upstream_tls=asking(pem[0], None, None)).ask(tools.get()).status == 200
    answer = weir(origin).ask(tools.get())
    assert answer.status == 502 and b"TLS with the upstream failed" in answer.body
    assert len(server.requests) == 1


def test_a_certificate_for_another_name_is_none(upstream: Any, weir: Any, tools: Any, tmp_path: Path) -> None:
    """Though it is trusted; and the name asked for (SNI) is the origin's."""
    elsewhere, asked = certificate(tmp_path, [x509.DNSName("elsewhere.test")]), []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*elsewhere)
    context.sni_callback = lambda sock, name, own: asked.append(name)
    server = upstream(wrap=lambda sock: context.wrap_socket(sock, server_side=True))
    for host in ("localhost", "127.0.0.1"):
        answer = weir(f"https://{host}:{server.port}", upstream_tls=asking(elsewhere[0], None, None)).ask(tools.get())
        assert answer.status == 502 and b"TLS with the upstream failed" in answer.body
    assert asked == ["localhost", None] and server.requests == []


def test_old_tls_is_spoken_with_nobody_and_everybody_is_verified(pem: tuple[Path, Path]) -> None:
    for context in (serving(*pem), asking(pem[0], None, None), asking(None, *pem)):
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    for context in (asking(pem[0], None, None), asking(None, *pem)):
        assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def test_our_certificate_is_shown_to_the_upstream(
    upstream: Any, weir: Any, tools: Any, pem: tuple[Path, Path]
) -> None:
    server = upstream(wrap=served(pem, ask_for_certificate=True))
    origin = f"https://localhost:{server.port}"
    assert weir(origin, upstream_tls=asking(pem[0], *pem)).ask(tools.get()).status == 200
    assert weir(origin, upstream_tls=asking(pem[0], None, None)).ask(tools.get()).status == 502


def test_files_that_are_no_certificates_are_named(tmp_path: Path, pem: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="--tls-cert"):
        serving(pem[1], pem[0])
    with pytest.raises(UsageError, match="--upstream-ca"):
        asking(tmp_path / "none", None, None)
    with pytest.raises(UsageError, match="--upstream-cert"):
        asking(None, pem[0], tmp_path / "none")


def test_proxies_of_the_environment_are_not_asked(
    upstream: Any, weir: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert weir(upstream()).ask(tools.get()).status == 200


@pytest.mark.parametrize(
    ("peer", "fields", "address", "proxied"),
    [
        ("192.0.2.1", [(b"X-Forwarded-For", b"1.2.3.4")], "192.0.2.1", False),
        ("10.0.0.1", [], "10.0.0.1", True),
        ("10.0.0.1", [(b"X-Forwarded-For", b"1.2.3.4")], "1.2.3.4", True),
        ("10.0.0.1", [(b"X-Forwarded-For", b"6.6.6.6, 1.2.3.4, 10.0.0.2")], "1.2.3.4", True),
        ("10.0.0.1", [(b"X-Forwarded-For", b"6.6.6.6"), (b"x-forwarded-for", b"1.2.3.4")], "1.2.3.4", True),
        ("10.0.0.1", [(b"X-Forwarded-For", b"evil, 10.0.0.2")], "10.0.0.2", True),
        ("10.0.0.1", [(b"X-Forwarded-For", b"6.6.6.6, evil, 10.0.0.2")], "10.0.0.2", True),
        ("10.0.0.1", [(b"X-Forwarded-For", b"6.6.6.6, unknown")], "10.0.0.1", True),
        ("10.0.0.1", [(b"Forwarded", b"for=6.6.6.6, for=_hidden, for=10.0.0.3")], "10.0.0.3", True),
        ("10.0.0.1", [(b"Forwarded", b"for=6.6.6.6, proto=https")], "10.0.0.1", True),
        ("10.0.0.1", [(b"X-Forwarded-For", b"1.2.3.4:99")], "1.2.3.4", True),
        ("10.0.0.1", [(b"X-Forwarded-For", b"2001:db8::1")], "2001:db8::1", True),
        ("10.0.0.1", [(b"Forwarded", b"for=1.2.3.4;proto=https;by=x")], "1.2.3.4", True),
        ("10.0.0.1", [(b"Forwarded", b'for=6.6.6.6, For="[2001:db8::1]:4711"')], "2001:db8::1", True),
        ("10.0.0.1", [(b"Forwarded", b'by="for=6.6.6.6, for=7.7.7.7";for=1.2.3.4')], "1.2.3.4", True),
        ("10.0.0.1", [(b"Forwarded", b"for=_hidden, for=unknown")], "10.0.0.1", True),
        ("10.0.0.1", [(b"Forwarded", b"for=6.6.6.6"), (b"X-Forwarded-For", b"1.2.3.4")], "10.0.0.1", True),
        ("10.0.0.1", [(b"Forwarded", b"for=1.2.3.4"), (b"X-Forwarded-For", b"1.2.3.4")], "1.2.3.4", True),
        ("10.0.0.1", [(b"X-Forwarded-For", b"10.9.9.9, 10.0.0.2")], "10.9.9.9", True),
        ("::ffff:10.0.0.1", [(b"X-Forwarded-For", b"1.2.3.4")], "1.2.3.4", True),
        (None, [(b"X-Forwarded-For", b"1.2.3.4")], None, False),
    ],
)
def test_the_client_behind_a_proxy(
    peer: str | None, fields: list[tuple[bytes, bytes]], address: str | None, proxied: bool
) -> None:
    found = client_of(tuple(fields), peer, networks(("10.0.0.0/8",)))
    assert (found.address, found.proxied) == (address, proxied)
    assert client_of(tuple(fields), peer, ()).address == peer


def test_a_trusted_proxy_s_word_is_recorded(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    asked = tools.get(more=b"X-Forwarded-For: 203.0.113.9\r\n")
    for trusted, address, proxied in ((("127.0.0.0/8",), "203.0.113.9", True), ((), "127.0.0.1", False)):
        through = weir(server, trusted=networks(trusted))
        through.ask(asked)
        (opened,) = through.of(tools.Opened)
        assert (opened.client_addr, opened.proxied) == (address, proxied)
    assert all(r.get(b"x-forwarded-for") == b"203.0.113.9" for r in server.requests), "passed as it came"
    with pytest.raises(UsageError, match="--trusted-proxy"):
        networks(("10.0.0.0/99",))


def test_forwarded_is_added_only_where_asked(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    weir(server).ask(tools.get())
    weir(server, add_forwarded=True).ask(tools.get(more=b"Forwarded: for=192.0.2.1\r\n"))
    assert server.requests[0].get(b"forwarded") is None
    said = [value for name, value in server.requests[1].fields if name.lower() == b"forwarded"]
    assert said == [b"for=192.0.2.1", b'for=127.0.0.1;proto=http;host="weir"']
    assert element(None, b'h"\\x', False) == b'for=unknown;proto=http;host="h\\"\\\\x"'
    assert element("2001:db8::1", None, True) == b'for="[2001:db8::1]";proto=https'


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /mcp HTTP/1.1\r\nHost: weir.test\r\n\r\n", 200),
        (b"GET /mcp HTTP/1.1\r\nHost: WEIR.test:8052\r\n\r\n", 200),
        (b"GET http://weir.test/mcp HTTP/1.1\r\nHost: weir.test\r\n\r\n", 200),
        (b"GET /mcp HTTP/1.1\r\nHost: evil.test\r\n\r\n", 403),
        (b"GET /mcp HTTP/1.0\r\n\r\n", 403),
        (b"GET /mcp HTTP/1.1\r\nHost: weir.test\r\nOrigin: http://evil.test\r\n\r\n", 403),
        (b"GET /mcp HTTP/1.1\r\nHost: weir.test\r\nOrigin: null\r\n\r\n", 403),
        (b"GET /mcp HTTP/1.1\r\nHost: weir.test\r\nOrigin: https://app.test\r\n\r\n", 200),
        (b"GET /mcp HTTP/1.1\r\nHost: weir.test\r\nOrigin: http://weir.test:1\r\n\r\n", 200),
        # what a page that rebinds its name may try: names that begin or end like ours, ports that are none, two of each
        *((b"GET /mcp HTTP/1.1\r\nHost: %b\r\n\r\n" % host, 403) for host in (
            b"", b":80", b"weir.test.evil.test", b"evil-weir.test", b"x.weir.test", b"weir.testx", b"weir.test.",
            b"weir.test:80.evil.test", b"weir.test:80:80", b"weir.test:", b"weir.test:x", b"evil.test#weir.test",
            b"evil.test,weir.test", b"weir.test,evil.test", b"weir.test@evil.test", b"127.0.0.1", b"localhost")),
        *((b"GET /mcp HTTP/1.1\r\nHost: weir.test\r\nOrigin: %b\r\n\r\n" % origin, 403) for origin in (
            b"", b"weir.test", b"http://", b"http://weir.test.evil.test", b"http://evil.test/weir.test",
            b"https://app.test:1", b"http://app.test", b"https://app.test.evil.test", b"http://weir.test@evil.test", b"file://",
            b"//weir.test", b"http://evil.test:80 http://weir.test", b"https://app.test, http://evil.test")),
        (b"GET /mcp HTTP/1.1\r\nHost: weir.test\r\nOrigin: https://app.test\r\nOrigin: http://evil.test\r\n\r\n", 403),
        (b"GET http://evil.test/mcp HTTP/1.1\r\nHost: evil.test\r\n\r\n", 403),
        (b"GET http://evil.test/mcp HTTP/1.0\r\n\r\n", 403),
    ],
)
def test_a_rewritten_host_needs_lists_of_our_own(
    upstream: Any, weir: Any, tools: Any, head: bytes, status: int
) -> None:
    server = upstream()
    lists = hosts("inner:8051", ("weir.test",), ("https://app.test",))
    got = weir(server, hosts=lists).ask(head).status
    assert got == status or (status == 403 and got == 400), "refused by us, or before by the parser"
    assert [r.get(b"host") for r in server.requests] == ([b"inner:8051"] if status == 200 else [])
    assert all(r.start == b"GET /mcp HTTP/1.1" for r in server.requests)


@pytest.mark.parametrize("power", [True, False])
def test_power_durability_holds_the_last_byte_back(upstream: Any, weir: Any, tools: Any, power: bool) -> None:
    """With `durable` no byte that completes a fact goes out before it returns."""
    through = weir(upstream(), power=power)
    for _ in range(3):
        assert through.connect().send(tools.post(tools.call())).response().body == b"{}"
        if power:
            assert through.synced == len(through.facts), "what was offered is on the disk"
    assert bool(through.synced) is power
