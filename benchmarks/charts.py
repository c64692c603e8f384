"""Draw results: the pictures of the documents, and the one that compare.py makes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import figures
import report
from figures import Measure
from harness.results import Result
from harness.runs import Case, Run

WIDTH = 6.8  # inches


@dataclass(frozen=True)
class Theme:
    """The colours of a picture; each method has the same one everywhere."""

    background: str  # of the page, for which the other colours are made
    text: str
    grid: str
    methods: Mapping[str, str]


METHODS = ("async", "threads", "blocking")  # their order in all pictures
LIGHT = Theme(
    background="#ffffff",
    text="#1f2328",
    grid="#d0d7de",
    methods={"async": "#0550ae", "threads": "#bf5700", "blocking": "#a8328f"},
)
DARK = Theme(
    background="#0d1117",
    text="#e6edf3",
    grid="#3d444d",
    methods={"async": "#58a6ff", "threads": "#f0a34a", "blocking": "#f088d8"},
)


def style(theme: Theme) -> dict[Any, Any]:
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
        "axes.titlesize": 11,
        "axes.edgecolor": theme.text,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "legend.frameon": False,
        "lines.linewidth": 2,
        "lines.markersize": 6,
    }


def medians(case: Case, runs: Sequence[Run], measure: Measure) -> figures.Spread:
    """Return a measure of a case, with its range over the rounds."""
    return figures.median_and_range([measure(run) for run in figures.runs_of(runs, case.name)])


# -- Bars ---------------------------------------------------------------------------------------


def draw_bars(
    axes: Axes, theme: Theme, bars: Sequence[tuple[str, str, float, str]], label: str
) -> None:
    """Draw horizontal bars, each with its name, its method, its length and a text behind it."""
    longest = max(length for _, _, length, _ in bars)
    for row, (_, method, length, text) in enumerate(bars):
        axes.barh(row, length, color=theme.methods[method], height=0.7)
        axes.text(length + longest * 0.015, row, text, va="center")
    axes.set_yticks(range(len(bars)), [name for name, _, _, _ in bars])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 2.1)  # room for the texts
    axes.set_xlabel(label)


def seconds_for_1000(run: Run) -> float:
    """Return the elapsed time, scaled to 1,000 ok answers."""
    return 1_000 / figures.throughput(run)


def times_text(case: Case, runs: Sequence[Run]) -> str:
    """Say how much faster a case is than its base, which is blocking."""
    ratios = figures.ratios(runs, case.name, case.base, figures.throughput)
    values = figures.median_and_interval(ratios)
    if case.name == case.base:
        return ""
    if values.low <= 1 <= values.high:
        return ", like blocking"
    return f", {report.ratio_digits(values)[0]} times as fast as blocking"


def comparison(result: Result, theme: Theme) -> Figure:
    """Draw the time for 1,000 requests of each script, without latency and with 20 ms."""
    cases = [case for case in result.cases if not case.server.access_log]
    latencies = sorted({case.server.latency_ms for case in cases})
    figure, grid = pyplot.subplots(len(latencies), figsize=(WIDTH, 3.6), layout="constrained")
    for axes, latency_ms in zip(grid, latencies, strict=True):
        bars = []
        for case in cases:
            if case.server.latency_ms == latency_ms:
                seconds = medians(case, result.runs, seconds_for_1000).median
                text = f"{report.number(seconds)} s{times_text(case, result.runs)}"
                bars.append((f"{case.method} ({case.library})", case.method, seconds, text))
        draw_bars(axes, theme, bars, "seconds for 1,000 requests")
        waits = f"after {latency_ms} ms" if latency_ms else "immediately"
        axes.set_title(f"The server answers {waits}", loc="left")
    return figure


def library(result: Result, theme: Theme) -> Figure:
    """Draw the throughput of each library in each method that it has."""
    libraries = list(dict.fromkeys(case.library for case in result.cases))
    figure, axes = pyplot.subplots(figsize=(WIDTH, 4.6), layout="constrained")
    row = 0.0
    ticks = []
    for name in libraries:
        cases = [case for case in result.cases if case.library == name]
        cases.sort(key=lambda case: METHODS.index(case.method))
        ticks.append(row + (len(cases) - 1) / 2)
        for case in cases:
            rate = medians(case, result.runs, figures.throughput).median
            axes.barh(row, rate, color=theme.methods[case.method], height=0.85)
            axes.text(rate + 80, row, f"{case.method} {rate:,.0f}", va="center", fontsize=10)
            row += 1
        row += 0.6
    axes.set_yticks(ticks, libraries)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, axes.get_xlim()[1] * 1.15)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("requests/s, 32 in flight (blocking: 1), the server answers immediately")
    return figure


def save_comparison(path: Path, title: str, clients: Sequence[Case], runs: Sequence[Run]) -> None:
    """Draw the elapsed time of each client, in the format that the file's name says."""
    with pyplot.rc_context(style(LIGHT)):
        figure, axes = pyplot.subplots(figsize=(WIDTH, 2.2), layout="constrained")
        bars = []
        for client in clients:
            elapsed = medians(client, runs, figures.elapsed_s)
            text = f"{report.with_range(elapsed)} s"
            bars.append((client.name, client.method, elapsed.median, text))
        draw_bars(axes, LIGHT, bars, "elapsed time in seconds")
        figure.suptitle(title, fontsize=10)
        figure.savefig(path, dpi=150, facecolor=LIGHT.background)
        pyplot.close(figure)


