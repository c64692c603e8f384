"""The studies: what they claim, measure and keep, and what is made of it."""

import importlib
import re
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import charts
import harness.client
import report
import study
from charts import Theme
from claims import CLAIMS, LAW, Claim, cases_of
from harness.client import run_rounds
from harness.results import load, load_all, save
from harness.runs import Case, MeasurementError, Run
from harness.server import Server
from helpers import ROOT, Outcome, posix_only, wait_for
from made_up import CLIENT, made_up_case, made_up_result, made_up_run

ALL = cases_of(CLAIMS)
FEW = next(claim for claim in CLAIMS if claim.name == "few")
PUBLISHED = load_all(study.PUBLISHED)
each_claim = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)

# -- Claims -------------------------------------------------------------------------------------


@each_claim
def test_claim(claim: Claim) -> None:
    shown = [case.name for case, _ in claim.rows]
    assert len(set(shown)) == len(shown)
    assert {*claim.columns} <= {*report.COLUMNS}
    assert claim.statement.isascii() and claim.statement.endswith(".")
    for case, base in claim.rows:
        # What is compared differs in what the claim is about, and in nothing else.
        assert case.server == base.server or claim.name in ("law", "server"), case
        assert case.requests == base.requests or case.path == "/blocked", case
        if claim.name in ("method", "library") and case.library in ("pyreqwest", "httpx2"):
            assert (base.library, base.method) == (case.library, "blocking")


def test_cases() -> None:
    declared = {case.name: case for case in ALL}
    assert all(
        case == declared[case.name] for claim in CLAIMS for row in claim.rows for case in row
    )
    for case in ALL:
        assert (ROOT / case.script).is_file(), case
        for replacement in case.replacement.split():
            importlib.import_module(replacement)
        assert version(case.library)
        module, _, name = case.server.app.partition(":")
        app = getattr(importlib.import_module(module), name)
        assert f"{case.path}/items/{{item_id}}" in {route.path for route in app.routes}, case
    names = {claim.name for claim in CLAIMS}
    assert len(names) == len(CLAIMS) and {draw.__name__ for draw in charts.DRAWN} <= names


def test_law_predicts_cases_from_what_others_cost() -> None:
    assert not {case.name for case, _ in LAW} & {cost.name for _, cost in LAW}
    for case, cost in LAW:
        assert (cost.library, cost.replacement) == (case.library, case.replacement)
        assert cost.server.latency_ms == 0  # nothing counts but the work


@pytest.mark.skipif(not PUBLISHED, reason="nothing is published")
@each_claim
def test_published_cases_are_the_declared_ones(claim: Claim) -> None:
    published = [case for result in PUBLISHED for case in result.cases]
    measured = {run.case for result in PUBLISHED for run in result.runs}
    for declared in cases_of([claim]):
        assert all(case == declared for case in published if case.name == declared.name)
        assert declared.name in measured or declared.python  # which not everybody has


def test_published_runs_had_the_gil_or_not_as_their_names_say() -> None:
    runs = [run for result in PUBLISHED for run in result.runs]
    assert all(run.gil != run.case.endswith(", no GIL") for run in runs)


# -- Measuring ----------------------------------------------------------------------------------

SMALL = [made_up_case(name) for name in "abcdefgh"]
CLAIM = Claim("small", "It is small.", [(case, SMALL[0]) for case in SMALL], ["times as fast"])
SERVERS: Any = defaultdict(lambda: Server("http://nowhere.invalid"))


