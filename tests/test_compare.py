"""The comparison: its arithmetic, worked out by hand, and the command itself."""

import doctest
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

import compare
from compare import Comparison, Settings
from harness.environment import describe_environment
from harness.runs import Case, Run, ServerSettings
from helpers import DEADLINE, ROOT, Outcome, Server, finish, free_port, posix_only, start_python
from helpers import environment as child_environment
from made_up import ENVIRONMENT, made_up_run
from misbehaving import FAULTS, RIGHT, misbehaving, serve

COMPARE = ROOT / "benchmarks" / "compare.py"
NAMES = ["async (aiohttp)", "threads (requests)", "blocking (requests)"]

# -- What the runs say --------------------------------------------------------------------------

USUAL = Settings(requests=None, concurrency=32, rounds=3, latencies_ms=[0], url=None)


def case(name: str, latency_ms: int = 0) -> Case:
    """Return a case as the command makes it."""
    label = f", {latency_ms} ms"
    server = ServerSettings(latency_ms=latency_ms)
    return Case(name + label, "", "", "", 0, server=server, base=NAMES[-1] + label)


CASES = [case(name) for name in NAMES]

# Three rounds in which medians and means differ, and medians of ratios from ratios of medians:
# async 5 (not 8 / 2), threads 1.2 (not 8 / 6).
RUNS = [
    made_up_run(CASES[place].name, number, seconds, client_cpu_s=cpu * seconds)
    for number, place, seconds, cpu in [
        *((1, 0, 1.0, 0.9), (1, 1, 6.0, 1.1), (1, 2, 8.0, 0.5)),  # 8 and 1.33 times
        *((2, 0, 2.0, 0.7), (2, 1, 5.0, 1.1), (2, 2, 6.0, 0.5)),  # 3 and 1.2 times
        *((3, 0, 4.0, 0.8), (3, 1, 40.0, 1.1), (3, 2, 20.0, 0.5)),  # 5 and 0.5 times
    ]
]


def comparison(runs: list[Run] = RUNS, **given: Any) -> Comparison:
    """Return a comparison of the three scripts with one server."""
    return Comparison(replace(USUAL, **given), ENVIRONMENT, [CASES], runs)


def test_text_worked_out_by_hand() -> None:
    lines = compare.text(comparison()).splitlines()
    assert lines[:6] == [
        "A server that answers immediately:",
        "                                 requests    times as fast 24,999 client server",
        "                                    per s      as blocking   take    CPU    CPU",
        "async (aiohttp)     ############      500 5.00 (3.00-8.00)   50 s    80%    60%",
        "threads (requests)  ####              167 1.20 (0.50-1.33)  2 min   110%    60%",
        "blocking (requests) ###               125             1.00  3 min    50%    60%",
    ]
    text = "\n".join(lines[6:])
    assert "Medians of 3 rounds, 32 requests in flight or one after another, 2 cores\n" in text
    assert "\nPython 3.11.7, aiohttp 3.14.5, uvicorn 0.54.0\n" in text
    # A full stop ends the sentence, and the range is left to the table.
    assert " ".join(text.split("\n\n")[-1].split()).startswith(
        "With a server that answers immediately, async (aiohttp) is 5.00 times, threads (requests) "
        "is 1.20 times as fast as blocking (requests)."
    )


