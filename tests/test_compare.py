"""The comparison: its arithmetic, worked out by hand, and the command that the README gives."""

import argparse
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import compare as comparison
from helpers import (
    DEADLINE,
    ROOT,
    Outcome,
    environment,
    finish,
    free_port,
    start_python,
    uvicorn,
    wait_for,
)
from made_up import made_up
from misbehaving import FAULTS, Fault, http, item, misbehaving

CLIENTS = ("async", "threads", "blocking")
COMPARE = ROOT / "benchmarks" / "compare.py"
SHORT = ("--requests", "20", "--rounds", "1")

# Three rounds in which medians, means, ratios of medians and medians of ratios all differ.
RUNS = [
    made_up("async", 1, 1.0, client_cpu_s=0.9, server_cpu_s=0.5, p50_ms=1.0, p99_ms=11.0),
    made_up("threads", 1, 6.0, p50_ms=3.0, p99_ms=33.0),
    made_up("blocking", 1, 8.0, client_cpu_s=4.0, server_cpu_s=2.0),  # 8 and 1.33 times
    made_up("async", 2, 2.0, client_cpu_s=1.9, server_cpu_s=1.2, p50_ms=2.0, p99_ms=22.0),
    made_up("threads", 2, 5.0, p50_ms=4.0, p99_ms=44.0),
    made_up("blocking", 2, 6.0, client_cpu_s=3.0, server_cpu_s=1.5),  # 3 and 1.2 times
    made_up("async", 3, 6.0, client_cpu_s=5.4, server_cpu_s=3.0, p50_ms=9.0, p99_ms=99.0),
    made_up("threads", 3, 40.0, p50_ms=5.0, p99_ms=55.0),
    made_up("blocking", 3, 24.0, client_cpu_s=12.0, server_cpu_s=6.0),  # 4 and 0.6 times
]


def test_table_worked_out_by_hand() -> None:
    assert comparison.table(RUNS) == [
        "client    elapsed s (min-max)   requests/s  x blocking (min-max)",
        "async     2.00 (1.00-6.00)             500  4.0 (3.0-8.0)         ████",
        "threads   6.00 (5.00-40.00)            167  1.2 (0.6-1.3)         ██████████",
        "blocking  8.00 (6.00-24.00)            125  1.0 (1.0-1.0)         ██████████████",
        "",
        "client     p50 ms    p99 ms  client CPU  server CPU  failed",
        "async        2.00     22.00         90%         50%  0",
        "threads      4.00     44.00         90%         60%  0",
        "blocking     2.00      5.00         50%         25%  0",
    ]


def test_a_client_that_fails_quickly_is_not_fast() -> None:
    runs = [
        made_up("async", 1, 0.5, ok=10, failed={"HTTP 503": 989, "wrong answer": 1}),
        made_up("threads", 1, 1.0, ok=0, failed={"HTTP 503": 1_000}, p50_ms=None, p99_ms=None),
        made_up("blocking", 1, 2.0),
    ]
    lines = comparison.table(runs)
    assert re.search(r" 20  0\.0 \(0\.0-0\.0\)", lines[1])
    assert lines[6].endswith("  990 of 1,000")
    assert re.match(r"threads         -         -  .*  1,000 of 1,000$", lines[7])
    assert comparison.failures(runs) == [
        "  async: 989 × HTTP 503",
        "  async: 1 × wrong answer",
        "  threads: 1,000 × HTTP 503",
    ]


def test_blocking_that_gets_nothing_has_no_ratio() -> None:
    runs = [made_up("async", 1, 1.0), made_up("blocking", 1, 1.0, ok=0, failed={"HTTP 503": 1_000})]
    assert "1,000  -  " in comparison.table(runs)[1]


def test_part_of_a_first_round() -> None:
    assert comparison.table(RUNS[:2])[1].split()[:5] == ["async", "1.00", "(1.00-1.00)", "1,000", "-"]
    assert comparison.measured(RUNS[:2]) == ["async", "threads"]