class Runs(list[Run]):
    """Made-up runs of the cases that were to run."""

    failures: Mapping[str, int] = {}
    stop_at = -1
    error: Exception | None = None  # without one, it is Ctrl-C that stops it

    def run_case(self, case: Case, server: Server, number: int) -> Run:
        """Do as run_case does."""
        more = {"requests": case.requests, "ok": case.requests, "failures": self.failures}
        run = made_up_run(case.name, number, 1.0, **more)
        self += [run] if number else []  # no trial runs
        if len(self) == self.stop_at:
            if self.error:
                raise self.error
            signal.raise_signal(signal.SIGINT)
        return run


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Have made-up runs in the place of measured ones."""
    runs = Runs()
    monkeypatch.setattr(harness.client, "run_case", runs.run_case)
    monkeypatch.setattr(study, "start_servers", lambda cases: nullcontext(SERVERS))
    monkeypatch.setattr(study, "speed_of_two", lambda: 0.9)
    monkeypatch.setattr(study, "describe", lambda case: CLIENT)
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield runs
    for number, handler in handlers.items():
        if handler != signal.getsignal(number):
            signal.signal(number, handler)


@pytest.mark.parametrize(("error", "code"), [(None, 130), (MeasurementError("It broke."), 1)])
@pytest.mark.parametrize("rounds", [0, 2])
def test_whole_rounds_are_kept(
    rounds: int, error: Any, code: int, runs: Runs, tmp_path: Path, caplog: Any
) -> None:
    runs.error, runs.stop_at = error, 8 * rounds + 5
    assert study.measure([CLAIM], SMALL, 9, tmp_path) == code
    assert len(runs) == 8 * rounds + 5
    messages = ["It broke."] * (code == 1) + ["Nothing was measured."] * (rounds == 0)
    assert caplog.messages == messages
    results = load_all(tmp_path)
    assert [(result.cases, result.runs) for result in results] == [(SMALL, runs[:16])][:rounds]
    for result in results:  # its order can be had again
        again = run_rounds(SMALL, SERVERS, 2, result.environment["seed"])
        assert [run for each in again for run in each] == result.runs


def test_what_is_measured_is_printed_before_it_is_written_and_written_if_it_cannot_be_printed(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ClosedPipe:
        def write(self, text: str) -> None:
            assert not [*tmp_path.iterdir()]
            raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", ClosedPipe())
        with pytest.raises(BrokenPipeError):
            study.measure([CLAIM], SMALL, 2, tmp_path)
    assert load_all(tmp_path)[0].runs == runs


def test_each_measurement_has_a_file_of_its_own(runs: Runs, tmp_path: Path) -> None:
    assert study.measure([CLAIM], SMALL, 1, tmp_path) == 0
    (first,) = tmp_path.iterdir()
    assert re.fullmatch(r"\d{4}(-\d\d){2}-\d{6}\.json", first.name)
    wait_for(lambda: time.strftime("%H%M%S") not in first.name, "the next second")
    study.measure([CLAIM], SMALL, 3, tmp_path)
    assert study.measure([CLAIM], [], 3, tmp_path) == 1  # nothing is measured
    assert [len(load(path).runs) for path in sorted(tmp_path.iterdir())] == [8, 24]


@posix_only
def test_what_cannot_run_here_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "raising.py").write_text("print('noise')\nraise RuntimeError('no such CPU')\n")
    cases = [
        made_up_case("a", library="no_such_library"),
        made_up_case("b"),
        made_up_case("c", script=str(tmp_path / "raising.py")),
        made_up_case("d", python="no_such_python"),
    ]
    able, clients = study.available(cases)
    assert able == [cases[1]]
    assert [re.sub(r"\(\S*\.py: ", "(", message) for message in caplog.messages] == [
        "Left out: a (PackageNotFoundError: No package metadata was found for no_such_library)",
        "Left out: c (RuntimeError: no such CPU (raising.py, line 2))",
        "Left out: d ([Errno 2] No such file or directory: 'no_such_python')",
    ]
    (client,) = clients.values()
    assert client["packages"] == {name: version(name) for name in ("aiohttp", "tqdm")}


# -- The command --------------------------------------------------------------------------------

README = """It takes <!-- seconds(BLOCKING_100) --><!-- end --> s. Async is
<!-- times(ASYNC_0, BLOCKING_0) --><!-- end --> times as fast, threads
<!-- verdict(THREADS_0, BLOCKING_0) --><!-- end -->, with <!-- us(ASYNC_0) --><!-- end --> us
a request and <!-- in_flight(ASYNC_100) --><!-- end --> in flight.
Of all cases, <!-- within(0.7, 1.1) --><!-- end --> reach their bound.
"""
BLOCKS = {
    "README.md": ["printed by compare.py"],
    "RESULTS.md": ["statements", "statement of headline", "table of few", "measurements"],
}
MARKERS = [("README.md", marker) for marker in re.findall("<!-- (?!end)(.+?) -->", README)]
MARKERS += [(document, marker) for document, names in BLOCKS.items() for marker in names]


def sketch(runs: Sequence[Run], theme: Theme) -> Figure:
    """Draw a picture with two texts."""
    figure = Figure(figsize=(1, 1))
    figure.text(0, 0, f"{len(runs)} runs")
    figure.text(0, 0.5, "two words", color=theme.text)
    return figure


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with documents and a picture, rendered from a made-up result."""
    published = tmp_path / "results"
    monkeypatch.setattr(study, "PUBLISHED", published)
    monkeypatch.setattr(study, "MEASURED_HERE", tmp_path / "results-here")
    monkeypatch.setattr(study, "DOCUMENTS", [tmp_path / name for name in BLOCKS])
    monkeypatch.setattr(charts, "DRAWN", (sketch,))
    (published / "printed").mkdir(parents=True)
    (published / "printed" / "compare.py.txt").write_text("async  10,545 requests/s\n")
    save(made_up_result(*CLAIMS, rounds=3), published / "2026-11-25-083000.json")
    for name, markers in BLOCKS.items():
        blocks = "".join(f"\n<!-- {marker} -->\n<!-- end -->\n" for marker in markers)
        (tmp_path / name).write_text((README if name == "README.md" else "") + blocks)
    assert command("render").exit_code == 0
    return tmp_path


