"""What a page is: a path, what it asks of the store, a template; and everything that such a question knows."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from mcp_weir.dashboard.filters import Filters, Param
from mcp_weir.dashboard.shell import Shells
from mcp_weir.errors import UsageError
from mcp_weir.store.reads import Prices
from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import Filter, Thresholds, Window

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the composition root knows: where clients connect, alert thresholds, prices if a model is declared."""

    mcp_url: str | None = None
    thresholds: Thresholds = Thresholds()
    prices: Prices | None = None
    version: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One look at one page."""

    conn: Conn
    beside: Conn | None = None  # a second connection, on pages that are `heavy`
    shells: Shells
    filters: Filters
    path: Mapping[str, str]
    about: About

    @property
    def window(self) -> Window:
        """The filters' window as the store takes it."""
        return Window.of(self.filters.start, self.filters.end)

    def where(self, **more: Any) -> Filter:
        """A store filter in the chosen service."""
        return Filter(service=self.filters.service, **more)

    def choice(self, name: str, otherwise: str) -> str:
        """A parameter with a default."""
        return self.filters[name] or otherwise


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page and its JSON twin. `view` returns the template's `view` and the twin's `data`; None is a 404.

    `nav` names the entry that is lit in the navigation; `listed` says that the page itself is an entry.
    """

    path: str
    title: str
    says: str
    template: str
    view: Callable[[Ask], Awaitable[object | None]]
    params: tuple[Param, ...] = ()
    nav: str = ""
    paged: bool = False
    listed: bool = False
    heavy: bool = False  # reads enough to be worth two connections side by side


async def wanted(awaitable: Awaitable[T]) -> T:
    """A read whose ValueError (a sort or cursor that is none) is the asker's mistake."""
    try:
        return await awaitable
    except ValueError as error:
        raise UsageError(f"that cannot be asked for: {error}") from None
