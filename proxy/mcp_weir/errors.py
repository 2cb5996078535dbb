"""The error tree: leaves say whose fault it is (client, upstream, ours)."""


class WeirError(Exception):
    """Base of everything this package raises on purpose; its text is one sentence for a person."""


class UsageError(WeirError):
    """The operator asked for something that cannot be (exit code 2)."""


class StoreError(WeirError):
    """Postgres cannot be reached, or refused (exit code 1)."""


class Unreachable(StoreError):
    """There is no connection to Postgres."""


class NotStarting(StoreError):
    """The embedded Postgres does not start; it may do so later (space on the disk, memory, a file mended)."""


class SchemaTooNew(StoreError):
    """The database was migrated by a newer mcp-weir; spool on, do not write."""


class SpoolError(WeirError):
    """The spool directory cannot be used."""


class ClientFault(WeirError):
    """The client sent what HTTP does not allow; answered with `status` and closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class UpstreamFault(WeirError):
    """The upstream could not be reached or broke off; `kind` is connect, timeout, reset or protocol."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
