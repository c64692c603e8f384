"""The comparison: its arithmetic, worked out by hand, and the command itself."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

import compare as comparison
from compare import Comparison, Settings
from harness.runs import ASYNC, BLOCKING, THREADS, Run, ServerSettings
from helpers import (
    DEADLINE,
    ROOT,
    Outcome,
    Server,
    finish,
    free_port,
    start_python,
    uvicorn,
    wait_for,
)
from made_up import made_up_run
from misbehaving import FAULTS, Fault, http, item, misbehaving
from report import plural

COMPARE = ROOT / "benchmarks" / "compare.py"
NAMES = [ASYNC.name, THREADS.name, BLOCKING.name]

# Three rounds in which medians and means differ, and medians of ratios from ratios of medians:
# async 5 (not 8 / 2), threads 1.2 (not 8 / 6).
RUNS = [
    made_up_run(NAMES[0], 1, 1.0, client_cpu_s=0.9, server_cpu_s=0.5, p50_ms=1.0, p99_ms=11.0),
    made_up_run(NAMES[1], 1, 6.0, p50_ms=3.0, p99_ms=33.0),
    made_up_run(NAMES[2], 1, 8.0, client_cpu_s=4.0, server_cpu_s=2.0),  # 8 and 1.33 times
    made_up_run(NAMES[0], 2, 2.0, client_cpu_s=1.9, server_cpu_s=1.2, p50_ms=2.0, p99_ms=22.0),
    made_up_run(NAMES[1], 2, 5.0, p50_ms=4.0, p99_ms=44.0),
    made_up_run(NAMES[2], 2, 6.0, client_cpu_s=3.0, server_cpu_s=1.5),  # 3 and 1.2 times
    made_up_run(NAMES[0], 3, 4.0, client_cpu_s=3.6, server_cpu_s=2.0, p50_ms=9.0, p99_ms=99.0),
    made_up_run(NAMES[1], 3, 40.0, p50_ms=5.0, p99_ms=55.0, max_ms=900.0),
    made_up_run(NAMES[2], 3, 20.0, client_cpu_s=10.0, server_cpu_s=5.0),  # 5 and 0.5 times
]
ENVIRONMENT = {
    "cores": 2,
    "python": "3.11.7",
    "libraries": {"aiohttp": "3.14.5", "uvicorn": "0.54.0"},
}


USUAL = Settings(requests=24_999, concurrency=32, rounds=3, latency_ms=0, workers=1, url=None)


def settings(**given: Any) -> Settings:
    """Return the settings of a usual comparison, with some changed."""
    return replace(USUAL, **given)


def test_table_worked_out_by_hand() -> None:
    assert comparison.plain_table(RUNS).splitlines() == [
        "                async (aiohttp)  threads (requests)  blocking (requests)",
        "elapsed, s     2.00 (1.00-4.00)    6.00 (5.00-40.0)     8.00 (6.00-20.0)",
        "requests/s      500 (250-1,000)      167 (25.0-200)       125 (50.0-167)",
        "times as fast  5.0 (3.0 to 8.0)    1.2 (0.5 to 1.3)                 1.00",
        "p50, ms        2.00 (1.00-9.00)    4.00 (3.00-5.00)                 2.00",
        "p99, ms        22.0 (11.0-99.0)    44.0 (33.0-55.0)                 5.00",
        "max, ms                    9.00     9.00 (9.00-900)                 9.00",
        "client CPU        90% (90%-95%)                 90%                  50%",
        "server CPU        50% (50%-60%)                 60%                  25%",
        "failed                        0                   0                    0",
    ]


def test_conclusion() -> None:
    assert comparison.conclusion(RUNS) == (
        "async was 5.0 (3.0 to 8.0) times as fast as blocking, threads 1.2 (0.5 to 1.3)."
    )


def test_a_client_that_fails_quickly_is_not_fast() -> None:
    runs = [
        made_up_run(NAMES[0], 1, 0.5, ok=10, failures={"HTTP 503": 989, "wrong answer": 1}),
        made_up_run(NAMES[1], 1, 1.0, ok=0, failures={"HTTP 503": 1_000}, p50_ms=None),
        made_up_run(NAMES[2], 1, 2.0),
    ]
    rows = {row[0]: row[1:] for row in comparison.table_rows(runs)}
    assert rows["requests/s"] == ["20.0", "0.000", "500"]
    assert rows["times as fast"] == ["0.040", "0.000", "1.00"]
    assert rows["p50, ms"][1] == "-"
    assert rows["failed"] == ["990", "1,000", "0"]
    assert comparison.failure_lines(runs) == [
        "async (aiohttp): 989 x HTTP 503",
        "async (aiohttp): 1 x wrong answer",
        "threads (requests): 1,000 x HTTP 503",
    ]


def test_blocking_without_a_right_answer_has_no_ratio() -> None:
    runs = [
        made_up_run(NAMES[0], 1, 1.0),
        made_up_run(NAMES[1], 1, 1.0),
        made_up_run(NAMES[2], 1, 1.0, ok=0, failures={"HTTP 503": 1_000}),
    ]
    rows = {row[0]: row[1:] for row in comparison.table_rows(runs)}
    assert rows["times as fast"] == ["-", "-", "-"]
    assert comparison.conclusion(runs) == "No ratio: blocking got no right answer."


def runs_with(elapsed_s: float, client_cpu_s: float, server_cpu_s: float | None) -> list[Run]:
    """Return a round of runs that are alike."""
    return [
        made_up_run(name, 1, elapsed_s, client_cpu_s=client_cpu_s, server_cpu_s=server_cpu_s)
        for name in NAMES
    ]


SHORT = "Too short to measure: async, threads, blocking. Use -n to send more requests."
STARVED = "Neither client nor server had a full core: the machine was busy. Measure again."


@pytest.mark.parametrize(
    ("runs", "given", "remarks"),
    [
        (runs_with(1.0, 0.95, 0.5), {}, []),
        (runs_with(1.0, 0.5, 0.95), {}, []),
        (runs_with(1.0, 0.6, 0.6), {}, [STARVED]),
        (runs_with(1.0, 0.6, 0.6), {"latency_ms": 20}, []),
        (runs_with(1.0, 0.6, 0.6), {"workers": 2}, []),
        (runs_with(1.0, 0.6, 0.6), {"concurrency": 4}, [STARVED]),
        (runs_with(1.0, 0.6, 0.6), {"concurrency": 3}, []),
        (runs_with(1.0, 0.6, None), {"latency_ms": None, "workers": None, "url": "http://a"}, []),
        (runs_with(0.49, 0.2, 0.2), {}, [SHORT]),
        (runs_with(0.51, 0.5, 0.2), {}, []),
        (runs_with(0.49, 0.2, 0.2), {"latency_ms": 20}, [SHORT]),
        (runs_with(1.0, 0.76, 0.6), {}, []),
        (runs_with(1.0, 0.74, 0.6), {}, [STARVED]),
        (runs_with(1.0, 0.6, None), {}, []),  # the server's share could not be read
    ],
)
def test_remarks(runs: list[Run], given: dict[str, object], remarks: list[str]) -> None:
    assert comparison.remarks(settings(**given), runs) == remarks


def test_too_short_names_the_clients() -> None:
    runs = [made_up_run(name, 1, elapsed) for name, elapsed in zip(NAMES, (0.3, 0.6, 0.7))]
    (remark,) = comparison.remarks(settings(), runs)
    assert remark.startswith("Too short to measure: async. ")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        # 3 * (0.9 + 24,999 * (0.001 + 0.001 + 0.0002)) s
        ({}, "3 rounds of async, threads and blocking, 24,999 requests each: about 3 min."),
        # 1 * (0.9 + 1,000 * (0.021 + 0.001 + 0.000625)) s
        (
            {"requests": 1_000, "rounds": 1, "latency_ms": 20},
            "1 round of async, threads and blocking, 1,000 requests each: about 24 s.",
        ),
        # 3 * (0.9 + 24,999 * (0.021 + 0.001 + 0.000625)) s
        (
            {"latency_ms": 20},
            "3 rounds of async, threads and blocking, 24,999 requests each: about 28 min. "
            "Use -n to send fewer.",
        ),
        # 1 * (0.9 + 1 * (0.101 + 0.1 + 0.1)) s
        (
            {"requests": 1, "concurrency": 1, "rounds": 1, "latency_ms": 100},
            "1 round of async, threads and blocking, 1 request each: about 1 s.",
        ),
        # 3 * (0.9 + 1,000 * (0.041 + 0.01 + 0.01)) s
        (
            {"requests": 1_000, "concurrency": 4, "latency_ms": 40},
            "3 rounds of async, threads and blocking, 1,000 requests each: about 3 min.",
        ),
        # How long this server takes to answer is not known.
        (
            {"requests": 1_000, "latency_ms": None, "workers": None, "url": "http://a"},
            "3 rounds of async, threads and blocking, 1,000 requests each.",
        ),
    ],
)
def test_announcement(given: dict[str, object], text: str) -> None:
    assert comparison.announcement(settings(**given)) == text


def test_description() -> None:
    lines = comparison.describe(Comparison(settings(latency_ms=20, workers=2), ENVIRONMENT, RUNS))
    assert lines == [
        "3 rounds, 24,999 requests, 32 in flight, 2 cores, 20 ms latency, 2 workers",
        "Python 3.11.7, aiohttp 3.14.5, uvicorn 0.54.0",
    ]


def test_description_of_part_of_the_rounds_and_of_one() -> None:
    part = Comparison(settings(), ENVIRONMENT, RUNS[:6])
    assert comparison.describe(part)[0].startswith("2 of 3 rounds, ")
    one = Comparison(settings(rounds=1, requests=1), ENVIRONMENT | {"cores": 1}, RUNS[:3])
    assert comparison.describe(one)[0] == (
        "1 round, 1 request, 32 in flight, 1 core, 0 ms latency, 1 worker"
    )


def test_description_of_another_server() -> None:
    given = settings(latency_ms=None, workers=None, url="http://a:1")
    first, _ = comparison.describe(Comparison(given, ENVIRONMENT, RUNS))
    assert first == "3 rounds, 24,999 requests, 32 in flight, 2 cores, server at http://a:1"


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    comparison.write_json(Comparison(settings(), ENVIRONMENT, RUNS), path)
    content = json.loads(path.read_text())
    assert [*content] == ["settings", "environment", "summary", "runs"]
    assert content["settings"] == asdict(settings())
    assert content["environment"] == ENVIRONMENT
    assert content["summary"]["rounds_complete"] == 3
    assert [*content["summary"]["clients"]] == NAMES
    figures = content["summary"]["clients"][NAMES[0]]
    assert figures["elapsed_s"] == {"median": 2, "low": 1, "high": 4}
    assert figures["times_as_fast_as_blocking"] == {"median": 5, "low": 3, "high": 8}
    assert figures["requests_per_s"] == {"median": 500, "low": 250, "high": 1_000}
    assert figures["p50_ms"] == {"median": 2, "low": 1, "high": 9}
    assert figures["p99_ms"] == {"median": 22, "low": 11, "high": 99}
    assert figures["max_ms"] == {"median": 9, "low": 9, "high": 9}
    assert figures["client_cpu_share"] == {"median": 0.9, "low": 0.9, "high": 0.95}
    assert figures["server_cpu_share"] == {"median": 0.5, "low": 0.5, "high": 0.6}
    assert figures["failed"] == 0
    assert len(figures) == 9
    assert [run["client"] for run in content["runs"][:3]] == NAMES
    units = ("_s", "_ms", "_mib")
    plain = {"client", "round", "requests", "ok", "failures", "in_flight"}
    assert all(name in plain or name.endswith(units) for name in content["runs"][0])


def test_json_has_null_for_what_was_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    runs = [
        made_up_run(
            name, 1, 1.0, ok=0, failures={"HTTP 503": 1_000}, p50_ms=None, server_cpu_s=None
        )
        for name in NAMES
    ]
    comparison.write_json(Comparison(settings(), ENVIRONMENT, runs), path)
    content = json.loads(path.read_text(), parse_constant=pytest.fail)  # no NaN
    for figures in content["summary"]["clients"].values():
        assert figures["p50_ms"] is None
        assert figures["server_cpu_share"] is None
        assert figures["times_as_fast_as_blocking"] is None
        assert figures["failed"] == 1_000
    assert content["runs"][0]["server_cpu_s"] is None
    assert content["runs"][0]["failures"] == {"HTTP 503": 1_000}


def test_markdown(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    comparison.write_markdown(Comparison(settings(), ENVIRONMENT, RUNS), path)
    lines = path.read_text().splitlines()
    assert lines[0] == "|  | async (aiohttp) | threads (requests) | blocking (requests) |"
    assert "| elapsed, s | 2.00 (1.00-4.00) | 6.00 (5.00-40.0) | 8.00 (6.00-20.0) |" in lines
    for text in comparison.describe(Comparison(settings(), ENVIRONMENT, RUNS)):
        assert text in lines
    assert lines[-1] == comparison.conclusion(RUNS)


def test_markdown_names_failures_and_doubts(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    runs = [made_up_run(name, 1, 0.4, ok=999, failures={"HTTP 503": 1}) for name in NAMES]
    comparison.write_markdown(Comparison(settings(), ENVIRONMENT, runs), path)
    lines = path.read_text().splitlines()
    assert [line for line in lines if line in comparison.failure_lines(runs)] == [
        f"{name}: 1 x HTTP 503" for name in NAMES
    ]
    assert SHORT in lines


# -- The command --------------------------------------------------------------------------------


def compare(folder: Path, *options: str, **env: str) -> Outcome:
    """Run the command to its end, in a folder that is not the project's."""
    return finish(start_python(folder, str(COMPARE), *options, **env), 4 * DEADLINE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that was started by somebody else."""
    with uvicorn(tmp_path_factory.mktemp("server") / "log", "--no-access-log") as running:
        yield running


def test_every_option_arrives(tmp_path: Path) -> None:
    options = ("-n", "12", "-c", "3", "--rounds", "2", "--latency-ms", "30", "--workers", "2")
    files = ("--json", "runs.json", "--markdown", "table.md", "--chart", "chart.svg")
    process = start_python(tmp_path, str(COMPARE), *options, *files)
    server = wait_for_server(process)
    assert server == asdict(ServerSettings(latency_ms=30, workers=2))
    outcome = finish(process)
    assert outcome.exit_code == 0, outcome
    *lines, sentence = outcome.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert outcome.stdout.isascii()
    cores = plural(os.cpu_count() or 1, "core")
    settings = f"2 rounds, 12 requests, 3 in flight, {cores}, 30 ms latency, 2 workers"
    assert settings in lines
    assert sentence.startswith("async was ")

    announcement, *run_lines = outcome.stderr.splitlines()
    assert announcement.startswith("2 rounds of async, threads and blocking, 12 requests each")
    order = [(1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (2, 0)]
    for line, (number, client) in zip(run_lines, order, strict=True):
        expected = rf"round {number} of 2: {re.escape(NAMES[client])}, 12 of 12 ok in \d\.\d\d s"
        assert re.fullmatch(expected, line)

    content = json.loads((tmp_path / "runs.json").read_text())
    assert {*content["environment"]["libraries"]} == {"aiohttp", "requests", "fastapi", "uvicorn"}
    assert len(content["runs"]) == 6
    for run in content["runs"]:
        in_flight = 1 if run["client"] == BLOCKING.name else 3
        assert run["elapsed_s"] >= 12 / in_flight * 0.03
        assert run["in_flight"] <= in_flight
        assert run["in_flight"] > 1 or run["client"] == BLOCKING.name
    assert (tmp_path / "table.md").read_text().startswith("|  | async (aiohttp) |")
    assert "elapsed time in seconds" in (tmp_path / "chart.svg").read_text()


def wait_for_server(process: subprocess.Popen[str]) -> dict[str, object]:
    """Return the settings with which a program starts its server, as soon as it does."""
    program = psutil.Process(process.pid)
    found: list[str] = []

    def is_started() -> bool:
        assert process.poll() is None, process.communicate()
        for child in program.children():
            with suppress(psutil.Error):
                if "server" in child.cmdline():
                    found[:] = child.cmdline()
        return bool(found)

    wait_for(is_started, "the server")
    settings: dict[str, object] = json.loads(found[-1])
    return settings


@pytest.mark.parametrize(
    "options",
    [
        ("-n", "0"),
        ("--requests", "1e3"),
        ("-c", "0"),
        ("--rounds", "-1"),
        ("--workers", "two"),
        ("--latency-ms", "0.5"),
        ("--latency-ms", "10000"),
        ("--url", "127.0.0.1:8000"),
        ("--url", "https://127.0.0.1:8000"),
        ("--url", "http://:8000"),
        ("--url", ""),
        ("--url", "http://127.0.0.1:8000", "--workers", "2"),
        ("--url", "http://127.0.0.1:8000", "--latency-ms", "0"),
        ("--speed", "9"),
    ],
    ids=" ".join,
)
def test_wrong_option_touches_no_file(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    precious = tmp_path / "precious.json"
    precious.write_text("precious")
    files = ("--json", "precious.json", "--markdown", "new.md", "--chart", "new.svg")
    result = CliRunner().invoke(comparison.app, [*files, *options])
    assert (result.exit_code, result.stdout) == (2, "")
    assert options[0] in result.stderr
    assert precious.read_text() == "precious"
    assert [*tmp_path.iterdir()] == [precious]


def test_failures_end_in_exit_code_1_and_are_named(tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [3]) as server:
        options = ("-n", "5", "--rounds", "1", "--chart", "chart.png")
        outcome = compare(tmp_path, "--url", f"{server.url}/", *options)
    assert outcome.exit_code == 1
    assert all(f"\n{name}: 1 x HTTP 503\n" in outcome.stdout for name in NAMES)
    assert f"server at {server.url}\n" in outcome.stdout
    assert "fastapi" not in outcome.stdout  # its version is not that of this server
    assert outcome.stderr.splitlines()[0].startswith("1 round of ")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_one_bad_run_among_good_ones_is_exit_code_1(tmp_path: Path) -> None:
    asked = []

    def answer(item_id: int) -> bytes:
        asked.append(item_id)
        return http(b"", "503 Busy") if len(asked) == 2 else http(item(item_id))

    with misbehaving(Fault(answer, ""), range(1, 10)) as server:
        options = ("-n", "5", "--rounds", "2", "--json", "runs.json")
        outcome = compare(tmp_path, "--url", server.url, *options)
    assert outcome.exit_code == 1
    assert outcome.stdout.count(" x HTTP 503") == 1
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert [run["ok"] for run in runs] == [4, 5, 5, 5, 5, 5]


def test_no_server_at_the_url(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    outcome = compare(tmp_path, "--url", url, "--json", "runs.json")
    assert outcome.exit_code == 1
    assert outcome.one_line == f"No server answers at {url}."
    assert not [*tmp_path.iterdir()]


def test_another_server_at_the_url(tmp_path: Path) -> None:
    with misbehaving(FAULTS["404"], spoil_probe=True) as server:
        outcome = compare(tmp_path, "--url", server.url, "-n", "5")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    last = outcome.stderr.splitlines()[-1]
    assert last.endswith("does not answer as this project's server does: HTTP 404")


def test_files_that_cannot_be_written_do_not_cost_the_result(
    server: Server, tmp_path: Path
) -> None:
    options = ("--url", server.url, "-n", "5", "--rounds", "1")
    files = ("--json", "no/such/folder.json", "--markdown", "t.md", "--chart", "chart.nonsense")
    outcome = compare(tmp_path, *options, *files)
    assert outcome.exit_code == 1
    assert "async was " in outcome.stdout
    *_, json_line, chart_line = outcome.stderr.splitlines()
    assert json_line.startswith("no/such/folder.json was not written: ")
    assert chart_line.startswith("chart.nonsense was not written: ")
    assert (tmp_path / "t.md").exists()


def test_a_closed_pipe_does_not_cost_the_files(server: Server, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    options = ["--url", server.url, "-n", "5", "--rounds", "1", "--json", "runs.json"]
    ended = subprocess.run(
        [sys.executable, str(COMPARE), *options],
        cwd=tmp_path,
        stdout=writing,
        stderr=subprocess.DEVNULL,
        timeout=DEADLINE,
        check=False,
    )
    os.close(writing)
    assert ended.returncode == 1
    assert (tmp_path / "runs.json").exists()


def test_ctrl_c_keeps_whole_rounds(tmp_path: Path) -> None:
    options = ("-n", "50", "--rounds", "100", "--json", "runs.json")
    process = start_python(tmp_path, str(COMPARE), *options)
    assert process.stderr
    lines = [process.stderr.readline()]
    while not lines[-1].startswith("round 2 of 100: "):
        assert process.poll() is None, lines
        lines.append(process.stderr.readline())
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert outcome.exit_code == 130
    _, *run_lines, last = [*lines, *outcome.stderr.splitlines()]
    assert last == "Stopped."
    whole_rounds = len(run_lines) // len(NAMES)
    assert f"\n{whole_rounds} of 100 rounds, 50 requests, " in outcome.stdout
    assert outcome.stdout.splitlines()[-1].startswith("async was ")
    content = json.loads((tmp_path / "runs.json").read_text())
    assert content["summary"]["rounds_complete"] == whole_rounds
    assert len(content["runs"]) == whole_rounds * len(NAMES)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_ctrl_c_while_a_file_is_written(server: Server, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody reads from it, so it can't be opened for writing
    options = ("--url", server.url, "-n", "5", "--rounds", "1")
    files = ("--json", "runs.json", "--markdown", "pipe")
    process = start_python(tmp_path, str(COMPARE), *options, *files)
    wait_for((tmp_path / "runs.json").exists, "the file that is written first")
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert outcome.exit_code == 130
    assert "async was " in outcome.stdout
    assert "Traceback" not in outcome.stderr


def hide(package: str, folder: Path) -> str:
    """Make a package look as if it were not installed; return the PYTHONPATH for that."""
    (folder / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "def find_others(name, path=None, target=None):\n"
        f"    return None if name == {package!r} else find(name, path, target)\n"
        "PathFinder.find_spec = find_others\n"
    )
    return str(folder)


@pytest.mark.parametrize(
    ("package", "options", "requirements"),
    [
        ("typer", (), "requirements.txt"),
        ("psutil", (), "requirements.txt"),
        ("aiohttp", (), "requirements.txt"),
        ("uvicorn", (), "requirements.txt"),
        ("tqdm", (), "requirements.txt"),
        ("matplotlib", ("--chart", "c.svg"), "requirements-study.txt"),
    ],
)
def test_missing_package_is_one_line_with_the_command(
    package: str, options: tuple[str, ...], requirements: str, tmp_path: Path
) -> None:
    outcome = compare(tmp_path, *options, PYTHONPATH=hide(package, tmp_path))
    assert outcome.exit_code == 1
    path = ROOT / "benchmarks" / requirements
    command = f"{sys.executable} -m pip install -r {path}"
    assert outcome.one_line == f"Not installed: {package}. Run: {command}"


def test_packages_of_the_server_are_not_needed_to_measure_another(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    outcome = compare(tmp_path, "--url", url, PYTHONPATH=hide("uvicorn", tmp_path))
    assert outcome.one_line == f"No server answers at {url}."


def visible(screen: str) -> str:
    """Return what a terminal shows after all of a program's output: a carriage return starts anew."""
    lines = []
    for line in screen.replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return "\n".join(lines)


@pytest.mark.skipif(os.name != "posix", reason="no pseudo-terminals here")
def test_terminal_shows_the_bar_of_each_run_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    from terminal import run_in_terminal

    slow = Fault(lambda i: http(item(i)), "", delay=0.2)
    with misbehaving(slow, range(1, 5)) as server:
        script = tmp_path / "run.py"
        script.write_text(
            "import runpy, sys\n"
            f"sys.argv = ['compare.py', '--url', {server.url!r}, '-n', '4', '-c', '2']\n"
            "sys.argv += ['--rounds', '1']\n"
            f"sys.path.insert(0, {str(COMPARE.parent)!r})\n"
            f"runpy.run_path({str(COMPARE)!r}, run_name='__main__')\n"
        )
        exit_code, screen = run_in_terminal(script)
    assert exit_code == 0, screen
    *parts, _ = screen.split("round 1 of 1: ")
    assert len(parts) == len(NAMES)
    assert all(re.search(r"\d/4 \[", part) for part in parts)  # the bar, before the run's line
    shown = visible(screen).splitlines()
    assert shown[0].startswith("1 round of async, threads and blocking")
    assert [line.split(",")[0] for line in shown[1:4]] == [
        f"round 1 of 1: {name}" for name in NAMES
    ]
    assert shown[4].split() == " ".join(NAMES).split()


def test_uv_finds_what_the_requirements_name() -> None:
    source = COMPARE.read_text(encoding="utf-8")
    dependencies = set(re.findall(r'^#     "(.+)",$', source.split("# ///")[1], re.MULTILINE))
    files = (ROOT / "requirements.txt", ROOT / "benchmarks" / "requirements.txt")
    lines = {line for path in files for line in path.read_text().splitlines()}
    assert dependencies == lines - {"-r ../requirements.txt"}


def test_help_names_every_option() -> None:
    result = CliRunner().invoke(comparison.app, ["--help"])
    assert result.exit_code == 0
    named = set(re.findall(r"--?[a-z]+(?:-[a-z]+)*(?= )", result.stdout))
    numbers = {"--requests", "-n", "--concurrency", "-c", "--rounds", "--latency-ms", "--workers"}
    assert numbers | {"--url", "--json", "--markdown", "--chart"} <= named
