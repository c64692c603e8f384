"""The comparison, run as the command that the README gives."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from helpers import (
    CLIENTS,
    DEADLINE,
    ROOT,
    Outcome,
    finish,
    free_port,
    start_python,
    wait_for,
)
from misbehaving import FAULTS, misbehaving

COMPARE = ROOT / "benchmarks" / "compare.py"


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start the command in a folder that is not the project's."""
    return start_python(folder, str(COMPARE), *options)


def compare(folder: Path, *options: str) -> Outcome:
    """Run the command to its end."""
    return finish(start(folder, *options), 3 * DEADLINE)


def rows(outcome: Outcome) -> dict[str, list[str]]:
    """Return the fields of each row of the table."""
    lines = [line.split() for line in outcome.stdout.splitlines()]
    return {fields[0]: fields for fields in lines if fields[0] in CLIENTS}


def test_table_json_and_rotation(tmp_path: Path) -> None:
    outcome = compare(tmp_path, "--requests", "60", "--json", "runs.json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    header, *table, description = outcome.stdout.splitlines()
    assert header.split()[0] == "client"
    assert len(table) == 3
    assert all(len(line) <= 100 for line in (header, *table))
    assert any(line.endswith("█" * 14) for line in table)
    assert rows(outcome)["blocking"][4] == "1.0"
    assert [row[8] for row in rows(outcome).values()] == ["0", "0", "0"]
    for part in ("Python 3.", "aiohttp ", "requests ", "fastapi ", "uvicorn ", " CPUs", " latency"):
        assert part in description

    result = json.loads((tmp_path / "runs.json").read_text())
    assert result["environment"]["requests"] == 60
    assert result["environment"]["libraries"]["aiohttp"]
    runs = result["runs"]
    assert [run["client"] for run in runs] == [
        *("async", "thread", "blocking"),
        *("thread", "blocking", "async"),
        *("blocking", "async", "thread"),
    ]
    assert [run["round"] for run in runs] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    for run in runs:
        assert (run["requests"], run["ok"], run["failed"]) == (60, 60, {})
        assert 0 <= run["elapsed_s"] < DEADLINE
        assert run["requests_per_s"] > 0
        assert 0 < run["p50_ms"] <= run["p99_ms"]
        assert run["client_cpu_percent"] > 0


@pytest.mark.parametrize(
    "options",
    [
        ("--requests", "0"),
        ("--requests", "1e3"),
        ("--requests", "9" * 5_000),
        ("--rounds", "-1"),
        ("--rounds",),
        ("--workers", "two"),
        ("--latency-ms", "nan"),
        ("--latency-ms", "-5"),
        ("--json", "no/such/folder/runs.json"),
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


def test_help(tmp_path: Path) -> None:
    outcome = compare(tmp_path, "--help")
    assert outcome.exit_code == 0
    for option in ("--requests", "--rounds", "--latency-ms", "--workers", "--url", "--json"):
        assert outcome.stdout.count(f"  {option} ") == 1


def test_port_8000_in_use(tmp_path: Path) -> None:
    try:
        occupied = misbehaving(FAULTS["wrong id"], range(1_000), port=8000)
        with occupied as stranger:
            outcome = compare(tmp_path, "--requests", "20", "--rounds", "1")
            assert not stranger.heads
    except OSError:  # somebody else uses it: as good
        outcome = compare(tmp_path, "--requests", "20", "--rounds", "1")
    assert outcome.exit_code == 0


def test_latency_and_workers(tmp_path: Path) -> None:
    options = ("--requests", "64", "--rounds", "1", "--latency-ms", "20", "--workers", "2")
    outcome = compare(tmp_path, *options, "--json", "runs.json")
    assert outcome.exit_code == 0
    assert outcome.stdout.splitlines()[-1].endswith("2 workers, 20 ms latency")
    result = json.loads((tmp_path / "runs.json").read_text())
    assert result["environment"]["workers"] == 2
    elapsed = {run["client"]: run["elapsed_s"] for run in result["runs"]}
    assert elapsed["blocking"] >= 64 * 0.02
    assert all(elapsed[client] >= 64 / 32 * 0.02 for client in ("async", "thread"))


def test_failures_are_shown_and_kept(tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [3, 4]) as server:
        options = ("--url", server.url, "--requests", "20", "--rounds", "2")
        outcome = compare(tmp_path, *options, "--json", "runs.json")
    assert outcome.exit_code == 1
    assert [row[8] for row in rows(outcome).values()] == ["4", "4", "4"]
    assert outcome.stdout.splitlines()[-3:] == [f"  {client}: 4 × HTTP 503" for client in CLIENTS]
    assert server.url in outcome.stdout
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert [(run["ok"], run["failed"]) for run in runs] == [(18, {"HTTP 503": 2})] * 6


def test_nothing_right_at_all(tmp_path: Path) -> None:
    with misbehaving(FAULTS["wrong id"], range(100)) as server:
        options = ("--url", server.url, "--requests", "9", "--rounds", "1", "--json", "runs.json")
        outcome = compare(tmp_path, *options)
    assert outcome.exit_code == 1
    assert "  async: 9 × wrong answer" in outcome.stdout
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert {run["p50_ms"] for run in runs} == {None}


def test_no_server_at_the_url(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    outcome = compare(tmp_path, "--url", url)
    assert outcome.exit_code == 1
    (line,) = outcome.stderr.splitlines()
    assert url in line


def test_chart(tmp_path: Path) -> None:
    for name, beginning in (("chart.svg", b"<?xml"), ("chart.png", b"\x89PNG")):
        options = ("--requests", "20", "--rounds", "1", "--chart", name)
        assert compare(tmp_path, *options).exit_code == 0
        assert (tmp_path / name).read_bytes().startswith(beginning)


def test_chart_without_matplotlib_fails_before_measuring(tmp_path: Path) -> None:
    hide = (
        "import runpy, sys; sys.modules['matplotlib'] = None;"
        f"sys.argv = ['compare.py', '--chart', 'chart.svg'];"
        f"runpy.run_path({str(COMPARE)!r}, run_name='__main__')"
    )
    outcome = finish(start_python(tmp_path, "-c", hide))
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    (line,) = outcome.stderr.splitlines()
    assert "pip install matplotlib" in line


def interrupt(command: psutil.Process) -> None:
    command.send_signal(signal.SIGINT)


def terminate(command: psutil.Process) -> None:
    command.send_signal(signal.SIGTERM)


def kill_the_client(command: psutil.Process) -> None:
    client = next(child for child in command.children() if "client.main()" in str(child.cmdline()))
    client.kill()


@pytest.mark.parametrize(("end", "exit_code"), [(interrupt, 130), (terminate, 143), (kill_the_client, 1)])
def test_no_server_is_left(end: Callable[[psutil.Process], None], exit_code: int, tmp_path: Path) -> None:
    process = start(tmp_path, "--requests", "1000000", "--workers", "2")
    command = psutil.Process(process.pid)

    def a_client_runs() -> bool:
        return any("client.main()" in str(child.cmdline()) for child in command.children())

    wait_for(a_client_runs, "the first client")
    family = command.children(recursive=True)
    end(command)
    outcome = finish(process)
    assert outcome.exit_code == exit_code
    assert "Traceback" not in outcome.stderr
    _, alive = psutil.wait_procs(family, DEADLINE)
    assert not alive


def test_ctrl_c_keeps_the_rounds_that_are_over(tmp_path: Path) -> None:
    process = start(tmp_path, "--requests", "300", "--rounds", "1000", "--json", "runs.json")
    command = psutil.Process(process.pid)
    seen: set[int] = set()

    def one_round_is_over() -> bool:
        seen.update(child.pid for child in command.children())
        return len(seen) >= 6  # the server, three clients of the first round, two of the second

    wait_for(one_round_is_over, "the first round")
    interrupt(command)
    outcome = finish(process)
    assert outcome.exit_code == 130
    assert set(rows(outcome)) == set(CLIENTS)
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert runs
    assert len(runs) % 3 == 0