def test_text_fits_a_terminal() -> None:
    """Async is 31.4 times as fast, which is as long as a ratio gets."""
    seconds = (0.0812, 0.1018, 2.51, 0.0784, 0.2003, 2.52)
    runs = [made_up_run(CASES[n % 3].name, n // 3 + 1, s) for n, s in enumerate(seconds)]
    libraries = ["aiohttp", "requests", "fastapi", "uvicorn"]
    text = compare.text(replace(comparison(runs), environment=describe_environment(libraries)))
    assert "31.5 (30.9-32.1)" in text
    assert text.isascii()
    assert [line for line in text.splitlines() if len(line) > 80] == []


def with_failures(name: str) -> list[Run]:
    """Return runs of which one request of a script failed, in one round."""
    failing = (name, 2)
    return [
        replace(run, ok=999, failures={"HTTP 503": 1}) if (run.case, run.round) == failing else run
        for run in RUNS
    ]


def test_no_ratio_where_requests_failed() -> None:
    text = compare.text(comparison(with_failures(CASES[0].name)))
    assert re.search(r"async \(aiohttp\) +#+ +[\d.,]+ +- ", text)
    assert "1.20 (0.50-1.33)" in text
    assert "\nasync (aiohttp), 0 ms: 1 x HTTP 503\n" in text
    assert "immediately, threads (requests) is 1.20 times as fast" in " ".join(text.split())


def test_no_ratio_at_all_where_requests_of_the_base_failed() -> None:
    failed = comparison(with_failures(CASES[2].name))
    text = compare.text(failed)
    assert "With a server that answers immediately, there is nothing to compare." in text
    assert "(0.50-1.33)" not in text
    content = json.loads(compare.json_text(failed), parse_constant=pytest.fail)  # no NaN
    assert [client["times_as_fast"] for client in content["summary"]] == [None] * 3


def test_script_without_a_right_answer_has_an_empty_bar() -> None:
    runs = [replace(RUNS[0], ok=0, failures={"HTTP 503": 1_000}, p50_ms=None), *RUNS[1:3]]
    line = compare.lines_of(CASES, runs).splitlines()[2]
    assert line.split() == ["async", "(aiohttp)", "0.000", "-", "-", "90%", "60%"]


@pytest.mark.parametrize(
    ("given", "runs", "start"),
    [
        ({"rounds": 9}, RUNS, "Medians of 3 of 9 rounds, 32 requests in flight"),
        ({"requests": 7}, RUNS, "Medians of 3 rounds, 7 requests in flight"),
        ({"requests": 99}, RUNS, "Medians of 3 rounds, 32 requests in flight"),
        ({"rounds": 1, "concurrency": 1}, RUNS[:3], "Medians of 1 round, 1 request in flight"),
    ],
)
def test_conditions(given: dict[str, Any], runs: list[Run], start: str) -> None:
    assert compare.conditions(comparison(runs, **given))[0].startswith(start)


def test_durations_and_bars() -> None:
    assert [compare.duration(seconds) for seconds in (9.94, 10, 99.4, 100)] == [
        *("9.9 s", "10 s", "99 s", "2 min")
    ]
    assert compare.bar(0, 10) == " " * compare.BAR
    assert compare.bar(0.001, 10) == "#" + " " * (compare.BAR - 1)
    assert compare.bar(10, 10) == "#" * compare.BAR
    assert doctest.testmod(compare) == (0, 2)


def test_json_worked_out_by_hand() -> None:
    content = json.loads(compare.json_text(comparison()))
    assert [*content] == ["settings", "environment", "summary", "runs"]
    assert content["settings"] == asdict(USUAL)
    assert content["environment"] == ENVIRONMENT
    assert content["summary"][0] == {
        "client": NAMES[0],
        "latency_ms": 0,
        "requests_per_s": {"median": 500, "low": 250, "high": 1_000},
        "times_as_fast": {"median": 5, "low": 3, "high": 8},
    }
    run = content["runs"][4]  # the second one of the second round
    expected = {"client": NAMES[1], "latency_ms": 0, "round": 2, "requests": 1_000, "ok": 1_000}
    expected |= {"failures": {}, "elapsed_s": 5, "client_cpu_s": 5.5, "server_cpu_s": 3}
    expected |= {"p50_ms": 2, "p99_ms": 5, "max_ms": 9}
    assert {name: run[name] for name in expected} == expected


# -- The command --------------------------------------------------------------------------------


def run_compare(folder: Path, *options: str, **env: str) -> Outcome:
    """Run the command to its end, in a folder that is not the project's."""
    return finish(start_python(folder, str(COMPARE), *options, **env), 4 * DEADLINE)


def run_lines(stderr: str) -> list[str]:
    """Return of each line on a run what stands before its time."""
    found = [re.fullmatch(r"(.*) ok in \d+\.\d\d s", line) for line in stderr.splitlines()]
    assert all(found), stderr
    return [match[1] for match in found if match]


def test_two_servers_and_three_scripts_in_turn(tmp_path: Path) -> None:
    options = ("-n", "8", "-c", "4", "--rounds", "2", "--json", "runs.json")
    outcome = run_compare(tmp_path, *options)
    assert outcome.exit_code == 0, outcome
    first = [f"{name}, {latency_ms} ms" for latency_ms in (0, 100) for name in NAMES]
    assert run_lines(outcome.stderr) == [
        *(f"round 1 of 2: {name}, 8 of 8" for name in first),
        *(f"round 2 of 2: {name}, 8 of 8" for name in (*first[1:], first[0])),
    ]
    lines = outcome.stdout.splitlines()
    assert outcome.stdout.isascii()
    assert "A server that answers immediately:" in lines
    assert "A server that takes 100 ms:" in lines
    assert [line[:19].strip() for line in lines if "#" in line] == NAMES * 2
    assert "With a server that takes 100 ms, async (aiohttp) is " in outcome.stdout

    content = json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))
    assert {*content["environment"]["libraries"]} == {"aiohttp", "requests", "fastapi", "uvicorn"}
    ratios = [client["times_as_fast"]["median"] for client in content["summary"]]
    assert [ratio == 1 for ratio in ratios] == [False, False, True] * 2  # the last is the base
    runs = content["runs"]
    assert [f"{run['client']}, {run['latency_ms']} ms" for run in runs[:6]] == first
    assert [run["round"] for run in runs] == [1] * 6 + [2] * 6
    for run in runs:
        in_flight = 1 if run["client"] == NAMES[2] else 4
        assert (run["requests"], run["ok"], run["failures"]) == (8, 8, {})
        assert run["elapsed_s"] >= 8 / in_flight * run["latency_ms"] / 1_000
        assert run["latency_ms"] == 0 or in_flight / 2 < run["in_flight"] <= in_flight
        assert run["latency_ms"] <= run["p50_ms"] <= run["p99_ms"] <= run["max_ms"]
        assert run["client_cpu_s"] > 0 and run["server_cpu_s"] >= 0


