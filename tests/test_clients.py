"""The clients when all goes well, and when what goes wrong lies outside the server."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import (
    CLIENTS,
    DEADLINE,
    ROOT,
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
    assert server.front_page == 1
    assert server.asked == dict.fromkeys(range(1, 201), 1)


@pytest.mark.parametrize(("client", "expected"), [("async", 7), ("thread", 7), ("blocking", 1)])
def test_requests_in_flight(client: str, expected: int, tmp_path: Path) -> None:
    with misbehaving(FAULTS["never answering"], range(1, 101)) as server:
        script = edited(client, tmp_path, base_url=server.url, concurrency=7, timeout=600)
        process = start(script)
        wait_for(lambda: len(server.asked) == expected, "the requests")
        press_ctrl_c(process)
        finish(process)
        assert len(server.asked) == expected


@each_client
def test_percentiles(client: str, tmp_path: Path) -> None:
    # Two of a hundred answers take half a second: p99 shows them, p50 does not.
    with misbehaving(Fault(lambda i: http(item(i)), "", delay=0.5), [20, 70]) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url))
    assert outcome.ok == 100
    assert float(outcome.figures["p50"]) < 500 <= float(outcome.figures["p99"])


@each_client
def test_no_server(client: str, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    outcome = run(edited(client, tmp_path, base_url=url))
    assert outcome.exit_code == 1
    assert outcome.stdout == ""
    (line,) = outcome.stderr.splitlines()
    assert url in line
    assert "uvicorn main:app" in line


@each_client
@pytest.mark.parametrize("base_url", ["127.0.0.1:8000", "http://", "http://no-such-host.invalid"])
def test_bad_base_url(client: str, base_url: str, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url=base_url))
    assert outcome.exit_code == 1
    (line,) = outcome.stderr.splitlines()
    assert base_url in line


@each_client
def test_another_program_at_the_port(client: str, tmp_path: Path) -> None:
    fault = FAULTS["no HTTP"]
    with misbehaving(fault, spoil_front_page=True) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url))
    assert outcome.exit_code == 1
    (line,) = outcome.stderr.splitlines()
    assert server.url in line


@each_client
def test_hanging_server_is_no_server(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["never answering"], spoil_front_page=True) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, timeout=1))
    assert outcome.exit_code == 1
    (line,) = outcome.stderr.splitlines()
    assert server.url in line


@each_client
def test_error_page_is_an_answer(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["500"], spoil_front_page=True) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url))
    assert outcome.exit_code == 0
    outcome.assert_accounted(100)


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
    with misbehaving(FAULTS["never answering"], spoil_front_page=True) as server:
        process = start(edited(client, tmp_path, base_url=server.url, timeout=600))
        wait_for(lambda: server.front_page, "the first request")
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
def test_memory_grows_by_the_latencies_only(client: str, server: Server, tmp_path: Path) -> None:
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
    # 8 bytes a request while it runs, and 32 more when it is sorted for the percentiles:
    # 0.3 MB here. One kept response a request would make it 50 MB and more.
    assert peak(8_000) - peak(500) < 5_000_000


def functions(client: str) -> dict[str, str]:
    """Return the source of each function of a client, by its name."""
    source = (ROOT / f"test_{client}.py").read_text(encoding="utf-8")
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_source_segment(source, node) or "" for node in nodes}


def test_shared_functions_are_the_same_source() -> None:
    in_async, in_thread, in_blocking = (functions(client) for client in CLIENTS)
    for name in ("check", "name", "report"):
        assert in_async[name] == in_thread[name] == in_blocking[name]
    for name in ("open_session", "server_answers"):
        assert in_thread[name] == in_blocking[name]
    assert in_thread["fetch"].replace("    with lock:\n    ", "") == in_blocking["fetch"]


def test_main_differs_only_in_the_method_of_calling() -> None:
    in_async, in_thread, in_blocking = (functions(client)["main"] for client in CLIENTS)
    in_async = re.sub(r"asyncio\.run\((\w+\(\w*\))\)", r"\1", in_async)
    in_thread = re.sub(r" *lock\.acquire\(\).*\n", "", in_thread)
    for client, label in LABELS.items():
        assert functions(client)["main"].count(f'report("{label}", ') == 1
    sources = [re.sub(r'report\(".*?"', "report(LABEL", m) for m in (in_async, in_thread)]
    assert sources == [re.sub(r'report\(".*?"', "report(LABEL", in_blocking)] * 2
