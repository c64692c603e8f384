"""The clients when all goes well, and when what goes wrong lies outside the server."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from difflib import ndiff
from itertools import combinations
from pathlib import Path

import pytest

from helpers import (
    CLIENTS,
    DEADLINE,
    ROOT,
    Outcome,
    Server,
    edited,
    finish,
    free_port,
    press_ctrl_c,
    run,
    start,
    start_python,
    uvicorn,
    wait_for,
)
from misbehaving import FAULTS, Fault, http, item, misbehaving

LABELS = {
    "async": "async (aiohttp)",
    "thread": "threads (requests)",
    "blocking": "blocking (requests)",
}
each_client = pytest.mark.parametrize("client", CLIENTS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server."""
    with uvicorn(tmp_path_factory.mktemp("server") / "log", "--no-access-log") as running:
        yield running


@each_client
def test_report(client: str, server: Server, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(1, 1235)"))
    assert outcome.exit_code == 0
    outcome.assert_accounted(1_234)
    assert outcome.stdout.count("\n") == 1
    assert outcome.stdout.startswith(f"{LABELS[client]}  1,234 of 1,234 ok in ")
    figures = {name: outcome.figures[name].replace(",", "") for name in ("elapsed", "throughput")}
    elapsed, throughput = float(figures["elapsed"]), int(figures["throughput"])
    assert 1_234 / (elapsed + 0.006) - 1 < throughput < 1_234 / (elapsed - 0.006) + 1
    assert 0 < float(outcome.figures["p50"]) <= float(outcome.figures["p99"])
    assert float(outcome.figures["p99"]) <= 1_000 * elapsed + 10
    assert 0 < int(outcome.figures["cpu"]) <= 300


@each_client
@pytest.mark.parametrize(
    ("urls", "total"),
    [
        ("range(0)", 0),
        ("range(1, 2)", 1),
        ("range(1, 3)", 2),
        ("range(1, 6)", 5),
        ("range(1, 34)", 33),
        ("range(500, 1000, 7)", 72),
        ("range(10, -10, -1)", 20),
        ("[3, 1, 4, 1, 5]", 5),
    ],
)
def test_any_range(client: str, urls: str, total: int, server: Server, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url=server.url, urls=urls))
    assert outcome.exit_code == 0
    assert outcome.ok == total
    outcome.assert_accounted(total)


@each_client
def test_each_item_is_asked_for_once(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["500"]) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 201)", concurrency=7)
        outcome = run(script)
    assert outcome.ok == 200
    assert server.probes == 1
    assert server.asked == dict.fromkeys(range(1, 201), 1)
    # Each connection is kept open, and the request before the clock went through one of them.
    assert server.connections == (1 if client == "blocking" else 7)


@pytest.mark.parametrize(
    ("client", "concurrency", "expected"),
    [("async", 7, 7), ("thread", 7, 7), ("blocking", 7, 1), ("async", 150, 150), ("thread", 150, 150)],
)
def test_requests_in_flight(client: str, concurrency: int, expected: int, tmp_path: Path) -> None:
    with misbehaving(FAULTS["never answering"], range(1, 301)) as server:
        urls = "range(1, 301)"
        script = edited(
            client, tmp_path, base_url=server.url, urls=urls, concurrency=concurrency, timeout=600
        )
        process = start(script)
        wait_for(lambda: len(server.asked) == expected, "the requests")
        press_ctrl_c(process)
        finish(process)
        assert len(server.asked) == expected


@pytest.mark.parametrize(("client", "expected"), [("async", 32), ("thread", 32), ("blocking", 1)])
def test_connections_are_kept_and_not_shared(client: str, expected: int, tmp_path: Path) -> None:
    # One requests.Session for all threads would keep ten connections, and open more all the time.
    with misbehaving(Fault(lambda i: http(item(i)), "", delay=0.01), range(1, 1_001)) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(1, 1001)"))
    assert outcome.ok == 1_000
    assert server.connections == expected


@each_client
def test_the_clock_starts_after_the_first_answer(client: str, tmp_path: Path) -> None:
    slow = Fault(lambda i: http(item(i)), "", delay=4)
    with misbehaving(slow, spoil_probe=True) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(1, 6)"))
    assert outcome.ok == 5
    assert float(outcome.figures["elapsed"]) < 4


@each_client
def test_latency_is_that_of_one_request(client: str, tmp_path: Path) -> None:
    with misbehaving(Fault(lambda i: http(item(i)), "", delay=0.05), range(1, 41)) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 41)", concurrency=1)
        outcome = run(script)
    assert outcome.ok == 40
    assert 50 <= float(outcome.figures["p50"]) < 500  # from the start of the share: 1,000
    assert float(outcome.figures["elapsed"]) >= 2


@each_client
def test_latency_includes_the_body(client: str, tmp_path: Path) -> None:
    answer = http(item(7))
    late = Fault(lambda i: answer, "", piece=len(answer) - 3, pause=0.4)
    with misbehaving(late, [7]) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, urls="[7]"))
    assert outcome.ok == 1
    assert float(outcome.figures["p50"]) >= 400


