"""Draw results: the pictures of the documents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import figures
from harness.results import Result
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


METHODS = ("async", "threads", "blocking")  # their order in all pictures
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


def new_figure(height: float, title: str) -> tuple[Figure, Axes]:
    """Return a picture with one panel; its title states what it shows."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure, figure.subplots()


def median(case: Case, runs: Sequence[Run], field: str = "requests_per_s") -> float:
    """Return the median of a field over the runs of a case."""
    return figures.spread(runs, case.name, field).median


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


def library(result: Result, theme: Theme) -> Figure:
    """Draw the throughput of each library in each method that it has, the fastest first."""
    figure, axes = new_figure(5, "The library decides more than the method")
    cases = sorted(result.cases, key=lambda case: -median(case, result.runs))
    bars = []
    for case in cases:
        rate = median(case, result.runs)
        bars.append((case.name, rate, f"{rate:,.0f}", theme.methods[case.method]))
    draw_bars(axes, bars)
    limit = 1e6 / median(cases[0], result.runs, "server_us")
    axes.axvline(limit, color=theme.text, linestyle=":", linewidth=1.5)
    axes.text(limit, len(bars) - 0.2, f"the server's limit: {limit:,.0f} ", ha="right", va="bottom")
    axes.set_xlabel("requests/s if the server answers immediately;\n32 in flight (blocking: 1)")
    return figure


def cores(result: Result, theme: Theme) -> Figure:
    """Draw what each way to use more of two cores gains over blocking with the GIL."""
    figure, axes = new_figure(4.4, "Two processes help requests; no GIL hardly does")
    bars = []
    for case in result.cases:
        ratios = figures.ratios(result.runs, case.name, case.base, "requests_per_s")
        times = figures.median_and_interval(ratios).median
        name = case.name.replace(" (requests)", "").replace(" in flight", "")
        bars.append((name, times, f"{times:.2f}", theme.methods[case.method]))
    draw_bars(axes, bars)
    axes.axvline(1, color=theme.text, linestyle=":", linewidth=1.5)
    axes.set_xlabel("times as fast as blocking, GIL")
    return figure


# -- Lines --------------------------------------------------------------------------------------


def draw_line(
    axes: Axes,
    cases: Sequence[Case],
    spread_of: Callable[[Case], figures.Spread],
    colour: str,
    marker: str,
) -> None:
    """Draw a figure of some cases as a line over their places, with a band for its range."""
    places = range(len(cases))
    spreads = [spread_of(case) for case in cases]
    # Hollow, so that a point that lies on another one hides nothing.
    axes.plot(
        places, [spread.median for spread in spreads], color=colour, marker=marker, fillstyle="none"
    )
    axes.fill_between(
        places,
        [spread.low for spread in spreads],
        [spread.high for spread in spreads],
        color=colour,
        alpha=0.25,
        linewidth=0,
    )


def looks(theme: Theme) -> dict[str, tuple[str, str]]:
    """Return the colour and the marker of each client that a line can be of."""
    return {
        "async (aiohttp)": (theme.methods["async"], "o"),
        "threads (pyreqwest)": (theme.other, "s"),
        "threads (requests)": (theme.methods["threads"], "^"),
    }


def client(case: Case) -> str:
    """Return the method and library of a case."""
    return f"{case.method} ({case.library})"


def latency(result: Result, theme: Theme) -> Figure:
    """Draw how many times as fast as blocking each client is, over the latency of the server."""
    figure, axes = new_figure(3.9, "Waiting is what async and threads save")
    latencies = list(dict.fromkeys(case.server.latency_ms for case in result.cases))

    def times(case: Case) -> figures.Spread:
        ratios = figures.ratios(result.runs, case.name, case.base, "requests_per_s")
        return figures.median_and_interval(ratios)

    for name, (colour, marker) in looks(theme).items():
        cases = [case for case in result.cases if client(case) == name]
        draw_line(axes, cases, times, colour, marker)
    axes.axhline(32, color=theme.text, linestyle=":", linewidth=1.5)
    axes.text(0, 31.4, "requests in flight: 32", va="top")
    for name, place, height, align in (
        ("async (aiohttp)", 1.9, 23, "right"),
        ("threads (pyreqwest)", 2.2, 13.5, "left"),
        ("threads (requests)", 2.85, 5.5, "left"),
    ):
        axes.text(place, height, name, color=looks(theme)[name][0], ha=align, fontweight="bold")
    axes.set_xticks(range(len(latencies)), [str(value) for value in latencies])
    axes.set_ylim(0, 35)
    axes.grid(axis="y")
    axes.set_xlabel("the server takes, ms")
    axes.set_ylabel("times as fast as blocking")
    return figure