def copy_of(script: str, folder: Path, **edits: str) -> str:
    """Copy a script to a file of another name, and edit it; return the path."""
    source = (ROOT / script).read_text(encoding="utf-8")
    for name, value in edits.items():
        source, count = re.subn(rf"^{name} = .*", f"{name} = {value}", source, flags=re.MULTILINE)
        assert count == 1
    path = folder / f"mine_{script}"
    path.write_text(source, encoding="utf-8")
    return str(path)


def test_scripts_of_ones_own_and_a_server_of_somebody_else(tmp_path: Path) -> None:
    """Its root sends a head and never a body, and an item takes 50 ms."""
    slow = replace(RIGHT, delay=0.05)
    mine = copy_of("test_blocking.py", tmp_path, NAME="'blocking (mine)'")
    scripts = [mine, str(ROOT / "test_async.py"), "processes.py"]
    (tmp_path / "processes.py").write_bytes(
        (ROOT / "benchmarks" / "forms" / "processes.py").read_bytes()
    )
    names = ["blocking (mine)", NAMES[0], "processes, threads (requests)"]
    with serve(lambda item_id: slow if item_id > 0 else FAULTS["never finishing"]) as server:
        options = ("--url", server.url, "-c", "4", "--rounds", "1", "--json", "runs.json")
        command = [*options, *scripts]
        one_core = (
            "import os, runpy, sys\n"
            "if hasattr(os, 'sched_setaffinity'):\n"
            "    os.sched_setaffinity(0, [*os.sched_getaffinity(0)][:1])\n"
            f"sys.argv[0] = {str(COMPARE)!r}\n"
            f"sys.path[0] = {str(COMPARE.parent)!r}\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        )
        outcome = finish(start_python(tmp_path, "-c", one_core, *command), 4 * DEADLINE)
    assert outcome.exit_code == 0, outcome
    content = json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))
    sent = {run["client"]: run["requests"] for run in content["runs"]}
    assert run_lines(outcome.stderr) == [
        *(
            f"to find how many requests take a second: {name}, {n} of {n}"
            for name, n in zip(names, (10, 40, 40), strict=True)
        ),
        *(f"round 1 of 1: {name}, {sent[name]:,} of {sent[name]:,}" for name in names),
    ]
    # Blocking sends at most 20 requests/s, which ten requests measure.
    took = re.search(r"mine\), 10 of 10 ok in ([\d.]+) s", outcome.stderr)
    assert took and abs(sent["blocking (mine)"] - max(10, 10 / float(took[1]))) <= 1
    assert all(40 <= sent[name] <= 80 for name in names[1:])
    assert {run["latency_ms"] for run in content["runs"]} == {None}
    assert {run["server_cpu_s"] for run in content["runs"]} == {None}
    assert content["settings"]["latencies_ms"] is None
    assert {*content["environment"]["libraries"]} == {"aiohttp", "requests"}
    assert f"A server at {server.url}:" in outcome.stdout
    lines = [line for line in outcome.stdout.splitlines() if "#" in line]
    assert [line.split()[-1] for line in lines] == ["-"] * 3
    assert [line.partition(" #")[0].strip() for line in lines] == names
    assert " times as fast as processes, threads (requests)." in " ".join(outcome.stdout.split())
    assert not hasattr(os, "sched_setaffinity") or ", 1 core\n" in outcome.stdout


