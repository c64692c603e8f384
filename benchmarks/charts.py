"""Draw results: the pictures of the documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import claims
import figures
from harness.runs import Case, Run

WIDTH = 5.4  # inches: narrow, so that the text stays large where a page is narrow


@dataclass(frozen=True)
class Theme:
    """The colours of a picture; each method has the same one everywhere."""

    background: str  # of the page, for which the other colours are made
    text: str
    faint: str  # grid, and what is only a base
    methods: Mapping[str, str]
    other: str  # for what is none of the three scripts


LIGHT = Theme(
    background="#ffffff",
    text="#1f2328",
    faint="#c4ccd4",
    methods={"async": "#0550ae", "threads": "#c25e00", "blocking": "#a8328f"},
    other="#1a7f5a",
)
DARK = Theme(
    background="#0d1117",
    text="#e6edf3",
    faint="#4a525c",
    methods={"async": "#58a6ff", "threads": "#f0a34a", "blocking": "#f088d8"},
    other="#56d4a4",
)


def style(theme: Theme) -> dict[str, Any]:
    """Return the settings of matplotlib for a theme."""
    text = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"),
        theme.text,
    )
    return text | {
        "svg.hashsalt": "python-concurrency",  # the same runs give the same file
        "svg.fonttype": "none",  # text stays text
        "font.family": "sans-serif",
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.edgecolor": theme.text,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": theme.faint,
        "lines.linewidth": 2,
        "lines.markersize": 7,
    }


def titled_figure(height: float, title: str) -> Figure:
    """Return an empty picture; its title states what it shows."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure


def new_figure(height: float, title: str) -> tuple[Figure, Axes]:
    """Return a picture with one panel."""
    figure = titled_figure(height, title)
    return figure, figure.subplots()


def median(case: Case, runs: Sequence[Run], field: str = "requests_per_s") -> float:
    """Return the median of a field over the runs of a case; 0 if it was not measured."""
    spread = figures.spread(figures.values(runs, case.name, field))
    return spread.median if spread else 0


def client(case: Case) -> str:
    """Return the method and library of a case."""
    return f"{case.method} ({case.library})"


# -- Bars ---------------------------------------------------------------------------------------

Bar = tuple[str, float, str, str]  # its name, its length, the text at its end, its colour


def draw_bars(axes: Axes, bars: Sequence[Bar]) -> None:
    """Draw horizontal bars, the first one on top."""
    longest = max(length for _, length, _, _ in bars)
    for row, (_, length, text, colour) in enumerate(bars):
        axes.barh(row, length, color=colour, height=0.72)
        axes.text(length + longest * 0.015, row, text, va="center")
    axes.set_yticks(range(len(bars)), [name for name, _, _, _ in bars])
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 1.2)  # room for the texts


def library(runs: Sequence[Run], theme: Theme) -> Figure:
    """Draw what a request costs the client with each library and method, the least first."""
    figure, axes = new_figure(5, "What a request costs depends on the library")
    bars = []
    for case, _ in claims.LIBRARY:
        if "library" in case.name:
            name = f"{case.method}, the script alone"
            colour = theme.faint
        else:
            name = client(case)
            colour = theme.methods[case.method]
        cost = median(case, runs, "client_us")
        bars.append((name, cost, f"{cost:,.0f}" if cost >= 10 else f"{cost:.1f}", colour))
    draw_bars(axes, sorted(bars, key=lambda bar: bar[1]))
    axes.set_xlabel("CPU time of the client per request, us")
    return figure


def cores(runs: Sequence[Run], theme: Theme) -> Figure:
    """Draw what threads and processes with requests gain, with the GIL and without it."""
    figure, axes = new_figure(2.6, "Without the GIL, threads with requests gain")
    bars = []
    for name, case in (
        ("blocking", claims.BLOCKING_0),
        ("4 threads", claims.THREADS_4),
        ("4 threads, no GIL", claims.without_gil(claims.THREADS_4)),
        ("2 processes, blocking", claims.BLOCKING_2),
    ):
        ratios = figures.ratios(runs, case.name, claims.BLOCKING_0.name, "requests_per_s")
        spread = figures.spread(ratios)
        times = spread.median if spread else 0
        bars.append((name, times, f"{times:.2f}", theme.methods[case.method]))
    draw_bars(axes, bars)
    axes.set_xlabel("times as fast as blocking,\nwith requests, on Python 3.14")
    return figure


# -- Lines --------------------------------------------------------------------------------------