def in_flight_line(
    axes: Axes, result: Result, cases: Sequence[Case], colour: str, marker: str
) -> None:
    """Draw the throughput of some cases over the number of requests in flight."""
    draw_line(
        axes,
        cases,
        lambda case: figures.spread(result.runs, case.name, "requests_per_s"),
        colour,
        marker,
    )
    axes.set_xticks(range(len(cases)), [f"{case.concurrency:,}" for case in cases])
    axes.set_xlabel("requests in flight, if the server takes 20 ms")
    axes.set_ylabel("requests/s")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y")


def end_label(
    axes: Axes, result: Result, case: Case, text: str, colour: str, align: str = "center"
) -> None:
    """Name a line beside its last point."""
    axes.annotate(
        text,
        (axes.get_xticks()[-1], median(case, result.runs)),
        xytext=(10, 0),
        textcoords="offset points",
        color=colour,
        va=align,
        fontweight="bold",
    )


def concurrency(result: Result, theme: Theme) -> Figure:
    """Draw the throughput over the requests in flight, if the server takes 20 ms."""
    figure, axes = new_figure(3.9, "More in flight help until client or server is busy")
    of_20_ms = [case for case in result.cases if case.server.latency_ms == 20]
    highest = max(median(case, result.runs) for case in of_20_ms if case.concurrency == 1_000)
    for name, (colour, marker) in looks(theme).items():
        cases = [case for case in of_20_ms if client(case) == name]
        in_flight_line(axes, result, cases, colour, marker)
        # Above the highest line and below the others, because two of them end close together.
        align = "bottom" if median(cases[-1], result.runs) == highest else "top"
        end_label(axes, result, cases[-1], name.replace(" (", "\n("), colour, align)
    axes.set_xlim(-0.2, 7)
    axes.set_ylim(0)
    return figure


def endpoint(result: Result, theme: Theme) -> Figure:
    """Draw the throughput of each way to write an endpoint that waits for 20 ms."""
    figure, axes = new_figure(3.9, "A blocking call in an async def endpoint stops all others")
    for path, text, colour, marker in (
        ("/await", "async def,\nawait", theme.methods["async"], "o"),
        ("/def", "def,\ntime.sleep", theme.methods["threads"], "^"),
        ("/blocked", "async def,\ntime.sleep", theme.methods["blocking"], "D"),
    ):
        cases = [c for c in result.cases if c.path == path and c.server.latency_ms == 20]
        in_flight_line(axes, result, cases, colour, marker)
        end_label(axes, result, cases[-1], text, colour)
    axes.set_xlim(-0.2, 4.1)
    axes.set_ylim(-300)  # so that the line near 0 does not lie on the axis
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


def timeline(result: Result, theme: Theme) -> Figure:
    """Draw each request of a typical run as a bar in a lane, a panel a script."""
    heights = [1 if case.method == "blocking" else 4 for case in result.cases]
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    figure.suptitle(
        "Async and threads wait for many answers at once",
        x=0.01,
        ha="left",
        fontweight="bold",
        fontsize=12,
    )
    panels = figure.subplots(len(result.cases), sharex=True, gridspec_kw={"height_ratios": heights})
    for axes, case in zip(panels, result.cases, strict=True):
        runs = sorted(figures.runs_of(result.runs, case.name), key=lambda run: run.elapsed_s)
        run = runs[len(runs) // 2]
        spans = sorted(run.spans_s)
        for (start, end), lane in zip(spans, lanes(spans), strict=True):
            bar = [(1_000 * start, 1_000 * (end - start))]
            axes.broken_barh(bar, (lane, 0.8), facecolor=theme.methods[case.method])
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_title(client(case), fontsize=11)
        axes.set_title(f"{1_000 * run.elapsed_s:,.0f} ms", loc="right", fontsize=11)
    panels[-1].set_xlabel(
        f"time in ms; each bar is one of {result.cases[0].requests} requests,\n"
        "each takes 20 ms, at most eight are in flight"
    )
    return figure


# -- Files --------------------------------------------------------------------------------------

DRAWN = (library, latency, concurrency, endpoint, cores, timeline)  # each named like its study


def pictures(results: Mapping[str, Result], folder: Path) -> list[Path]:
    """Draw all pictures of the documents, each for a light page and for a dark one."""
    paths = []
    for theme, suffix in ((LIGHT, ""), (DARK, "-dark")):
        # after_reset: the user's own settings of matplotlib do not count.
        with matplotlib.style.context(style(theme), after_reset=True):
            for draw in DRAWN:
                path = folder / f"{draw.__name__}{suffix}.svg"
                figure = draw(results[draw.__name__], theme)
                figure.savefig(path, transparent=True, metadata={"Date": None})
                paths.append(path)
    return paths
