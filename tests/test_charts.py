"""The pictures: their content in the figure objects, from made-up runs worked out by hand."""

import doctest
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

import charts
from charts import DARK, LIGHT, Theme
from claims import CLAIMS
from harness.results import Result
from harness.runs import ASYNC, BLOCKING, THREADS, Case, Run
from made_up import made_up_run

CLAIM = {claim.name: claim for claim in CLAIMS}


@pytest.fixture(autouse=True)
def close_figures() -> Any:
    """Close what a test has drawn."""
    yield
    pyplot.close("all")


def made_up_result(name: str, seconds: float = 2.0, **more: Any) -> Result:
    """Return a result in which the n-th case of a claim takes n times so many seconds."""
    cases = CLAIM[name].cases
    runs = [
        made_up_run(case.name, number, seconds * (place + 1) * factor, **more)
        for place, case in enumerate(cases)
        for number, factor in ((1, 1.0), (2, 0.5), (3, 2.0))
    ]
    return Result(name, 3, {}, cases, runs)


def texts(figure: Figure) -> list[str]:
    """Return all texts in a figure that are not empty."""
    found = [artist.get_text() for artist in figure.findobj(Text) if isinstance(artist, Text)]
    return [text for text in found if text]


def bars(figure: Figure) -> list[tuple[str, float, str]]:
    """Return the label behind each bar, its length and its colour."""
    found = []
    for axes in figure.axes:
        labels = [text.get_text() for text in axes.texts]
        for patch, label in zip(axes.patches, labels, strict=True):
            assert isinstance(patch, Rectangle)
            found.append((label, round(patch.get_width(), 6), to_hex(patch.get_facecolor())))
    return found


def test_comparison() -> None:
    """Cases 4 to 6 of the headline are without the log, 7 to 9 with 20 ms; 1,000 ok each."""
    figure = charts.comparison(made_up_result("headline"), LIGHT)
    methods = LIGHT.methods
    assert bars(figure) == [
        ("8.00 s, 1.50 times as fast as blocking", 8, methods["async"]),
        ("10.0 s, 1.20 times as fast as blocking", 10, methods["threads"]),
        ("12.0 s", 12, methods["blocking"]),
        ("14.0 s, 1.29 times as fast as blocking", 14, methods["async"]),
        ("16.0 s, 1.12 times as fast as blocking", 16, methods["threads"]),
        ("18.0 s", 18, methods["blocking"]),
    ]
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "The server answers immediately",
        "The server answers after 20 ms",
    ]
    assert [axes.get_xlabel() for axes in figure.axes] == ["seconds for 1,000 requests"] * 2


def test_comparison_scales_to_1000_requests() -> None:
    figure = charts.comparison(made_up_result("headline", requests=50, ok=50), LIGHT)
    assert bars(figure)[0][:2] == ("160 s, 1.50 times as fast as blocking", 160)


def test_comparison_that_shows_no_difference() -> None:
    result = made_up_result("headline")
    runs = [replace(run, elapsed_s=float(run.round)) for run in result.runs]
    flat = replace(result, runs=runs)
    assert bars(charts.comparison(flat, LIGHT))[0][0] == "2.00 s, like blocking"


def test_library() -> None:
    figure = charts.library(made_up_result("library"), LIGHT)
    drawn = bars(figure)
    cases = [case for case in CLAIM["library"].cases if case.library == "pyreqwest"]
    assert len(drawn) == len(CLAIM["library"].cases)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        *("requests", "aiohttp", "pyreqwest", "httpx2", "pycurl", "urllib3")
    ]
    # 1,000 ok answers in 8, 10 and 12 s
    assert [bar[0] for bar in drawn[3:6]] == ["async 125", "threads 100", "blocking 83"]
    assert [bar[2] for bar in drawn[3:6]] == [LIGHT.methods[case.method] for case in cases]
    assert "requests/s" in axes.get_xlabel()


