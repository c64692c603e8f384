"""The pictures: what is in the figures and files, drawn from made-up results."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import charts
import claims
from charts import DARK, LIGHT
from made_up import made_up_result
from study import texts_in

# The n-th case takes n seconds for 1,000 requests, 0.9 n of the client's and 0.6 n of the server's
# processor time: 900 n us and 600 n us a request.
RESULT = made_up_result(*claims.CLAIMS)
RUNS = RESULT.runs
N = {case.name: n for n, case in enumerate(RESULT.cases, start=1)}


def bars(figure: Figure) -> list[tuple[Any, ...]]:
    """Return of each bar from top to bottom its name, length, the text at its end, its colour."""
    (axes,) = figure.axes
    assert axes.yaxis_inverted()  # the first one on top
    assert axes.get_xlim()[0] == 0
    found = []
    patches: Any = axes.patches
    rows = zip(axes.get_yticks(), axes.get_yticklabels(), patches, axes.texts, strict=True)
    for row, name, bar, text in rows:
        length = bar.get_width()
        assert bar.get_y() + bar.get_height() / 2 == text.get_position()[1] == row
        assert bar.get_x() == 0 and length < text.get_position()[0]
        colour = to_hex(bar.get_facecolor())
        found.append((name.get_text(), pytest.approx(length), text.get_text(), colour))
    return found


def test_library_has_a_bar_for_each_cost_the_least_first() -> None:
    expected = []
    for case in sorted((case for case, _ in claims.LIBRARY), key=lambda case: N[case.name]):
        name, colour = f"{case.method} ({case.library})", LIGHT.methods[case.method]
        if case.replacement.startswith("forms.stub"):
            name, colour = f"{case.method}, the script alone", LIGHT.faint
        cost = 900 * N[case.name]
        expected.append((name, cost, f"{cost:,}", colour))
    assert bars(charts.library(RUNS, LIGHT)) == expected


def test_cores_has_a_bar_for_each_ratio() -> None:
    expected = []
    for name, method, case in (
        ("blocking", "blocking", claims.BLOCKING_0),
        ("4 threads", "threads", claims.THREADS_4),
        ("4 threads, no GIL", "threads", claims.without_gil(claims.THREADS_4)),
        ("2 processes, blocking", "blocking", claims.BLOCKING_2),
    ):
        ratio = N[claims.BLOCKING_0.name] / N[case.name]
        expected.append((name, ratio, f"{ratio:.2f}", LIGHT.methods[method]))
    assert bars(charts.cores(RUNS, LIGHT)) == expected


def points_of(line: Any) -> list[Any]:
    """Return the points of a line."""
    points = zip(line.get_xdata(), line.get_ydata(), strict=True)
    return [pytest.approx(point) for point in points]


def test_endpoint_names_each_line_at_its_end() -> None:
    (axes,) = charts.endpoint(RUNS, LIGHT).axes
    methods = {
        "async def, await": "async",
        "def, time.sleep": "threads",
        "async def, time.sleep": "blocking",
    }
    ends: Any = axes.texts
    for line, end, (name, method) in zip(axes.lines, ends, methods.items(), strict=True):
        rates = [1_000 / N[f"{name}, {number} in flight, 20 ms"] for number in (1, 8, 32, 64)]
        assert points_of(line) == [*enumerate(rates)]
        assert " ".join(end.get_text().split()) == name
        assert points_of(line)[-1] == end.xy
        assert end.get_color() == line.get_color() == LIGHT.methods[method]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "8", "32", "64"]


def test_law_draws_points_over_what_waiting_allows_and_a_line_at_the_bound() -> None:
    # A request of async needs 2,000 n us of the server's time, more than of the client's.
    runs = [
        replace(run, server_cpu_s=2 * run.elapsed_s) if run.case == claims.COST_ASYNC.name else run
        for run in RUNS
    ]
    (axes,) = charts.law(runs, LIGHT).axes
    looks = {
        "async (aiohttp)": (LIGHT.methods["async"], "the server's work"),
        "threads (pyreqwest)": (LIGHT.other, ""),
        "threads (requests)": (LIGHT.methods["threads"], "the client's work"),
        "blocking (requests)": (LIGHT.methods["blocking"], ""),
    }
    lines: Any = axes.lines
    *labels, diagonal = axes.texts
    ends = {label.get_text(): label.xy for label in labels}  # type: ignore[attr-defined]
    for name, bound, measured in zip(looks, lines[::2], lines[1::2], strict=True):
        rows = [row for row in claims.LAW if row[0].name.startswith(name)]
        n = N[rows[0][1].name]
        client_s, server_s = 9e-4 * n, (2e-3 if name.startswith("async") else 6e-4) * n
        waiting = [
            (case.concurrency or 1) / (case.server.latency_ms / 1_000 + client_s + server_s)
            for case, _ in rows
        ]
        rates = [1_000 / N[case.name] for case, _ in rows]
        work = min(1 / client_s, 1 / server_s)
        corners = (min(waiting), min(work, max(waiting)), max(waiting))
        assert points_of(measured) == [*zip(waiting, rates, strict=True)]
        assert points_of(bound) == [(x, min(x, work)) for x in corners]
        assert (measured.get_linestyle(), measured.get_label()) == ("None", name)
        colour, label = looks[name]
        assert measured.get_color() == bound.get_color() == colour
        if label:
            assert ends.pop(label) == pytest.approx((max(waiting), work))
    assert not ends
    # The name of the other limit lies beside the diagonal.
    x, y = diagonal.get_position()
    assert diagonal.get_text() == "waiting" and x < y < 2 * x
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_timeline_draws_each_request_of_the_typical_run() -> None:
    spans = [[0.02, 0.05], [0.0, 0.02], [0.06, 0.07], [0.001, 0.021]]
    # The second round is faster than the median, the third is slower.
    runs = [replace(run, spans_s=[] if run.round in (2, 3) else spans) for run in RUNS]
    figure = charts.timeline(runs, DARK)
    for axes, (case, _) in zip(figure.axes, claims.TIMELINE, strict=True):
        assert axes.get_title() == f"{case.method} ({case.library})"
        assert axes.get_title(loc="right") == f"{N[case.name]:,},000 ms"
        drawn: Any = axes.collections
        boxes = [bar.get_paths()[0].get_extents().bounds for bar in drawn]
        start_lane_width = [(round(x, 3), y, round(width, 3)) for x, y, width, _ in boxes]
        assert start_lane_width == [(0, 0, 20), (1, 1, 20), (20, 0, 30), (60, 0, 10)]
        assert all(0 < height < 1 for *_, height in boxes)  # lanes do not touch
        assert {to_hex(bar.get_facecolor()[0]) for bar in drawn} == {DARK.methods[case.method]}


def test_every_picture_is_drawn_for_both_pages(tmp_path: Path) -> None:
    light, dark = ({t.text, t.faint, t.other, *t.methods.values()} for t in (LIGHT, DARK))
    assert not light & dark
    paths = charts.pictures(RUNS, tmp_path)
    names = {f"{draw.__name__}{suffix}.svg" for draw in charts.DRAWN for suffix in ("", "-dark")}
    assert {path.name for path in paths} == names
    for path in paths:
        is_dark = path.stem.endswith("-dark")
        used = set(re.findall(r"#[0-9a-f]{6}\b", path.read_text(encoding="utf-8")))
        assert (DARK if is_dark else LIGHT).text in used
        assert used <= (dark if is_dark else light), path.name
        assert re.search("requests/s|per request|times as fast|time in ms", str(texts_in(path)))


def test_the_same_runs_give_the_same_file_whatever_the_settings_of_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "DRAWN", (charts.law, charts.cores))
    first = [path.read_bytes() for path in charts.pictures(RUNS, tmp_path)]
    own: dict[Any, Any] = {"font.size": 99, "axes.facecolor": "red", "xtick.labelsize": 40}
    with matplotlib.rc_context(own):
        assert [path.read_bytes() for path in charts.pictures(RUNS, tmp_path)] == first
