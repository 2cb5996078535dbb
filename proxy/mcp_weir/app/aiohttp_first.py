"""Loads aiohttp without the system's certificates; to be imported before anything else brings aiohttp.

Its client makes two TLS contexts as it is imported, and reading some 140 certificates into each is half of the import.
A relay has no need of that client, and the webhook gives it a context of its own. Whatever asks for the default one in
spite of that verifies against nothing: it fails, and trusts nobody.
"""

import ssl


def _none(_: ssl.SSLContext) -> None:
    """No certificates."""


ssl.SSLContext.set_default_verify_paths = _none  # type: ignore[method-assign, assignment]
try:
    import aiohttp  # noqa: F401
finally:
    del ssl.SSLContext.set_default_verify_paths  # its base has it
