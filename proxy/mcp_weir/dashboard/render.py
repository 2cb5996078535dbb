"""Templates: autoescape is always on, an unknown name is an error, nothing is marked safe."""

import json
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from mcp_weir.dashboard import charts, format

_ENV = Environment(
    loader=PackageLoader("mcp_weir.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
for _name in ("number", "exact", "ms", "seconds", "size", "percent", "change", "ago", "stamp", "clock", "money"):
    _ENV.filters[_name] = getattr(format, _name)
_ENV.globals.update(charts=charts, sparks=charts.spark)
_ENV.filters["json"] = lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False)


def load() -> None:
    """Compile every page's template, which the first look at it would do."""
    for name in _ENV.list_templates(extensions=["html"]):
        _ENV.get_template(name)


def page(template: str, **view: object) -> str:
    """The template with these names."""
    return _ENV.get_template(template).render({"now": datetime.now(UTC), **view})