# -- Lines --------------------------------------------------------------------------------------


def line_look(theme: Theme, case: Case) -> dict[str, Any]:
    """Return how a client's line looks: threads with pyreqwest are dashed and have squares."""
    markers = {"async": "o", "threads": "^", "blocking": "D"}
    look: dict[str, Any] = {"color": theme.methods[case.method], "marker": markers[case.method]}
    if case.library == "pyreqwest":
        look |= {"linestyle": "--", "marker": "s"}
    return look


def clients_of(result: Result) -> list[tuple[str, str]]:
    """Return the methods and libraries in a result, in the order of all pictures."""
    clients = dict.fromkeys((case.method, case.library) for case in result.cases)
    return sorted(clients, key=lambda client: METHODS.index(client[0]))


def draw_line(
    axes: Axes,
    cases: Sequence[Case],
    runs: Sequence[Run],
    position: Callable[[Case], float],
    measure: Measure,
    **look: Any,
) -> None:
    """Draw a measure of some cases as a line, with a band for its range."""
    across = [position(case) for case in cases]
    spreads = [medians(case, runs, measure) for case in cases]
    axes.plot(across, [spread.median for spread in spreads], **look)
    lows = [spread.low for spread in spreads]
    highs = [spread.high for spread in spreads]
    axes.fill_between(across, lows, highs, color=look["color"], alpha=0.25, linewidth=0)