def test_the_timeout_bounds_the_whole_request(tmp_path: Path) -> None:
    drops = Fault(lambda i: http(item(i)), "", piece=20, pause=0.4)  # two seconds and more in all
    with misbehaving(drops, [3]) as server:
        outcome = run(edited("async", tmp_path, base_url=server.url, urls="range(1, 4)", timeout=1))
    assert outcome.failures == {"TimeoutError": 1}


@each_client
def test_percentiles(client: str, tmp_path: Path) -> None:
    # Two of a hundred answers take half a second: p99 shows them, p50 does not.
    with misbehaving(Fault(lambda i: http(item(i)), "", delay=0.5), [20, 70]) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url))
    assert outcome.ok == 100
    assert float(outcome.figures["p50"]) < 500 <= float(outcome.figures["p99"])


def refusal(outcome: Outcome) -> str:
    """Return the one line with which a script ends that found no server to measure."""
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    (line,) = outcome.stderr.splitlines()
    return line


@each_client
def test_no_server(client: str, tmp_path: Path) -> None:
    port = free_port()
    line = refusal(run(edited(client, tmp_path, base_url=f"http://127.0.0.1:{port}")))
    assert f"No answer from http://127.0.0.1:{port} (" in line
    assert line.endswith(f"start the server with uvicorn main:app --port {port}")


@each_client
@pytest.mark.parametrize("base_url", ["127.0.0.1:8000", "http://", "http://127.0.0.1:99999", "gopher://a"])
def test_bad_base_url(client: str, base_url: str, tmp_path: Path) -> None:
    line = refusal(run(edited(client, tmp_path, base_url=base_url)))
    assert f"BASE_URL must be an http:// address, not {base_url} (" in line


@each_client
@pytest.mark.parametrize("base_url", ["http://no-such-host.invalid", "http://a..b"])
def test_host_that_is_none(client: str, base_url: str, tmp_path: Path) -> None:
    assert base_url in refusal(run(edited(client, tmp_path, base_url=base_url)))


@each_client
@pytest.mark.parametrize(
    ("fault", "failure"), [("404", "HTTP 404"), ("500", "HTTP 500"), ("wrong id", "wrong answer")]
)
def test_another_server(client: str, fault: str, failure: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS[fault], spoil_probe=True) as server:
        line = refusal(run(edited(client, tmp_path, base_url=server.url)))
    assert line == f"{server.url} answers, but not as this project's server: {failure}"
    assert len(server.heads) == 1


@each_client
def test_another_program_at_the_port(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["no HTTP"], spoil_probe=True) as server:
        line = refusal(run(edited(client, tmp_path, base_url=server.url)))
    assert f"No answer from {server.url} (" in line


@each_client
def test_hanging_server(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["never answering"], spoil_probe=True) as server:
        line = refusal(run(edited(client, tmp_path, base_url=server.url, timeout=1)))
    assert f"No answer from {server.url} (" in line
    assert line.endswith("): the server is too slow, or hangs")


@each_client
def test_slash_at_the_end_of_the_base_url(client: str, server: Server, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url=f"{server.url}/"))
    assert (outcome.exit_code, outcome.ok) == (0, 100)


@pytest.mark.parametrize("client", ["async", "thread"])
@pytest.mark.parametrize("value", [0, -1])
def test_impossible_concurrency(client: str, value: int, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url="http://127.0.0.1:1", concurrency=value))
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr == f"CONCURRENCY ({value}) and TIMEOUT (10) must be more than 0.\n"


@each_client
@pytest.mark.parametrize("value", [0, -1])
def test_impossible_timeout(client: str, value: int, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url="http://127.0.0.1:1", timeout=value))
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.endswith(f"TIMEOUT ({value}) must be more than 0.\n")
    assert outcome.stderr.count("\n") == 1


@each_client
@pytest.mark.parametrize("held_down", [False, True])
def test_ctrl_c_mid_run(client: str, held_down: bool, tmp_path: Path) -> None:
    with misbehaving(FAULTS["500"], [1]) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 10_000_001)")
        process = start(script)
        wait_for(lambda: len(server.asked) > 100, "the run to be under way")
        press_ctrl_c(process)
        while held_down and process.poll() is None:
            press_ctrl_c(process)
        outcome = finish(process)
    assert outcome.exit_code == 130
    outcome.assert_accounted(10_000_000)
    assert outcome.ok > 0
    assert outcome.failures["HTTP 500"] == 1
    assert outcome.failures["not answered"] > 9_000_000


@each_client
def test_ctrl_c_while_the_server_hangs(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["never answering"], range(11, 1_000)) as server:
        script = edited(client, tmp_path, base_url=server.url, concurrency=4, timeout=600)
        process = start(script)
        wait_for(lambda: any(item_id > 10 for item_id in server.asked), "a request that hangs")
        press_ctrl_c(process)
        outcome = finish(process, seconds=10)
    assert outcome.exit_code == 130
    outcome.assert_accounted(100)