@pytest.mark.parametrize(
    ("client_cpu", "server_cpu", "latency", "workers", "busy"),
    [
        (0.95, 0.5, 0, 1, False),
        (0.5, 0.95, 0, 1, False),
        (0.6, 0.6, 0, 1, True),
        (0.6, 0.6, 20, 1, False),
        (0.6, 0.6, 0, 2, False),
        (0.6, None, 0, 1, False),
    ],
)
def test_busy_machine(
    client_cpu: float, server_cpu: float | None, latency: float, workers: int, busy: bool
) -> None:
    runs = [made_up("async", 1, 1.0, client_cpu_s=client_cpu, server_cpu_s=server_cpu)]
    assert comparison.was_busy(runs, latency, workers) is busy


def options(**given: object) -> argparse.Namespace:
    """Return options of the command."""
    defaults = {
        "requests": 24_999,
        "rounds": 3,
        "concurrency": 32,
        "latency_ms": 0.0,
        "workers": 1,
        "url": None,
    }
    return argparse.Namespace(**(defaults | given))


def test_description() -> None:
    first, second = comparison.describe(options(workers=2, latency_ms=20.5), 3)
    cpus = f"{os.cpu_count()} CPUs"
    assert first == f"3 rounds, 24,999 requests, 32 in flight, 2 workers, 20.5 ms latency, {cpus}"
    for part in ("Python 3.", "aiohttp ", "requests ", "fastapi ", "uvicorn "):
        assert part in second
    assert max(len(first), len(second)) <= 80
    assert comparison.describe(options(), 2)[0].startswith("2 of 3 rounds, ")
    assert comparison.describe(options(url="http://a"), 3)[0].endswith(f"server at http://a, {cpus}")


def test_json_holds_every_option() -> None:
    given = options(requests=7, rounds=5, concurrency=9, latency_ms=20.0, workers=2)
    written = comparison.result(given, RUNS, 3)
    about = written["environment"]
    assert isinstance(about, dict)
    settings = ("requests", "rounds", "rounds_done", "concurrency", "latency_ms", "workers", "url")
    assert [about[name] for name in settings] == [7, 5, 3, 9, 20.0, 2, None]
    assert {"date", "cpu", "cores", "system", "python", "libraries"} <= set(about)
    assert written["runs"] == RUNS
    of_another = comparison.result(options(url="http://a"), RUNS, 3)["environment"]
    assert isinstance(of_another, dict)
    assert [of_another[name] for name in ("latency_ms", "workers", "url")] == [None, None, "http://a"]


# -- The command ------------------------------------------------------------------------------


def start(folder: Path, *options: str, **env: str) -> subprocess.Popen[str]:
    """Start the command in a folder that is not the project's."""
    return start_python(folder, str(COMPARE), *options, **env)


def compare(folder: Path, *options: str, **env: str) -> Outcome:
    """Run the command to its end."""
    return finish(start(folder, *options, **env), 4 * DEADLINE)


def rows(outcome: Outcome) -> dict[str, list[str]]:
    """Return the fields of the last row of each client."""
    lines = [line.split() for line in outcome.stdout.splitlines()]
    return {fields[0]: fields for fields in lines if fields and fields[0] in CLIENTS}


def test_table_json_and_rotation(tmp_path: Path) -> None:
    outcome = compare(tmp_path, "--requests", "60", "--json", "runs.json", "--concurrency", "3")
    assert outcome.exit_code == 0
    assert all(len(line) <= 80 for line in outcome.stdout.splitlines())
    assert outcome.stdout.count("█" * 14) == 1
    assert set(rows(outcome)) == set(CLIENTS), outcome
    assert "3 rounds, 60 requests, 3 in flight, 1 worker, 0 ms latency" in outcome.stdout
    assert len(outcome.stderr.splitlines()) == 9
    assert outcome.stderr.startswith("Round 1 of 3: async, 60 of 60 ok in ")

    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert [run["case"] for run in runs] == [
        *("async", "threads", "blocking"),
        *("threads", "blocking", "async"),
        *("blocking", "async", "threads"),
    ]
    assert [run["round"] for run in runs] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    for run in runs:
        assert (run["requests"], run["ok"], run["failed"]) == (60, 60, {})
        assert 0 < run["elapsed_s"] < run["process_s"] < DEADLINE
        assert 0 < run["p50_ms"] <= run["p99_ms"]
        assert 0 < run["client_cpu_s"] <= run["process_s"] * 8
        assert run["server_cpu_s"] >= 0
        assert 0 < run["in_flight"] <= 3
        assert 10 < run["peak_mib"] < 200