def lines(figure: Figure, panel: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return the points of each line of a panel that has a label."""
    return {
        str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata()))  # type: ignore[arg-type]
        for line in figure.axes[panel].lines
        if not str(line.get_label()).startswith("_")
    }


CLIENTS = ["async (aiohttp)", "threads (pyreqwest)", "threads (requests)", "blocking (requests)"]


def test_latency() -> None:
    figure = charts.latency(made_up_result("latency"), LIGHT)
    drawn = lines(figure, 0)
    assert [*drawn] == CLIENTS
    # Case 5 is async at 1 ms, case 9 at 3 ms, and so on.
    assert drawn["async (aiohttp)"] == ([1, 3, 10, 30, 100], [10, 18, 26, 34, 42])
    zero = [line for line in figure.axes[0].lines if list(line.get_xdata()) == [charts.ZERO]]  # type: ignore[arg-type]
    assert [list(line.get_ydata()) for line in zero] == [[2], [4], [6], [8]]  # type: ignore[arg-type]
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == ["0", "1", "3", "10", "30", "100"]
    words = texts(figure)
    assert "32 requests in flight; blocking has one" in words
    assert "latency of the server, ms" in words
    assert "seconds for 1,000 requests, scaled" in words


def test_concurrency() -> None:
    result = made_up_result("concurrency", p50_ms=7.0, in_flight=3.0)
    figure = charts.concurrency(result, LIGHT)
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == [
        *("requests/s", "p50, ms", "really in flight")
    ]
    numbers = [1, 4, 16, 64, 256, 1_000]
    throughput = lines(figure, 0)
    assert [*throughput] == CLIENTS[:3]
    expected = [1_000 / (2 * place) for place in range(1, 7)]
    assert throughput["async (aiohttp)"][0] == numbers
    assert throughput["async (aiohttp)"][1] == pytest.approx(expected)
    assert lines(figure, 3)["threads (requests)"] == (numbers, [7.0] * 6)
    assert lines(figure, 5)["threads (pyreqwest)"] == (numbers, [3.0] * 6)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:2]]
    assert titles == ["Server answers immediately", "Server answers after 20 ms"]


def test_endpoint() -> None:
    figure = charts.endpoint(made_up_result("endpoint"), LIGHT)
    without, waiting = lines(figure, 0), lines(figure, 1)
    assert [*without] == [
        *("async def, await asyncio.sleep", "def, time.sleep", "async def, time.sleep")
    ]
    assert without["def, time.sleep"][0] == [1, 8, 32, 128]
    assert without["def, time.sleep"][1] == pytest.approx([1_000 / (2 * n) for n in (5, 6, 7, 8)])
    assert waiting["def, time.sleep"][1] == pytest.approx(
        [1_000 / (2 * n) for n in (17, 18, 19, 20)]
    )
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["no wait", "each request waits 20 ms"]


def test_timeline_draws_the_typical_run() -> None:
    spans = [[0.0, 0.02], [0.001, 0.021], [0.02, 0.04]]
    result = made_up_result("timeline", seconds=0.05)
    runs = [replace(run, spans_s=spans if run.round == 1 else []) for run in result.runs]
    figure = charts.timeline(replace(result, runs=runs), LIGHT, 20)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"{name}, 20 ms latency" for name in (CLIENTS[0], CLIENTS[2], CLIENTS[3])]
    assert figure.axes[0].get_title(loc="right") == "50 ms, 20,000 requests/s"
    boxes = [
        collection.get_paths()[0].get_extents().bounds for collection in figure.axes[0].collections
    ]
    starts_and_lanes = [(round(x, 3), y) for x, y, _, _ in boxes]
    assert starts_and_lanes == [(0, 0), (1, 1), (20, 0)]


def test_lanes() -> None:
    assert charts.lanes([]) == []
    assert charts.lanes([(0, 1), (1, 2), (2, 3)]) == [0, 0, 0]
    assert charts.lanes([(0, 9), (1, 3), (2, 4), (3, 5)]) == [0, 1, 2, 1]
    assert doctest.testmod(charts).failed == 0


def runs_of_scripts(*elapsed: float) -> tuple[Sequence[Case], list[Run]]:
    """Return a round of the three scripts."""
    clients = (ASYNC, THREADS, BLOCKING)
    return clients, [made_up_run(c.name, 1, s) for c, s in zip(clients, elapsed, strict=True)]


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_chart_of_a_comparison(ending: str, tmp_path: Path) -> None:
    clients, runs = runs_of_scripts(1.0, 2.0, 3.0)
    path = tmp_path / f"chart.{ending}"
    charts.save_comparison(path, "3 rounds", clients, runs)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG" if ending == "png" else b"<?xml")
    if ending == "svg":
        for text in (b"3 rounds", b"2.00 s", b"threads (requests)", b"elapsed time in seconds"):
            assert text in content


def test_chart_in_a_format_that_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        charts.save_comparison(tmp_path / "chart.nonsense", "", *runs_of_scripts(1, 2, 3))


# -- Colours ------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(theme: Theme) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast(theme.text, theme.background) >= 4.5
    assert all(contrast(colour, theme.background) >= 3 for colour in theme.methods.values())


def test_every_picture_is_drawn_for_both_pages(tmp_path: Path) -> None:
    names = ("headline", "library", "latency", "concurrency", "endpoint", "timeline")
    paths = charts.pictures({name: made_up_result(name) for name in names}, tmp_path)
    stems = {path.stem for path in paths}
    assert len(stems) == 14
    assert {stem.removesuffix("-dark") for stem in stems} == {
        *("comparison", "library", "latency", "concurrency", "endpoint"),
        *("timeline", "timeline-0"),
    }
    for path in paths:
        content = path.read_text(encoding="utf-8")
        assert "<text" in content  # text stays text
        assert len(content) < 200_000
        theme = DARK if path.stem.endswith("-dark") else LIGHT
        assert theme.text in content