def add_legend(figure: Figure, axes: Axes) -> None:
    """Name the lines of all panels above them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2)


def set_log_ticks(axes: Axes, across: Sequence[float], up: Sequence[float]) -> None:
    """Make both axes logarithmic, with these numbers at their ticks and no others."""
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(across, [f"{value:,g}" for value in across])
    axes.set_yticks(up, [f"{value:,g}" for value in up])
    axes.minorticks_off()
    axes.grid()


ZERO = 0.3  # where 0 ms stands on the logarithmic axis


def latency(result: Result, theme: Theme) -> Figure:
    """Draw the time for 1,000 requests over the latency of the server, a line a client."""
    figure, axes = pyplot.subplots(figsize=(WIDTH, 4.6), layout="constrained")
    latencies = sorted({case.server.latency_ms for case in result.cases})
    set_log_ticks(axes, [value or ZERO for value in latencies], [0.1, 1, 10, 100])
    axes.set_xticks([value or ZERO for value in latencies], [f"{value}" for value in latencies])
    for method, name in clients_of(result):
        cases = [case for case in result.cases if (case.method, case.library) == (method, name)]
        look = line_look(theme, cases[0])
        waiting = [case for case in cases if case.server.latency_ms]
        immediate = [case for case in cases if not case.server.latency_ms]
        label = f"{method} ({name})"
        draw_line(
            axes,
            waiting,
            result.runs,
            lambda case: case.server.latency_ms,
            seconds_for_1000,
            **look,
            label=label,
        )
        draw_line(axes, immediate, result.runs, lambda case: ZERO, seconds_for_1000, **look)
    # Two strokes through the axis say that 0 is not where it would be.
    gap = (ZERO * latencies[1]) ** 0.5
    axes.plot(
        [gap * 0.93, gap * 1.07],
        [0, 0],
        transform=axes.get_xaxis_transform(),
        marker=[(-1, -2), (1, 2)],
        markersize=10,
        linestyle="none",
        color=theme.text,
        clip_on=False,
    )
    axes.set_xlabel("latency of the server, ms")
    axes.set_ylabel("seconds for 1,000 requests, scaled")
    axes.set_title("32 requests in flight; blocking has one", loc="left")
    add_legend(figure, axes)
    return figure


def concurrency(result: Result, theme: Theme) -> Figure:
    """Draw throughput, p50 and what was really in flight over the number asked for."""
    rows: list[tuple[str, Measure, Sequence[float]]] = [
        ("requests/s", figures.throughput, [100, 1_000, 10_000]),
        ("p50, ms", figures.p50_ms, [1, 10, 100, 1_000]),
        ("really in flight", figures.in_flight, [1, 10, 100, 1_000]),
    ]
    latencies = sorted({case.server.latency_ms for case in result.cases})
    figure, grid = pyplot.subplots(
        len(rows),
        len(latencies),
        figsize=(WIDTH, 7),
        layout="constrained",
        sharex=True,
        sharey="row",
    )
    for column, latency_ms in enumerate(latencies):
        for row, (name, measure, ticks) in enumerate(rows):
            axes = grid[row][column]
            set_log_ticks(axes, [1, 4, 16, 64, 256, 1_000], ticks)
            for client in clients_of(result):
                cases = [
                    case
                    for case in result.cases
                    if (case.method, case.library) == client
                    and case.server.latency_ms == latency_ms
                ]
                draw_line(
                    axes,
                    cases,
                    result.runs,
                    lambda case: case.concurrency or 1,
                    measure,
                    **line_look(theme, cases[0]),
                    label=f"{client[0]} ({client[1]})",
                )
            if column == 0:
                axes.set_ylabel(name)
        waits = f"after {latency_ms} ms" if latency_ms else "immediately"
        grid[0][column].set_title(f"Server answers {waits}", loc="left")
        grid[-1][column].set_xlabel("requests in flight, asked for")
    add_legend(figure, grid[0][0])
    return figure


ENDPOINTS = {
    "server_await:app": ("async def, await asyncio.sleep", "async", "o", "-"),
    "server_def:app": ("def, time.sleep", "threads", "^", "-"),
    "server_blocked:app": ("async def, time.sleep", "blocking", "D", "--"),
}


def endpoint(result: Result, theme: Theme) -> Figure:
    """Draw the throughput of each way to write an endpoint over the requests in flight."""
    latencies = sorted({case.server.latency_ms for case in result.cases})
    figure, grid = pyplot.subplots(
        1, len(latencies), figsize=(WIDTH, 3.8), layout="constrained", sharey=True
    )
    for axes, latency_ms in zip(grid, latencies, strict=True):
        set_log_ticks(axes, [1, 8, 32, 128], [10, 100, 1_000, 10_000])
        for app, (label, colour, marker, line) in ENDPOINTS.items():
            cases = [
                case
                for case in result.cases
                if case.server.app == app and case.server.latency_ms == latency_ms
            ]
            draw_line(
                axes,
                cases,
                result.runs,
                lambda case: case.concurrency or 1,
                figures.throughput,
                color=theme.methods[colour],
                marker=marker,
                linestyle=line,
                label=label,
            )
        wait = f"each request waits {latency_ms} ms" if latency_ms else "no wait"
        axes.set_title(wait, loc="left")
        axes.set_xlabel("requests in flight")
    grid[0].set_ylabel("requests/s")
    grid[0].set_ylim(10, 20_000)
    add_legend(figure, grid[0])
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


def timeline(result: Result, theme: Theme, latency_ms: int) -> Figure:
    """Draw each request of a typical run as a bar in a lane, a panel a script."""
    cases = [case for case in result.cases if case.server.latency_ms == latency_ms]
    heights = [1 if case.method == "blocking" else 4 for case in cases]
    figure, grid = pyplot.subplots(
        len(cases),
        figsize=(WIDTH, 4),
        layout="constrained",
        sharex=True,
        gridspec_kw={"height_ratios": heights},
    )
    for axes, case in zip(grid, cases, strict=True):
        runs = sorted(figures.runs_of(result.runs, case.name), key=figures.elapsed_s)
        run = runs[len(runs) // 2]
        spans = sorted(run.spans_s)
        colour = theme.methods[case.method]
        for (start, end), lane in zip(spans, lanes(spans), strict=True):
            bar = [(1_000 * start, 1_000 * (end - start))]
            axes.broken_barh(bar, (lane, 0.8), facecolor=colour, edgecolor="none")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_title(f"{case.method} ({case.library}), {latency_ms} ms latency", loc="left")
        rate = f"{figures.throughput(run):,.0f} requests/s"
        axes.set_title(f"{1_000 * run.elapsed_s:,.0f} ms, {rate}", loc="right")
    grid[-1].set_xlabel(f"time in ms; each bar is one of {cases[0].requests} requests")
    return figure


# -- Files --------------------------------------------------------------------------------------


def pictures(results: Mapping[str, Result], folder: Path) -> list[Path]:
    """Draw all pictures of the documents, each for a light page and for a dark one."""
    paths = []
    for theme, suffix in ((LIGHT, ""), (DARK, "-dark")):
        with pyplot.rc_context(style(theme)):
            drawn = {
                "comparison": comparison(results["headline"], theme),
                "library": library(results["library"], theme),
                "latency": latency(results["latency"], theme),
                "concurrency": concurrency(results["concurrency"], theme),
                "endpoint": endpoint(results["endpoint"], theme),
                "timeline": timeline(results["timeline"], theme, 20),
                "timeline-0": timeline(results["timeline"], theme, 0),
            }
            for name, figure in drawn.items():
                path = folder / f"{name}{suffix}.svg"
                figure.savefig(path, transparent=True, metadata={"Date": None})
                pyplot.close(figure)
                paths.append(path)
    return paths