@pytest.mark.parametrize(
    "options",
    [
        ("--requests", "0"),
        ("--requests", "1e3"),
        ("--requests", "9" * 5_000),
        ("--rounds", "-1"),
        ("--rounds",),
        ("--concurrency", "0"),
        ("--workers", "two"),
        ("--latency-ms", "nan"),
        ("--latency-ms", "-5"),
        ("--json", "no/such/folder/runs.json"),
        ("--json", "/proc/version"),
        ("--chart", "chart.gif"),
        ("--chart", "no/such/folder/chart.svg"),
        ("--url", "http://127.0.0.1:8000", "--workers", "2"),
        ("--url", "http://127.0.0.1:8000", "--latency-ms", "0"),
        ("--speed", "9"),
        ("24999",),
    ],
    ids=lambda options: " ".join(options)[:40],
)
def test_wrong_option(options: tuple[str, ...], tmp_path: Path) -> None:
    outcome = compare(tmp_path, *options)
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    (line,) = outcome.stderr.splitlines()
    assert options[0] in line
    assert not [*tmp_path.iterdir()]


def test_help(tmp_path: Path) -> None:
    outcome = compare(tmp_path, "--help")
    assert outcome.exit_code == 0
    for option in ("requests", "rounds", "concurrency", "latency-ms", "workers", "url", "json", "chart"):
        assert outcome.stdout.count(f"  --{option} ") == 1


@pytest.mark.parametrize("package", ["psutil", "matplotlib", "httpx", "aiohttp"])
@pytest.mark.parametrize("program", ["compare.py", "study.py"])
def test_missing_package(program: str, package: str, tmp_path: Path) -> None:
    path = ROOT / "benchmarks" / program
    hide = (
        "import importlib.util, runpy, sys;"
        "find = importlib.util.find_spec;"
        f"importlib.util.find_spec = lambda name: None if name == {package!r} else find(name);"
        f"sys.argv = [{program!r}];"
        f"sys.path.insert(0, {str(path.parent)!r});"
        f"runpy.run_path({str(path)!r}, run_name='__main__')"
    )
    outcome = finish(start_python(tmp_path, "-c", hide))
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr == f"Missing: {package}. Run: pip install -r benchmarks/requirements.txt\n"


def test_port_8000_in_use(tmp_path: Path) -> None:
    try:
        occupied = misbehaving(FAULTS["wrong id"], range(1_000), port=8000)
        with occupied as stranger:
            outcome = compare(tmp_path, *SHORT)
            assert not stranger.heads
    except OSError:  # somebody else uses it: as good
        outcome = compare(tmp_path, *SHORT)
    assert outcome.exit_code == 0


def test_latency_and_workers(tmp_path: Path) -> None:
    given = ("--requests", "64", "--rounds", "1", "--latency-ms", "20", "--workers", "2")
    outcome = compare(tmp_path, *given, "--json", "runs.json")
    assert outcome.exit_code == 0
    assert "2 workers, 20 ms latency" in outcome.stdout
    result = json.loads((tmp_path / "runs.json").read_text())
    elapsed = {run["case"]: run["elapsed_s"] for run in result["runs"]}
    assert elapsed["blocking"] >= 64 * 0.02
    assert all(elapsed[client] >= 64 / 32 * 0.02 for client in ("async", "threads"))


def test_failures_are_shown_and_kept(tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [3, 4]) as server:
        given = ("--url", f"{server.url}/", "--requests", "20", "--rounds", "2")
        outcome = compare(tmp_path, *given, "--json", "runs.json")
    assert outcome.exit_code == 1
    assert [row[-3:] for row in rows(outcome).values()] == [["4", "of", "40"]] * 3
    assert outcome.stdout.splitlines()[-3:] == [f"  {client}: 4 × HTTP 503" for client in CLIENTS]
    assert server.url in outcome.stdout
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert [(run["ok"], run["failed"]) for run in runs] == [(18, {"HTTP 503": 2})] * 6
    assert {run["server_cpu_s"] for run in runs} == {None}


