"""The pictures: what is in the figures and files, drawn from made-up results."""

import doctest
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation

import charts
from charts import DARK, LIGHT, Theme
from claims import CLAIMS
from made_up import made_up_result

CLAIM = {claim.name: claim for claim in CLAIMS}
RESULTS = {name: made_up_result(claim) for name, claim in CLAIM.items()}

Bars = list[tuple[str, str, float, str]]


def bars(figure: Figure) -> Bars:
    """Return the name of each bar from top to bottom, the text at its end, its length and colour."""
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    found = []
    for row, name in enumerate(names):
        patch = axes.patches[row]
        text = axes.texts[row]
        assert isinstance(patch, Rectangle)
        length = patch.get_width()
        assert patch.get_y() + patch.get_height() / 2 == text.get_position()[1] == row
        assert text.get_position()[0] > length
        found.append((name, text.get_text(), round(length, 6), to_hex(patch.get_facecolor())))
    assert axes.yaxis_inverted()  # the first one on top
    assert axes.get_xlim()[0] == 0
    return found


def test_library_has_a_bar_for_each_median_the_fastest_first() -> None:
    # The n-th case takes n, n / 2, 2 n and then n seconds for 1,000 requests.
    cases = CLAIM["library"].cases
    expected: Bars = [
        (c.name, f"{1_000 / n:,.0f}", round(1_000 / n, 6), LIGHT.methods[c.method])
        for n, c in enumerate(cases, start=1)
    ]
    assert bars(charts.library(RESULTS["library"], LIGHT)) == expected
    backwards = replace(RESULTS["library"], cases=[*reversed(cases)])
    assert bars(charts.library(backwards, LIGHT)) == expected


def test_library_draws_the_limit_of_the_server() -> None:
    """The fastest client takes 1 s, so the server works 0.6 s for 1,000 requests."""
    (axes,) = charts.library(RESULTS["library"], LIGHT).axes
    (line,) = axes.lines
    assert list(line.get_xdata()) == pytest.approx([1_000 / 0.6] * 2)  # type: ignore[arg-type]
    assert axes.texts[-1].get_text() == "the server's limit: 1,667 "
    assert axes.texts[-1].get_position()[0] == pytest.approx(1_000 / 0.6)


def test_cores_has_a_bar_for_each_ratio() -> None:
    drawn = bars(charts.cores(RESULTS["cores"], LIGHT))
    cases = CLAIM["cores"].cases
    expected = [(f"{1 / n:.2f}", round(1 / n, 6)) for n in range(1, len(cases) + 1)]
    assert [(text, length) for _, text, length, _ in drawn] == expected
    assert [colour for *_, colour in drawn] == [LIGHT.methods[case.method] for case in cases]
    names = [name for name, *_ in drawn]
    assert len(set(names)) == len(names)
    assert all(c.method in name for c, name in zip(cases, names, strict=True))


def colour_of(collection: Any) -> str:
    """Return the colour with which something is filled."""
    return to_hex(collection.get_facecolor()[0])


def lines(figure: Figure) -> dict[str, list[tuple[float, float, float]]]:
    """Return for the colour of each line its points: median, low and high."""
    (axes,) = figure.axes
    found = {}
    plotted: list[Any] = [line for line in axes.lines if line.get_marker() not in ("None", "")]
    for line, band in zip(plotted, axes.collections, strict=True):
        assert list(line.get_xdata()) == [*range(len(line.get_xdata()))]
        corners: Any = band.get_paths()[0].vertices
        points = []
        for place, median in enumerate(line.get_ydata()):
            heights = [y for x, y in corners if x == place]
            points.append((median, min(heights), max(heights)))
        assert colour_of(band) == line.get_color()
        found[str(line.get_color())] = points
    return found


def ends(figure: Figure) -> dict[str, tuple[Any, ...]]:
    """Return for the name at the end of each line the point that it belongs to, and its colour."""
    texts = [text for text in figure.axes[0].texts if isinstance(text, Annotation)]
    return {" ".join(t.get_text().split()): (*t.xy, str(t.get_color())) for t in texts}


def test_latency_draws_ratios_with_their_intervals() -> None:
    # In each round, the n-th case is 4 * k / n times as fast as blocking, the 4 k-th one. One round
    # of nine with another ratio is outside of the interval, two of them are its end.
    result = RESULTS["latency"]
    async_at_0, blocking_at_0 = result.cases[0].name, result.cases[3].name
    runs = [
        replace(run, elapsed_s=run.elapsed_s * 3)
        if (run.case, run.round) in {(async_at_0, 5), (blocking_at_0, 6), (blocking_at_0, 7)}
        else run
        for run in result.runs
    ]
    figure = charts.latency(replace(result, runs=runs), LIGHT)
    drawn = lines(figure)
    assert [*drawn] == [LIGHT.methods["async"], LIGHT.other, LIGHT.methods["threads"]]
    asynchronous, *later = drawn[LIGHT.methods["async"]]
    assert asynchronous == pytest.approx((4, 4, 12))
    expected = [4 * k / (4 * k - 3) for k in range(2, 7)]
    assert [median for median, _, _ in later] == pytest.approx(expected)
    assert drawn[LIGHT.other][1] == pytest.approx([8 / 6] * 3)
    assert drawn[LIGHT.methods["threads"]][1] == pytest.approx([8 / 7] * 3)
    (axes,) = figure.axes
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["0", "1", "3", "10", "30", "100"]
    names = {text.get_text(): text.get_color() for text in axes.texts}
    assert names["threads (pyreqwest)"] == LIGHT.other
    assert names["async (aiohttp)"] == LIGHT.methods["async"]


