"""Pictures from runs; used by compare.py and study.py.

Grey text and a transparent ground are legible on a light and on a dark page; the three
colours can be told apart with each kind of colour blindness.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from harness import Run, Spread, not_shown, of_case, ratio, spread, throughput

matplotlib.use("agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLORS = {"async": "#1a85ff", "threads": "#d98200", "blocking": "#d41159"}
GREY = "#768390"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "python-concurrency",  # the same runs give the same bytes
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.transparent": True,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor"), GREY),
    **dict.fromkeys(("xtick.color", "ytick.color"), GREY),
    "grid.color": GREY,
    "grid.alpha": 0.3,
}


def save(figure: Figure, path: Path) -> Path:
    """Write a figure; a PNG gets a ground, since it may be looked at anywhere."""
    svg = path.suffix == ".svg"
    figure.savefig(path, dpi=150, metadata={"Date": None} if svg else None, transparent=svg)
    pyplot.close(figure)
    return path


def bars(axes: Axes, runs: Sequence[Run], cases: Mapping[str, str], title: str) -> None:
    """Draw the elapsed time of each case, with its range; `cases` are their labels by name."""
    longest = max(run["elapsed_s"] for run in runs)
    blocking = next((case for case, label in cases.items() if label == "blocking"), None)
    for row, (case, label) in enumerate(cases.items()):
        elapsed = spread([run["elapsed_s"] for run in of_case(runs, case)])
        error = [[elapsed.median - elapsed.low], [elapsed.high - elapsed.median]]
        axes.barh(row, elapsed.median, xerr=error, color=COLORS[label], ecolor=GREY, height=0.6, capsize=3)
        text = f"{elapsed.median:.2f} s"
        if blocking and case != blocking and of_case(runs, blocking):
            times = ratio(runs, case, blocking)
            shown = f"{times.median:.1f} times as fast"
            text += ", no difference shown" if not_shown(times) else f", {shown}"
        axes.text(elapsed.high + longest * 0.02, row, text, va="center")
    axes.set_yticks(range(len(cases)), list(cases.values()))
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 1.4)
    axes.set_xlabel("elapsed, seconds")
    axes.set_title(title)


def comparison(path: Path, panels: Sequence[tuple[str, Sequence[Run], Mapping[str, str]]]) -> Path:
    """Draw one panel of bars for each title with its runs and the labels of its cases."""
    with pyplot.rc_context(STYLE):
        size = (6.4, 2.2 * len(panels))
        figure, grid = pyplot.subplots(len(panels), figsize=size, layout="constrained", squeeze=False)
        for axes, (title, runs, cases) in zip(grid.flat, panels, strict=True):
            bars(axes, runs, cases, title)
        return save(figure, path)


def line(
    axes: Axes,
    points: Mapping[float, Spread],
    color: str,
    label: str,
    *,
    style: str = "-",
    raise_by: float = 0,
) -> None:
    """Draw medians as a line, their ranges as a band, and the label at the end of the line."""
    across = list(points)
    axes.plot(across, [p.median for p in points.values()], style, color=color, marker="o", markersize=3)
    low, high = [p.low for p in points.values()], [p.high for p in points.values()]
    axes.fill_between(across, low, high, color=color, alpha=0.25, linewidth=0)
    axes.annotate(
        label,
        (across[-1], points[across[-1]].median),
        xytext=(6, raise_by),
        textcoords="offset points",
        color=color,
        va="center",
        annotation_clip=False,
    )


def latency(path: Path, result: Mapping[str, Any]) -> Path:
    """Draw the elapsed time over the latency of the server, a line a method."""
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(6.4, 3.8), layout="constrained")
        latencies = sorted({case["latency_ms"] for case in result["cases"]})
        place = {value: value or 0.5 for value in latencies}  # 0 has no place on a logarithmic axis
        for name in COLORS:
            points = {}
            for value in latencies:
                runs = of_case(result["runs"], f"{name}, {value:g} ms")
                points[place[value]] = spread([1_000 / throughput(run) for run in runs])
            line(axes, points, COLORS[name], name, raise_by={"async": -6, "threads": 6}.get(name, 0))
        axes.set(xscale="log", yscale="log", xlim=(0.45, 260))
        axes.set_xlabel("latency of the server, ms")
        axes.set_ylabel("seconds for 1,000 requests")
        axes.set_xticks([*place.values()], [f"{value:g}" for value in place], minor=False)
        axes.minorticks_off()
        axes.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
        axes.grid()
        return save(figure, path)


def concurrency(path: Path, result: Mapping[str, Any]) -> Path:
    """Draw throughput and p50 over CONCURRENCY, at each latency a column."""
    measures: list[tuple[str, Callable[[Run], float]]] = [
        ("requests/s", throughput),
        ("p50, ms", lambda run: run["p50_ms"] or 0),
    ]
    with pyplot.rc_context(STYLE):
        figure, grid = pyplot.subplots(
            2, 2, figsize=(6.4, 5.2), layout="constrained", sharex=True, sharey="row"
        )
        for column, wait in enumerate((0, 20)):
            for row, (title, measure) in enumerate(measures):
                axes = grid[row][column]
                for name in ("async", "threads"):
                    points = {
                        case["concurrency"]: spread(
                            [measure(run) for run in of_case(result["runs"], case["name"])]
                        )
                        for case in result["cases"]
                        if case["name"].startswith(f"{name}, {wait} ms")
                    }
                    line(axes, points, COLORS[name], name if column else "", raise_by=0)
                axes.set(xscale="log", yscale="log", xlim=(0.8, 1_400))
                axes.set_xticks([1, 8, 32, 256, 1_000], ["1", "8", "32", "256", "1,000"])
                axes.minorticks_off()
                axes.grid()
                if row == 0:
                    axes.set_title(f"server answers after {wait} ms" if wait else "server answers at once")
                else:
                    axes.set_xlabel("CONCURRENCY")
                if column == 0:
                    axes.set_ylabel(title)
        for axes, ticks in ((grid[0][0], (10, 100, 1_000, 10_000)), (grid[1][0], (1, 10, 100, 1_000))):
            axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
        return save(figure, path)


def timeline(path: Path, result: Mapping[str, Any], wait: int) -> Path:
    """Draw each request of the typical run as a bar in a lane, a panel a method."""
    lanes = 8
    with pyplot.rc_context(STYLE):
        figure, grid = pyplot.subplots(3, figsize=(6.4, 4.4), layout="constrained", sharex=True)
        for axes, name in zip(grid, ("blocking", "threads", "async"), strict=True):
            runs = sorted(of_case(result["runs"], f"{name}, {wait} ms"), key=lambda run: run["elapsed_s"])
            run = runs[len(runs) // 2]
            for item, start, end in run["spans"]:
                bar = [(1_000 * start, 1_000 * (end - start))]
                lane = ((item - 1) % lanes - 0.4, 0.8)
                axes.broken_barh(bar, lane, facecolor=COLORS[name], edgecolor="none", alpha=0.85)
            axes.set_ylim(lanes - 0.4, -0.6)
            axes.set_yticks([])
            axes.set_title(name, color=COLORS[name])
            figures = f"{1_000 * run['elapsed_s']:,.0f} ms, {throughput(run):,.0f} requests/s"
            axes.set_title(figures, loc="right")
            axes.spines[["left"]].set_visible(False)
        grid[-1].set_xlabel("time, ms")
        return save(figure, path)


def pictures(results: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, Path]:
    """Draw all pictures of the documents into a folder; return them by their names in benchmarks/."""
    headline = results["headline"]
    panels = []
    for wait in (0, 20):
        cases = [case for case in headline["cases"] if case["latency_ms"] == wait]
        runs = [run for run in headline["runs"] if run["case"] in {case["name"] for case in cases}]
        title = f"server answers after {wait} ms" if wait else "server answers at once"
        labels = {case["name"]: case["name"].partition(",")[0] for case in cases}
        panels.append((f"{cases[0]['requests']:,} requests, {title}", runs, labels))
    return {
        "comparison.svg": comparison(folder / "comparison.svg", panels),
        "results/latency.svg": latency(folder / "latency.svg", results["latency"]),
        "results/concurrency.svg": concurrency(folder / "concurrency.svg", results["concurrency"]),
        "results/timeline.svg": timeline(folder / "timeline.svg", results["timeline"], 20),
        "results/timeline-0.svg": timeline(folder / "timeline-0.svg", results["timeline"], 0),
    }