def test_failures_are_named_and_no_success_though_stderr_is_closed(tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [2]) as server:
        command = [sys.executable, str(COMPARE), "--url", server.url, "-n", "3", "--rounds", "1"]
        closing = "import os, sys; os.close(2); os.execv(sys.argv[1], sys.argv[1:])"
        outcome = finish(start_python(tmp_path, "-c", closing, *command))
    assert outcome.exit_code == 1, outcome
    assert ", 3 requests in flight or one after another, " in outcome.stdout
    for name in NAMES:
        assert f"{name}: 1 x HTTP 503\n" in outcome.stdout
    assert "there is nothing to compare." in outcome.stdout


@pytest.mark.parametrize("broken", ["stdout", "stderr"])
def test_a_pipe_that_nobody_reads_costs_no_result(
    broken: str, server: Server, tmp_path: Path
) -> None:
    options = ["--url", server.url, "-n", "1", "--rounds", "1", "--json", "runs.json"]
    reading, writing = os.pipe()
    os.close(reading)
    streams: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    ended = subprocess.run(
        [sys.executable, str(COMPARE), *options, str(ROOT / "test_blocking.py")],
        cwd=tmp_path,
        env=child_environment(PYTHONUNBUFFERED="1"),
        timeout=DEADLINE,
        check=False,
        **(streams | {broken: writing}),  # type: ignore[call-overload]
    )
    os.close(writing)
    assert len(json.loads((tmp_path / "runs.json").read_text())["runs"]) == 1
    if broken == "stderr":
        assert b"A server at " in ended.stdout
    else:
        assert ended.returncode != 0


def read_until(process: subprocess.Popen[str], start: str) -> list[str]:
    """Return the lines that a program logs, up to one that starts so."""
    assert process.stderr
    lines = [process.stderr.readline()]
    while not lines[-1].startswith(start):
        assert process.poll() is None and lines[-1], lines
        lines.append(process.stderr.readline())
    return lines