def test_concurrency_draws_rates_with_their_ranges() -> None:
    figure = charts.concurrency(RESULTS["concurrency"], LIGHT)
    drawn = lines(figure)
    # With 20 ms, async has the cases 19 to 24, pyreqwest 25 to 30, requests 31 to 36.
    for colour, first in zip(drawn, (19, 25, 31), strict=True):
        for n, point in enumerate(drawn[colour], start=first):
            assert point == pytest.approx((1_000 / n, 500 / n, 2_000 / n))
    assert [*drawn] == [LIGHT.methods["async"], LIGHT.other, LIGHT.methods["threads"]]
    (axes,) = figure.axes
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["1", "4", "16", "64", "256", "1,000"]
    assert ends(figure) == {
        "async (aiohttp)": (5, pytest.approx(1_000 / 24), LIGHT.methods["async"]),
        "threads (pyreqwest)": (5, pytest.approx(1_000 / 30), LIGHT.other),
        "threads (requests)": (5, pytest.approx(1_000 / 36), LIGHT.methods["threads"]),
    }


def test_endpoint_draws_rates_with_a_wait() -> None:
    figure = charts.endpoint(RESULTS["endpoint"], LIGHT)
    drawn = lines(figure)
    assert [*drawn] == [*LIGHT.methods.values()]
    for colour, first in zip(drawn, (13, 17, 21), strict=True):  # the last twelve of 24 cases
        medians = [median for median, _, _ in drawn[colour]]
        assert medians == pytest.approx([1_000 / n for n in range(first, first + 4)])
    assert ends(figure) == {
        "async def, await": (3, 1_000 / 16, LIGHT.methods["async"]),
        "def, time.sleep": (3, 1_000 / 20, LIGHT.methods["threads"]),
        "async def, time.sleep": (3, 1_000 / 24, LIGHT.methods["blocking"]),
    }


def test_timeline_draws_each_request_of_the_typical_run() -> None:
    spans = [[0.02, 0.05], [0.0, 0.02], [0.001, 0.021]]
    runs = [  # the second round is faster than the median, the third is slower
        replace(run, spans_s=spans if run.round == 1 else []) for run in RESULTS["timeline"].runs
    ]
    figure = charts.timeline(replace(RESULTS["timeline"], runs=runs), DARK)
    titles = [(axes.get_title(), axes.get_title(loc="right")) for axes in figure.axes]
    assert titles == [
        ("async (aiohttp)", "1,000 ms"),
        ("threads (requests)", "2,000 ms"),
        ("blocking (requests)", "3,000 ms"),
    ]
    for axes, case in zip(figure.axes, RESULTS["timeline"].cases, strict=True):
        boxes = [c.get_paths()[0].get_extents().bounds for c in axes.collections]
        start_lane_width = [(round(x, 3), y, round(width, 3)) for x, y, width, _ in boxes]
        assert start_lane_width == [(0, 0, 20), (1, 1, 20), (20, 0, 30)]
        assert all(0 < height < 1 for *_, height in boxes)  # lanes do not touch
        colours = {colour_of(bar) for bar in axes.collections}
        assert colours == {DARK.methods[case.method]}


def test_lanes() -> None:
    assert charts.lanes([]) == []
    assert charts.lanes([(0, 1), (1, 2), (2, 3)]) == [0, 0, 0]
    assert charts.lanes([(0, 9), (1, 3), (2, 4), (3, 5)]) == [0, 1, 2, 1]
    assert charts.lanes([(0, 1), (0, 1), (5, 6)]) == [0, 1, 0]
    assert doctest.testmod(charts) == (0, 1)


def colours(theme: Theme) -> set[str]:
    """Return the colours with which a theme draws."""
    return {theme.text, theme.faint, theme.other, *theme.methods.values()}


def test_every_picture_is_drawn_for_both_pages(tmp_path: Path) -> None:
    assert not colours(LIGHT) & colours(DARK)
    paths = charts.pictures(RESULTS, tmp_path)
    names = {"library", "latency", "concurrency", "endpoint", "cores", "timeline"}
    assert {path.name for path in paths} == {
        name + suffix for name in names for suffix in (".svg", "-dark.svg")
    }
    for path in paths:
        content = path.read_text(encoding="utf-8")
        theme = DARK if path.stem.endswith("-dark") else LIGHT
        # Whatever is drawn has one of its theme's colours.
        used = set(re.findall(r"#[0-9a-f]{6}\b", content))
        assert theme.text in used
        assert used <= colours(theme), path.name
        texts = ["".join(e.itertext()) for e in ET.parse(path).iter() if e.tag.endswith("text")]
        assert any(text.split()[:1] in (["times"], ["requests/s"], ["time"]) for text in texts)


def test_the_same_results_give_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "DRAWN", (charts.latency,))
    first = [path.read_bytes() for path in charts.pictures(RESULTS, tmp_path)]
    assert [path.read_bytes() for path in charts.pictures(RESULTS, tmp_path)] == first
