"""The plots of docs/performance.md, from results.json: small SVGs for light and dark; the same in, the same out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot, ticker

IMAGES = Path(__file__).parent.parent / "docs" / "images"
GREY, WEIR, OTHER, THIRD = "#7d8590", "#d9822b", "#4c8ed9", "#57a773"  # each at least 3:1 on white and on black
COLOURS = (WEIR, OTHER, THIRD, "#b36bd4", "#c9514d", "#6b6bd4", "#4ba3a3", "#a8923f", "#a0a5ad", "#d46b9a")
STYLE = {
    "svg.hashsalt": "weir", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "text.color": GREY,
    "axes.labelcolor": GREY, "axes.edgecolor": GREY, "axes.titlecolor": GREY, "axes.titlesize": 10, "xtick.color": GREY,
    "ytick.color": GREY, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "savefig.transparent": True, "axes.grid": True, "grid.color": GREY, "grid.alpha": 0.25, "axes.axisbelow": True,
}


def logarithmic(axis: Any, low: float, high: float) -> None:
    """Plain figures on a logarithmic axis, more of them where it is short."""
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if high < 30 * max(low, 1e-9) else (1,)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda at, _: f"{at / 1000:g}k" if at >= 1000 else f"{at:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def bars(axes: Any, values: dict[str, float], title: str, form: str = "{:,.0f}") -> None:
    """Horizontal bars, ours in its own colour, each with its figure."""
    names = list(values)
    colours = [WEIR if name.startswith("weir") else OTHER for name in names]
    axes.barh(names, list(values.values()), color=colours, height=0.65)
    axes.set_title(title, loc="left")
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(right=max(values.values()) * 3)
    logarithmic(axes.xaxis, min(values.values()), max(values.values()))
    axes.grid(axis="y", visible=False)
    for at, value in enumerate(values.values()):
        axes.text(value * 1.08, at, form.format(value), va="center", color=GREY)


def rates(found: dict[str, Any], figure: Any) -> None:
    """Requests a second, and CPU for each."""
    left, right = figure.subplots(1, 2)
    bars(left, {name: one["requests_per_s"] for name, one in found.items() if one}, "requests/s on one core")
    bars(right, {name: one["cpu_us"] for name, one in found.items() if one and one["cpu_us"]}, "CPU, µs a request")


def tools(found: dict[str, Any], figure: Any) -> None:
    """What a call to a real server costs."""
    left, right = figure.subplots(1, 2)
    bars(left, {name: one["cpu_us"] for name, one in found.items() if one and one["cpu_us"]}, "proxy's CPU, µs a call")
    bars(right, {name: one["p50_ms"] for name, one in found.items() if one}, "p50 of a call, ms, 10 calls/s", "{:.1f}")


def streams(found: dict[str, Any], figure: Any) -> None:
    """How late events come."""
    names = [name for name in found if name != "idle"]
    for axes, kind, title in zip(figure.subplots(1, 2), ("first", "event"), ("first event, ms", "each event, ms"),
                                 strict=True):
        for percent, colour in ((50, OTHER), (99, WEIR)):
            axes.plot([found[name][f"{kind}_p{percent}_ms"] for name in names], names, "o", color=colour,
                      label=f"p{percent}")
        axes.set_title(title, loc="left")
        axes.set_xscale("log")
        at = [found[name][f"{kind}_p{percent}_ms"] for name in names for percent in (50, 99)]
        logarithmic(axes.xaxis, min(at), max(at))
        axes.invert_yaxis()
        axes.legend()


def causes(found: dict[str, Any], figure: Any) -> None:
    """Stacked: where a request's CPU goes."""
    axes = figure.subplots()
    left = dict.fromkeys(found, 0.0)
    for cause, colour in zip([key for key in found["weir"] if key != "in all"], COLOURS, strict=False):
        widths = {name: one[cause] for name, one in found.items()}
        if max(widths.values()) >= 0.5:
            axes.barh(list(found), list(widths.values()), 0.6, list(left.values()), color=colour, label=cause)
        left = {name: left[name] + widths[name] for name in found}
    axes.set_title("CPU, µs a request", loc="left")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.15), ncols=3, fontsize=8)


def sustained(found: dict[str, Any], figure: Any) -> None:
    """The backlog over time, at each rate that was tried."""
    axes = figure.subplots()
    for run, colour in zip(found["runs"][-5:], reversed(COLOURS[:5]), strict=False):
        kept = "" if run["flat"] else ", not kept up"
        axes.plot(run["at_s"], run["waiting_s"], color=colour, label=f"{run['rate']:,.0f}/s{kept}")
    axes.set_title("not yet committed, seconds of traffic", loc="left")
    axes.set_xlabel("seconds")
    axes.set_ylim(bottom=0)
    axes.legend()


GROWTH = {
    "connections": "connections, all busy", "bodies": "bytes of arguments", "sessions": "live sessions",
    "length": "requests of one session so far", "history": "requests stored before (recorder)",
}


def growth(found: dict[str, Any], figure: Any) -> None:
    """Requests a second of CPU (the recorder: rows a second) over each thing that grows."""
    grid = figure.subplots(2, 3)
    grid.flat[-1].set_axis_off()
    for axes, (name, title) in zip(grid.flat, GROWTH.items(), strict=False):
        if f"growth_{name}" not in found:
            axes.set_axis_off()
            continue
        for who, points in found[f"growth_{name}"].items():
            xs = [point[0] for point in points]
            ys = [point[1] if name == "history" else 1e6 / point[2] for point in points]
            axes.plot(xs, ys, "o-", ms=3, color=WEIR if who == "weir" else OTHER, label=who)
        if name in ("connections", "sessions"):
            axes.set_xscale("log")
            logarithmic(axes.xaxis, 1, 1e5)
        elif name == "bodies":
            axes.set_xscale("symlog", linthresh=1000)
        if name in ("connections", "bodies", "sessions"):
            axes.set_yscale("log")
            rates_shown = [1e6 / point[2] for points in found[f"growth_{name}"].values() for point in points]
            logarithmic(axes.yaxis, min(rates_shown, default=1), max(rates_shown, default=1))
        else:
            axes.set_ylim(0, 1.1 * max(axes.get_ylim()))
            axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
        axes.set_title(title, loc="left", fontsize=9)
        axes.legend(fontsize=8)


PLOTS: dict[str, tuple[Callable[[dict[str, Any], Any], None], float]] = {
    "rates": (rates, 2.4), "tools": (tools, 2.8), "streams": (streams, 2.0), "causes": (causes, 2.6),
    "sustained": (sustained, 2.6), "growth": (growth, 4.4),
}


def draw(found: dict[str, Any]) -> None:
    """Write every plot for which there are figures."""
    with matplotlib.rc_context(STYLE):
        for name, (plot, height) in PLOTS.items():
            if not any(key.startswith(name) for key in found):
                continue
            figure = pyplot.figure(figsize=(8, height), layout="constrained")
            plot(found if name == "growth" else found[name], figure)
            figure.savefig(IMAGES / f"performance-{name}.svg", metadata={"Date": None, "Creator": None})
            pyplot.close(figure)