@posix_only
def test_ctrl_c_keeps_whole_rounds(tmp_path: Path) -> None:
    options = ("-n", "5", "--rounds", "100", "--latency-ms", "20", "--json", "runs.json")
    scripts = (str(ROOT / "test_async.py"), str(ROOT / "test_blocking.py"))
    process = start_python(tmp_path, str(COMPARE), *options, *scripts)
    lines = read_until(process, "round 2 of 100: ")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert outcome.exit_code == 130
    whole_rounds = len(lines + outcome.stderr.splitlines()) // 2
    assert f"\nMedians of {whole_rounds} of 100 rounds, 5 requests in flight" in outcome.stdout
    assert "A server that takes 20 ms:" in outcome.stdout
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert [run["round"] for run in runs] == [1 + n // 2 for n in range(2 * whole_rounds)]
    assert children and not psutil.wait_procs(children, timeout=DEADLINE)[1]


@posix_only
def test_signals_that_are_ignored_at_the_start_stay_ignored(server: Server, tmp_path: Path) -> None:
    """As nohup and a shell's `&` make it."""
    ignoring = (
        "import os, signal, sys\n"
        "for name in (signal.SIGINT, signal.SIGHUP): signal.signal(name, signal.SIG_IGN)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    command = [sys.executable, str(COMPARE), "--url", server.url, "-n", "5", "--rounds", "3"]
    blocking = str(ROOT / "test_blocking.py")
    process = start_python(tmp_path, "-c", ignoring, *command, blocking)
    read_until(process, "round 1 of 3: ")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert outcome.exit_code == 0
    assert "Medians of 3 rounds, " in outcome.stdout


@posix_only
def test_server_that_is_killed_is_one_line(tmp_path: Path) -> None:
    options = ("-n", "3", "--latency-ms", "1000", "--rounds", "1")
    process = start_python(tmp_path, str(COMPARE), *options, str(ROOT / "test_blocking.py"))
    program = psutil.Process(process.pid)
    while len(program.children()) < 2:  # the server, and then the client
        assert process.poll() is None
    (running,) = (child for child in program.children() if "server" in child.cmdline())
    running.kill()
    outcome = finish(process)
    assert (outcome.exit_code, outcome.one_line) == (1, "The server ended with exit code -9.")


def test_nothing_at_the_url_is_one_line(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    outcome = run_compare(tmp_path, "--url", url)
    assert (outcome.exit_code, outcome.one_line) == (1, f"No server answers at {url} within 10 s.")


# -- Options ------------------------------------------------------------------------------------


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a measurement starts; forget what a script changes."""
    monkeypatch.setattr(compare, "stop_on_signals", lambda: None)
    monkeypatch.setattr(compare, "start_or_find_servers", pytest.fail)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "test_blocking", sys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["no_such_file.py"], "does not exist"),
        (["."], "is a directory"),
        (["notes.txt"], "is not a Python file"),
        (["shapeless.py"], "has no TIMEOUT, urls, Tally, fetch_all"),
        (["twin.py", "test_blocking.py"], "have the same NAME: blocking (requests), blocking (req"),
        (["--url", "http://127.0.0.1:9", "--latency-ms", "0"], "exclude each other"),
        (["--json", "no_such_folder/runs.json"], "No such file or directory"),
        (["--json", "."], "Is a directory"),
        (["-n", "0"], "greater than or equal to 1"),
        (["-c", "0"], "greater than or equal to 1"),
        (["--rounds", "0"], "greater than or equal to 1"),
        (["--latency-ms", "-1"], "greater than or equal to 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options(
    options: list[str],
    message: str,
    nothing_runs: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("some text")
    (tmp_path / "shapeless.py").write_text("NAME = BASE_URL = ''")
    for name in ("twin.py", "test_blocking.py"):
        (tmp_path / name).write_bytes((ROOT / "test_blocking.py").read_bytes())
    result = CliRunner().invoke(compare.app, options)
    assert result.exit_code == 2, result
    assert message in re.sub(r"[│\s]+", " ", result.stderr)


def test_file_is_tried_without_a_change(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text("old")
    assert compare.writable(tmp_path / "runs.json")
    assert (tmp_path / "runs.json").read_text() == "old"


def test_help_names_every_option() -> None:
    result = CliRunner().invoke(compare.app, ["-h"])
    assert result.exit_code == 0
    named = set(re.findall(r"--?[a-z]+(?:-[a-z]+)*(?= )", result.stdout))
    assert named >= {"--requests", "-n", "--concurrency", "-c", "--rounds", "--latency-ms"}
    assert named >= {"--url", "--json", "-h"}


def test_uv_finds_what_the_requirements_name() -> None:
    source = COMPARE.read_text(encoding="utf-8")
    dependencies = set(re.findall(r'^#     "(.+)",$', source.split("# ///")[1], re.MULTILINE))
    files = (ROOT / "requirements.txt", ROOT / "benchmarks" / "requirements.txt")
    lines = {line for path in files for line in path.read_text().splitlines()}
    assert dependencies == lines - {"-r ../requirements.txt"}