def endpoint(runs: Sequence[Run], theme: Theme) -> Figure:
    """Draw the throughput of each way to write an endpoint that waits for 20 ms."""
    figure, axes = new_figure(3.9, "A blocking call in an async def endpoint stops all others")
    for path, text, method, marker in (
        ("/await", "async def,\nawait", "async", "o"),
        ("/def", "def,\ntime.sleep", "threads", "^"),
        ("/blocked", "async def,\ntime.sleep", "blocking", "D"),
    ):
        colour = theme.methods[method]
        cases = [c for c, _ in claims.ENDPOINT if c.path == path and c.server.latency_ms]
        rates = [median(case, runs) for case in cases]
        axes.plot(range(len(cases)), rates, color=colour, marker=marker, fillstyle="none")
        axes.annotate(
            text,
            (len(cases) - 1, rates[-1]),
            xytext=(10, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontweight="bold",
        )
        axes.set_xticks(range(len(cases)), [f"{case.concurrency}" for case in cases])
    axes.set_xlabel("requests in flight, if the endpoint waits for 20 ms")
    axes.set_ylabel("requests/s")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y")
    axes.set_xlim(-0.2, 4.1)
    axes.set_ylim(-100)  # so that the line near 0 does not lie on the axis
    return figure


# -- The law ------------------------------------------------------------------------------------


def law(runs: Sequence[Run], theme: Theme) -> Figure:
    """Draw the measured throughput of each client over what waiting allows, with its bound."""
    figure, axes = new_figure(4.4, "Waiting, until the client or the server is busy")
    looks = {
        "async (aiohttp)": (theme.methods["async"], "o"),
        "threads (pyreqwest)": (theme.other, "s"),
        "threads (requests)": (theme.methods["threads"], "^"),
        "blocking (requests)": (theme.methods["blocking"], "D"),
    }
    for name, (colour, marker) in looks.items():
        rows = [row for row in claims.LAW if client(row[0]) == name]
        limits = [figures.typical_limits(runs, case, base.name) for case, base in rows]
        waiting = [each["waiting"] for each in limits]
        work = min(limits[0]["client"], limits[0]["server"])
        corners = [min(waiting), min(work, max(waiting)), max(waiting)]
        axes.plot(corners, [min(x, work) for x in corners], color=colour, alpha=0.5)
        rates = [median(case, runs) for case, _ in rows]
        axes.plot(waiting, rates, marker, color=colour, fillstyle="none", label=name)
        if name in ("async (aiohttp)", "threads (requests)"):
            whose = "server" if work == limits[0]["server"] else "client"
            axes.annotate(
                f"the {whose}'s work",
                (max(waiting), work),
                (0, 5),
                textcoords="offset points",
                ha="right",
            )
    axes.text(25, 40, "waiting", rotation=38, rotation_mode="anchor")
    axes.loglog()
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid()
    axes.legend(frameon=False, loc="lower right")
    axes.set_xlabel("in flight / (latency + work): requests/s that waiting allows")
    axes.set_ylabel("requests/s: measured, and the bound")
    return figure


# -- Timeline -----------------------------------------------------------------------------------


def lanes(spans: Sequence[Sequence[float]]) -> list[int]:
    """Return for each span the first lane that is free when it starts.

    >>> lanes([(0, 2), (1, 3), (2, 4)])
    [0, 1, 0]
    """
    ends: list[float] = []
    taken = []
    for start, end in spans:
        free = [lane for lane, busy_until in enumerate(ends) if busy_until <= start]
        if free:
            lane = free[0]
            ends[lane] = end
        else:
            lane = len(ends)
            ends.append(end)
        taken.append(lane)
    return taken


def timeline(runs: Sequence[Run], theme: Theme) -> Figure:
    """Draw each request of a typical run as a bar in a lane, a panel a script."""
    cases = [case for case, _ in claims.TIMELINE]
    heights = [1 if case.method == "blocking" else 4 for case in cases]
    figure = titled_figure(4.2, "Async and threads wait for many answers at once")
    panels = figure.subplots(len(cases), sharex=True, gridspec_kw={"height_ratios": heights})
    for axes, case in zip(panels, cases, strict=True):
        own = sorted((run.elapsed_s, run.spans_s) for run in runs if run.case == case.name)
        elapsed, unordered = own[len(own) // 2]
        spans = sorted(unordered)
        for (start, end), lane in zip(spans, lanes(spans), strict=True):
            bar = [(1_000 * start, 1_000 * (end - start))]
            axes.broken_barh(bar, (lane, 0.8), facecolor=theme.methods[case.method])
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_title(client(case), fontsize=11)
        axes.set_title(f"{1_000 * elapsed:,.0f} ms", loc="right", fontsize=11)
    panels[-1].set_xlabel(
        f"time in ms; each bar is one of {cases[0].requests} requests,\n"
        "each takes 20 ms, at most eight are in flight"
    )
    return figure


# -- Files --------------------------------------------------------------------------------------

DRAWN = (law, library, endpoint, cores, timeline)  # each named like its claim


def pictures(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Draw all pictures of the documents, each for a light page and for a dark one."""
    paths = []
    for theme, suffix in ((LIGHT, ""), (DARK, "-dark")):
        # after_reset: the user's own settings of matplotlib do not count.
        with matplotlib.style.context(style(theme), after_reset=True):
            for draw in DRAWN:
                path = folder / f"{draw.__name__}{suffix}.svg"
                draw(runs, theme).savefig(path, transparent=True, metadata={"Date": None})
                paths.append(path)
    return paths