def command(*arguments: str) -> Outcome:
    """Run the command in this process."""
    result = CliRunner().invoke(study.app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result
    return Outcome(result.exit_code, result.stdout, result.stderr)


def test_run_measures_each_case_once_a_round(runs: Runs, project: Path) -> None:
    runs.failures = {"HTTP 503": 2}
    outcome = command("run", "--rounds", "1")
    assert sorted(run.case for run in runs) == sorted(case.name for case in ALL)
    assert all(f"\n{claim.name}: 1 round\n" in outcome.stdout for claim in CLAIMS)
    runs.clear()
    outcome = command("run", "few", "--rounds", "2")
    assert sorted(run.case for run in runs) == sorted(2 * [case.name for case, _ in FEW.rows])
    assert f"\n{runs[0].case}: 4 x HTTP 503\n" in outcome.stdout
    assert outcome.exit_code == 1
    outcome = command("run", "few", "speed")
    message = " ".join(re.sub("[│─╭╮╰╯]", "", outcome.stderr).split())
    assert "no study is called speed. Choose from headline, law, " in message


def test_quick_runs_every_case_briefly(runs: Runs, project: Path) -> None:
    assert command("quick").exit_code == 0
    assert sorted(run.case for run in runs) == sorted(case.name for case in ALL)
    assert {run.requests for run in runs} == {10, 12}
    runs.failures = {"HTTP 404": 1}
    assert command("quick").exit_code == 1
    assert not (project / "results-here").exists()


def marked(name: str, text: str) -> str:
    """Return what stands between a marker and its end."""
    return text.partition(f"<!-- {name} -->")[2].partition("<!-- end -->")[0]


def test_render_writes_figures_statements_and_tables(project: Path) -> None:
    readme, results = [path.read_text(encoding="utf-8") for path in study.DOCUMENTS]
    # The n-th case takes n seconds: blocking 2, and with 100 ms 5.
    assert "takes <!-- seconds(BLOCKING_100) -->5.0<!-- end --> s. Async is\n" in readme
    assert marked("printed by compare.py", readme) == "\n\n```\nasync  10,545 requests/s\n```\n\n"
    statement = CLAIMS[0].statement
    assert marked("statement of headline", results) == f"\n\n**{statement}**\n\n"
    assert f"\n- [{statement}](#headline)\n- [" in marked("statements", results)
    runs = made_up_result(*CLAIMS, rounds=3).runs
    table = report.markdown(report.table(FEW.columns, FEW.rows, runs))
    summary = "<summary><code>python benchmarks/study.py run few</code>, rounds: 3</summary>"
    assert f"\n\n<details>\n\n{summary}\n\n{table}\n\n</details>\n\n" in results
    assert marked("measurements", results).strip() == (
        f"- 2026-11-25 08:30, 3 rounds of {len(ALL)} cases, 0 of {3 * len(ALL)} runs beside busy"
        " other programs. A Chip, 2 cores, Linux; each of two busy processes is 0.9 times as fast"
        " as one alone. Python 3.11.7 (`'--flag'`). uvicorn 0.54.0, aiohttp 3.14.5."
    )
    assert command("check") == Outcome(0, "", "")


@pytest.mark.parametrize(("document", "marker"), MARKERS)
def test_check_finds_a_wrong_figure(document: str, marker: str, project: Path) -> None:
    path = project / document
    text = path.read_text(encoding="utf-8")
    right = marked(marker, text)
    wrong = re.sub(r"\d(?=\D*$)", lambda digit: str(9 - int(digit[0])), right)  # the last digit
    assert wrong != right
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    outcome = command("check")
    assert outcome.exit_code == 1
    assert outcome.stdout == f"{path} is out of date. Run: python benchmarks/study.py render\n"
    assert command("render").exit_code == 0
    assert path.read_text(encoding="utf-8") == text


def exchange(path: Path, first: str, second: str) -> None:
    """Have two parts of a file change places."""
    text = path.read_text(encoding="utf-8")
    assert text.count(first) == text.count(second) == 1
    text = text.replace(first, "\0").replace(second, first).replace("\0", second)
    path.write_text(text, encoding="utf-8")


def test_check_finds_exchanged_texts_and_missing_pictures(project: Path) -> None:
    out_of_date = [project / name for name in ("RESULTS.md", "results/sketch.svg")]
    exchange(out_of_date[0], *[f"- [{claim.statement}]" for claim in CLAIMS[:2]])
    exchange(out_of_date[1], f">{3 * len(ALL)} runs<", ">two words<")
    out_of_date.append(project / "results" / "sketch-dark.svg")
    out_of_date[2].unlink()
    outcome = command("check")
    assert outcome.exit_code == 1
    assert [line.split(" is ")[0] for line in outcome.stdout.splitlines()] == [
        *map(str, out_of_date)
    ]
    assert command("render").exit_code == 0
    # Another release of matplotlib draws other lines.
    exchange(out_of_date[1], ' width="', ' height="')
    assert command("check").exit_code == 0


def test_publish_copies_all_and_overwrites_none(project: Path) -> None:
    here, published = project / "results-here", project / "results"
    here.mkdir()
    (old,) = published.glob("*.json")
    before = old.read_bytes()
    names = ["2026-11-26-083000.json", "2026-11-27-083000.json"]
    for name in (old.name, *names):
        save(made_up_result(FEW, rounds=1), here / name)
    assert re.findall(r"Published: (\S+)\. ", command("publish").stdout) == names
    assert old.read_bytes() == before
    assert all((published / name).read_bytes() == (here / name).read_bytes() for name in names)
    rounds = [{run.round for run in result.runs} for result in load_all(published)]
    assert rounds == [{1, 2, 3}, {4}, {5}]
    assert ", rounds: 5</summary>" in (project / "RESULTS.md").read_text(encoding="utf-8")
    assert ", rounds: 3</summary>" in study.text_of("table of headline", load_all(published))
    assert command("check").exit_code == 0
    assert command("publish").exit_code == 1  # nothing is new


def test_publish_refuses_what_is_not_declared_so(project: Path) -> None:
    (project / "results-here").mkdir()
    result = made_up_result(FEW, rounds=1)
    save(result, project / "results-here" / "2026-11-26-083000.json")
    first, *others = result.cases
    changed = replace(result, cases=[replace(first, requests=11), *others])
    save(changed, project / "results-here" / "2026-11-27-083000.json")
    outcome = command("publish")
    assert outcome.exit_code == 1
    assert first.name in outcome.stdout and others[0].name not in outcome.stdout
    assert len([*project.glob("results/*.json")]) == 1


def test_list(project: Path) -> None:
    """The n-th case takes n seconds, and 0.5 s to start and end."""
    seconds = {case.name: n + 0.5 for n, case in enumerate(ALL, start=1)}
    for line, claim in zip(command("list").stdout.splitlines(), CLAIMS, strict=True):
        minutes = sum(seconds[case.name] for case in cases_of([claim])) / 60
        assert line.split(maxsplit=3) == [claim.name, f"{minutes:.1f}", "min", claim.statement]