def test_no_server_at_the_url(tmp_path: Path) -> None:
    for url in (f"http://127.0.0.1:{free_port()}", "http://a..b", "gopher://a", "127.0.0.1"):
        outcome = compare(tmp_path, "--url", url)
        assert outcome.exit_code == 1
        (line,) = outcome.stderr.splitlines()
        assert url in line


def test_another_server_at_the_url(tmp_path: Path) -> None:
    with misbehaving(FAULTS["404"], spoil_probe=True) as server:
        outcome = compare(tmp_path, "--url", server.url, *SHORT)
    assert outcome.exit_code == 1
    (line,) = outcome.stderr.splitlines()
    assert "answers, but not as this project's server: HTTP 404" in line


def test_chart(tmp_path: Path) -> None:
    for name, beginning in (("chart.svg", b"<?xml"), ("chart.png", b"\x89PNG")):
        assert compare(tmp_path, *SHORT, "--chart", name).exit_code == 0
        assert (tmp_path / name).read_bytes().startswith(beginning)


# -- Copies of the project whose server or client is edited, as its users edit them -------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the comparison needs."""
    (tmp_path / "benchmarks").mkdir()
    for name in ("main.py", "test_async.py", "test_thread.py", "test_blocking.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in ("compare.py", "harness.py", "charts.py"):
        (tmp_path / "benchmarks" / name).write_bytes((ROOT / "benchmarks" / name).read_bytes())
    return tmp_path


def compare_in(project: Path, *options: str, **env: str) -> Outcome:
    """Run the command of a copy."""
    return finish(start_python(project, "benchmarks/compare.py", *options, **env), 4 * DEADLINE)


def append(path: Path, text: str) -> None:
    """Add lines to a file."""
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_server_that_prints_much(project: Path) -> None:
    append(project / "main.py", "\nprint('x' * 300_000, flush=True)\nprint('y' * 300_000, file=sys.stderr)\n")
    assert compare_in(project, *SHORT).exit_code == 0


def test_server_that_does_not_start(project: Path) -> None:
    append(project / "main.py", "\nsys.exit('no database')\n")
    outcome = compare_in(project, *SHORT)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.splitlines() == ["The server did not start.", "no database"]


def test_server_that_never_comes_up(project: Path) -> None:
    append(
        project / "main.py",
        "\nfrom contextlib import asynccontextmanager\n\n"
        "@asynccontextmanager\nasync def lifespan(_):\n    await asyncio.sleep(1e6)\n    yield\n\n"
        "app.router.lifespan_context = lifespan\n",
    )
    harness = project / "benchmarks" / "harness.py"
    harness.write_text(harness.read_text().replace("START_TIMEOUT = 30", "START_TIMEOUT = 3"))
    outcome = compare_in(project, *SHORT)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("The server did not start.\n")


def test_settings_of_the_environment_are_not_the_server_s(tmp_path: Path) -> None:
    assert (
        compare(tmp_path, *SHORT, UVICORN_LOG_LEVEL="warning", UVICORN_LIMIT_CONCURRENCY="2").exit_code == 0
    )


def test_client_that_prints_more_than_its_report(project: Path) -> None:
    client = project / "test_async.py"
    source = client.read_text(encoding="utf-8").replace(
        "    return tally.report()\n\n\nif",
        '    code = tally.report()\n    print("done!")\n    return code\n\n\nif',
    )
    client.write_text(source.replace("import json\n", 'import json\nprint("hello")\n'), encoding="utf-8")
    outcome = compare_in(project, *SHORT)
    assert outcome.exit_code == 0
    assert set(rows(outcome)) == set(CLIENTS)


def test_client_that_dies_in_a_later_round(project: Path) -> None:
    client = project / "test_thread.py"
    flag = project / "seen"
    source = client.read_text(encoding="utf-8").replace(
        "def main() -> int:\n",
        "def main() -> int:\n"
        f"    seen = open({str(flag)!r}, 'a+')\n    seen.write('x')\n    seen.flush()\n    seen.seek(0)\n"
        "    if len(seen.read()) == 2:\n        os._exit(7)\n",
    )
    client.write_text(source, encoding="utf-8")
    outcome = compare_in(project, "--requests", "20", "--json", "runs.json")
    assert outcome.exit_code == 1
    assert "test_thread ended without a report, exit code 7" in outcome.stderr.splitlines()[-1]
    assert set(rows(outcome)) == set(CLIENTS)
    assert "1 of 3 rounds" in outcome.stdout
    result = json.loads((project / "runs.json").read_text())
    assert len(result["runs"]) == 3
    assert (result["environment"]["rounds"], result["environment"]["rounds_done"]) == (3, 1)


def test_server_that_dies_in_a_later_round(tmp_path: Path) -> None:
    process = start(tmp_path, "--requests", "400", "--rounds", "1000", "--json", "runs.json")
    command = psutil.Process(process.pid)
    wait_for(lambda: clients_seen(command) >= 5, "the second round")
    server = next(child for child in command.children() if "uvicorn" in child.cmdline())
    server.kill()
    outcome = finish(process)
    assert outcome.exit_code == 1
    assert "Traceback" not in outcome.stderr
    assert set(rows(outcome)) == set(CLIENTS)
    assert re.search(r"\d of 1000 rounds", outcome.stdout)
    assert len(json.loads((tmp_path / "runs.json").read_text())["runs"]) % 3 == 0


def test_server_out_of_open_files(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no such limits here")
    assert resource
    (tmp_path / "limited.py").write_text(
        "import harness, resource, runpy, subprocess, sys\n"
        "popen = subprocess.Popen\n"
        "def limited(command, **more):\n"
        "    if '-m' in command:\n"
        "        more['preexec_fn'] = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
        "        command = [*command, '--loop', 'asyncio']  # uvloop says nothing of it\n"
        "    return popen(command, **more)\n"
        "harness.subprocess.Popen = limited\n"
        f"sys.argv[0] = {str(COMPARE)!r}\n"
        f"runpy.run_path({str(COMPARE)!r}, run_name='__main__')\n"
    )
    given = ("--requests", "300", "--rounds", "1", "--concurrency", "100", "--latency-ms", "50")
    process = start_python(tmp_path, "limited.py", *given, PYTHONPATH=str(COMPARE.parent))
    outcome = finish(process, 4 * DEADLINE)
    assert "The server ran out of open files: raise its limit with ulimit -n." in (
        outcome.stdout + outcome.stderr
    )


# -- Leaving --------------------------------------------------------------------------------------


SEEN: dict[int, set[int]] = {}


def is_client(process: psutil.Process) -> bool:
    """Say whether this is the process of a client."""
    try:
        return "harness.py" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def clients_seen(command: psutil.Process) -> int:
    """Return how many clients the command has started, as far as it was looked."""
    seen = SEEN.setdefault(command.pid, set())
    seen.update(child.pid for child in command.children() if is_client(child))
    return len(seen)


def interrupt(command: psutil.Process) -> None:
    """Press Ctrl-C."""
    command.send_signal(signal.SIGINT)


def terminate(command: psutil.Process) -> None:
    """Ask to end."""
    command.send_signal(signal.SIGTERM)


def hang_up(command: psutil.Process) -> None:
    """Close the terminal window."""
    command.send_signal(signal.SIGHUP)


def kill_the_client(command: psutil.Process) -> None:
    """Let a client die."""
    next(child for child in command.children() if is_client(child)).kill()


@pytest.mark.parametrize(
    ("end", "exit_code"), [(interrupt, 130), (terminate, 143), (hang_up, 129), (kill_the_client, 1)]
)
def test_no_process_is_left(end: Callable[[psutil.Process], None], exit_code: int, tmp_path: Path) -> None:
    process = start(tmp_path, "--requests", "1000000", "--workers", "2")
    command = psutil.Process(process.pid)
    wait_for(lambda: clients_seen(command), "the first client")
    family = command.children(recursive=True)
    assert len(family) >= 4
    end(command)
    outcome = finish(process, 2 * DEADLINE)
    assert outcome.exit_code == exit_code
    assert "Traceback" not in outcome.stderr
    _, alive = psutil.wait_procs(family, DEADLINE)
    assert not alive


def test_ctrl_c_shows_the_rounds_that_are_over(tmp_path: Path) -> None:
    process = start(tmp_path, "--requests", "300", "--rounds", "1000", "--json", "runs.json")
    command = psutil.Process(process.pid)
    wait_for(lambda: clients_seen(command) >= 5, "the first round")
    interrupt(command)
    outcome = finish(process)
    assert outcome.exit_code == 130
    assert set(rows(outcome)) == set(CLIENTS)
    assert re.search(r"\d+ of 1000 rounds, ", outcome.stdout)
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert runs
    assert len(runs) % 3 == 0


def test_ctrl_c_in_the_first_round_shows_what_is_finished(tmp_path: Path) -> None:
    with misbehaving(Fault(lambda i: http(item(i)), "", delay=0.02), range(1, 10_000)) as server:
        given = ("--url", server.url, "--requests", "300", "--json", "runs.json")
        process = start(tmp_path, *given)
        command = psutil.Process(process.pid)
        wait_for(lambda: clients_seen(command) >= 2, "the second client")
        interrupt(command)
        outcome = finish(process)
    assert outcome.exit_code == 130
    assert set(rows(outcome)) == {"async"}
    assert "0 of 3 rounds, " in outcome.stdout
    assert len(json.loads((tmp_path / "runs.json").read_text())["runs"]) == 1


@pytest.mark.parametrize("delay", [0, 0.05, 0.2, 0.5, 1.0, 1.5, 2.0])
def test_ctrl_c_held_down(delay: float, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(COMPARE), "--requests", "200"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    # As soon as Python runs the program itself: before, Ctrl-C is Python's own to answer.
    begun, command = time.monotonic(), psutil.Process(process.pid)
    wait_for(lambda: is_past_its_first_lines(command, begun), "the program to begin")
    time.sleep(delay)  # any moment will do
    for _ in range(30):
        with_group(process.pid, signal.SIGINT)
        time.sleep(0.01)
    outcome = finish(process)
    assert outcome.exit_code == 130
    assert "Traceback" not in outcome.stderr


def with_group(pid: int, number: int) -> None:
    """Send a signal to a process group that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def is_past_its_first_lines(process: psutil.Process, started: float) -> bool:
    """Say whether a program has begun to import; on a Python that shows nothing of it, wait."""
    try:
        loaded = any("_json" in m.path or "_socket" in m.path for m in process.memory_maps())
    except psutil.Error:
        return True
    return loaded or time.monotonic() > started + 3


def test_ctrl_c_while_it_waits_for_the_url(tmp_path: Path) -> None:
    with misbehaving(FAULTS["never answering"], spoil_probe=True) as server:
        process = start(tmp_path, "--url", server.url)
        wait_for(lambda: server.heads, "the request")
        for _ in range(30):
            process.send_signal(signal.SIGINT) if process.poll() is None else None
        outcome = finish(process)
    assert outcome.exit_code == 130
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "| true"])
def test_stdout_that_takes_nothing(redirection: str, tmp_path: Path) -> None:
    line = shlex.join([sys.executable, str(COMPARE), *SHORT, "--json", "runs.json"])
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line} {redirection}"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "elapsed s (min-max)" in ended.stderr
    assert json.loads((tmp_path / "runs.json").read_text())["runs"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_encoding_without_the_signs(encoding: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [3]) as server:
        command = [sys.executable, str(COMPARE), *SHORT, "--url", server.url]
        env = environment(PYTHONUTF8="0", PYTHONIOENCODING=encoding)
        ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=DEADLINE)
    text = ended.stdout.decode(encoding)
    assert "#" * 14 in text
    assert "  async: 1 x HTTP 503" in text


def test_server_of_ones_own(tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", "--no-access-log") as server:
        outcome = compare(tmp_path, "--url", server.url, *SHORT)
    assert outcome.exit_code == 0
    assert all(row[4] == "-" for row in rows(outcome).values())
