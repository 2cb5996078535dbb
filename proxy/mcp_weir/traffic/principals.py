"""Who calls: from a token's claims, a trusted header, or a keyed hash of the credential. Pure; the token never rests.

A JWT (RFC 7519) is read, not verified: the server behind us decides whether it is good, and a row says only who was
named. Subjects are unique within their issuer only, so the key covers both.
"""

import base64
import binascii
import dataclasses
from functools import lru_cache
from typing import Literal, Protocol

import msgspec

_TOKEN_LIMIT = 16_384
_TEXT_LIMIT = 256
_KNOWN_MAX = 4096  # bytes of a credential that is remembered


class _Keys(Protocol):
    def principal_key(self, credential: bytes) -> bytes: ...
    def __hash__(self) -> int: ...


@dataclasses.dataclass(frozen=True, slots=True)
class PrincipalRule:
    """`name` is the claim of `jwt`, or the lower-case header of `header`."""

    source: Literal["auto", "authorization", "jwt", "header", "none"] = "auto"
    name: str = "sub"

    @classmethod
    def parse(cls, text: str) -> "PrincipalRule":
        """auto | authorization | jwt:CLAIM | header:NAME | none. Raises ValueError."""
        kind, colon, name = text.partition(":")
        match kind, name.strip():
            case ("auto" | "authorization" | "none") as source, "" if not colon:
                return cls(source)
            case "jwt", claim if claim:
                return cls("jwt", claim)
            case "header", header if header:
                return cls("header", header.lower())
        raise ValueError(f"{text!r} is none of auto, authorization, jwt:CLAIM, header:NAME, none")


class Principal(msgspec.Struct, frozen=True):
    """`text` is None where only a hash of the credential is known."""

    key: bytes
    text: str | None = None


def principal_of(rule: PrincipalRule, keys: _Keys, headers: dict[bytes, bytes]) -> Principal | None:
    """Who a request's head names; None for nobody."""
    if rule.source == "none":
        return None
    if rule.source == "header":
        value = headers.get(rule.name.encode("latin-1", "replace"), b"").strip()
        return _named(keys, "header", "", value.decode("utf-8", "replace")) if value else None
    credential = headers.get(b"authorization", b"").strip()
    if not credential:
        return None
    return (_known if len(credential) <= _KNOWN_MAX else _from_credential)(rule, keys, credential)


def subject_key(keys: _Keys, subject: str, issuer: str = "", *, header: bool = False) -> bytes:
    """The principal_key of a subject that is known by name: for look-up and erasure."""
    return _named(keys, "header" if header else "jwt", issuer, subject).key


def _from_credential(rule: PrincipalRule, keys: _Keys, credential: bytes) -> Principal:
    scheme, _, token = credential.partition(b" ")
    if rule.source != "authorization" and scheme.lower() == b"bearer":
        claims = _claims(token.strip())
        subject = claims.get("sub" if rule.source == "auto" else rule.name)
        if isinstance(subject, str | int) and not isinstance(subject, bool) and str(subject):
            issuer = claims.get("iss")
            return _named(keys, "jwt", issuer if isinstance(issuer, str) else "", str(subject))
    return Principal(keys.principal_key(credential))


# a client sends the same token with every request: 0.1 us instead of 4 us. Strangers choose the token: 8 MiB at most
_known = lru_cache(maxsize=2048)(_from_credential)


def _named(keys: _Keys, kind: str, issuer: str, subject: str) -> Principal:
    said = f"{kind}\0{issuer}\0{subject}".encode("utf-8", "surrogatepass")
    shown = subject.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:_TEXT_LIMIT]
    return Principal(keys.principal_key(said), shown)


def _claims(token: bytes) -> dict[str, object]:
    parts = token.split(b".")
    if len(parts) != 3 or len(token) > _TOKEN_LIMIT:
        return {}
    try:
        body = base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))
        found = msgspec.json.decode(body)
    except (binascii.Error, msgspec.MsgspecError, RecursionError, UnicodeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