@each_client
def test_ctrl_c_before_the_first_answer(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["never answering"], spoil_probe=True) as server:
        process = start(edited(client, tmp_path, base_url=server.url, timeout=600))
        wait_for(lambda: server.probes, "the first request")
        press_ctrl_c(process)
        outcome = finish(process, seconds=10)
    assert outcome.exit_code == 130
    outcome.assert_accounted(100)
    assert outcome.failures == {"not answered": 100}


@each_client
def test_proxies_and_netrc_are_ignored(client: str, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    nobody = f"http://127.0.0.1:{free_port()}"
    proxies = {f"{scheme}_proxy": nobody for scheme in ("http", "https", "all")}
    proxies |= {name.upper(): value for name, value in proxies.items()}
    with misbehaving(FAULTS["500"]) as server:
        script = edited(client, tmp_path, base_url=server.url)
        outcome = run(script, NETRC=str(netrc), no_proxy="", NO_PROXY="", **proxies)
    assert outcome.ok == 100
    assert not any(b"authorization" in head.lower() for head in server.heads)


@each_client
def test_progress_bar_on_a_terminal_only(client: str, tmp_path: Path) -> None:
    pytest.importorskip("pty", reason="no pseudo-terminals here")
    from terminal import run_in_terminal

    with misbehaving(Fault(lambda i: http(item(i)), "", delay=0.5), [100]) as server:
        script = edited(client, tmp_path, base_url=server.url)
        assert run(script).stderr == ""
        exit_code, screen = run_in_terminal(script)
    assert exit_code == 0
    assert "\r100%|" in screen
    assert "| 100/100 [" in screen
    assert "101/100" not in screen
    *_, report, end = screen.split("\r\n")
    assert report.startswith(f"{LABELS[client]}  100 of 100 ok in ")
    assert end == ""


@each_client
def test_importing_fires_nothing(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["500"]) as server:
        edited(client, tmp_path, base_url=server.url)
        command = [sys.executable, "-c", f"import test_{client}"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=DEADLINE)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert not server.heads


def test_pytest_in_the_root_collects_no_client() -> None:
    process = start_python(ROOT, "-m", "pytest", "--collect-only", "-q")
    ended = finish(process, 2 * DEADLINE)
    assert ended.exit_code == 0, ended.stdout
    collected = [line for line in ended.stdout.splitlines() if "::" in line]
    assert collected
    assert all(line.startswith("tests/") for line in collected)


@each_client
def test_memory_does_not_grow_with_the_requests(client: str, server: Server, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no way to ask for the peak memory here")
    measure = (
        "import resource, subprocess, sys;"
        f"subprocess.run([sys.executable, 'test_{client}.py'], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    unit = 1 if sys.platform == "darwin" else 1024  # bytes

    def peak(total: int) -> int:
        edited(client, tmp_path, base_url=server.url, urls=f"range({total})")
        command = [sys.executable, "-c", measure]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        return int(ended.stdout.split()[-1]) * unit

    assert resource
    # One kept response a request would make it 50 MB and more.
    assert peak(8_000) - peak(500) < 4_000_000


# What holds the three scripts together: their form.

LINE = "# From here on, all three scripts are the same"


def halves(client: str) -> tuple[list[str], list[str]]:
    """Return the lines of a client before and from the line after which all are the same."""
    method, instrument = (ROOT / f"test_{client}.py").read_text(encoding="utf-8").split(LINE)
    return method.splitlines(), instrument.splitlines()


@each_client
def test_short_enough_to_read(client: str) -> None:
    method, instrument = halves(client)
    first = next(i for i, line in enumerate(method) if line.startswith(("def fetch", "async def fetch")))
    assert len([line for line in method[first:] if line]) <= 45
    assert len(method) + len(instrument) <= 140


@each_client
def test_no_function_within_a_function(client: str) -> None:
    tree = ast.parse((ROOT / f"test_{client}.py").read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    inner = [n for f in functions for n in ast.walk(f) if n is not f and n in functions]
    assert not inner


@pytest.mark.parametrize(("one", "other"), [*combinations(CLIENTS, 2)])
def test_instruments_are_the_same(one: str, other: str) -> None:
    (_, mine), (_, theirs) = halves(one), halves(other)
    changed = [line for line in ndiff(mine, theirs) if line.startswith(("- ", "+ "))]
    assert len(changed) <= 8
    allowed = ("text = f", "lock.acquire", "<= 0", "must be more than 0", "fetch_all(tally)")
    assert all(any(part in line for part in allowed) for line in changed), changed


def test_only_the_label_differs_in_the_report() -> None:
    reports = {c: next(line for line in halves(c)[1] if "text = f" in line) for c in CLIENTS}
    assert len({report.replace(LABELS[client], "LABEL") for client, report in reports.items()}) == 1


def test_threads_and_blocking_fetch_in_the_same_way() -> None:
    def fetch(client: str) -> str:
        source = "\n".join(halves(client)[0])
        return re.split(r"\ndef ", source)[1]

    assert fetch("thread") == fetch("blocking")
