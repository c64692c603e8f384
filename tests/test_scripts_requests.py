"""What a server sees of the scripts: requests, connections, how many are in flight."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import (
    CLIENTS,
    DEADLINE,
    Server,
    edited,
    environment,
    finish,
    free_port,
    press_ctrl_c,
    run,
    start,
    uvicorn,
    wait_for,
)
from misbehaving import FAULTS, Fault, http, item, misbehaving

each_client = pytest.mark.parametrize("client", CLIENTS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server."""
    with uvicorn(tmp_path_factory.mktemp("server") / "log", "--no-access-log") as running:
        yield running


@each_client
def test_a_clean_run(client: str, server: Server, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(1, 1235)"))
    assert outcome.exit_code == 0
    outcome.assert_accounted(1_234)
    assert outcome.stdout.count("\n") == 2
    figures = {
        name: float(outcome.figures[name].replace(",", "")) for name in ("elapsed", "throughput")
    }
    assert 1_234 / (figures["elapsed"] + 0.006) - 1 < figures["throughput"]
    assert figures["throughput"] < 1_234 / (figures["elapsed"] - 0.006) + 1
    p50, p99, longest = (float(outcome.figures[name]) for name in ("p50", "p99", "max"))
    assert 0 < p50 <= p99 <= longest <= 1_000 * figures["elapsed"] + 10


@each_client
@pytest.mark.parametrize(
    ("urls", "total"),
    [
        ("range(0)", 0),
        ("range(1, 2)", 1),
        ("range(500, 1000, 7)", 72),
        ("range(10, -10, -1)", 20),
        ("[3, 1, 4, 1, 5]", 5),
        ("(2, 7, 1, 8)", 4),
    ],
)
def test_urls(client: str, urls: str, total: int, server: Server, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url=server.url, urls=urls))
    assert (outcome.exit_code, outcome.ok) == (0, total)
    outcome.assert_accounted(total)


@each_client
def test_each_item_is_requested_once_over_kept_connections(client: str, tmp_path: Path) -> None:
    slow = Fault(lambda i: http(item(i)), "", delay=0.01)  # so that all connections are needed
    with misbehaving(slow, range(1, 201)) as server:
        urls = "range(1, 201)"
        outcome = run(edited(client, tmp_path, base_url=server.url, urls=urls, concurrency=7))
    assert outcome.ok == 200
    assert server.probes == 1
    assert server.asked == dict.fromkeys(range(1, 201), 1)
    # With threads, the first request has a connection of its own.
    assert server.connections == {"async": 7, "thread": 8, "blocking": 1}[client]


@pytest.mark.parametrize(
    ("client", "concurrency", "expected"),
    [
        ("async", 7, 7),
        ("thread", 7, 7),
        ("blocking", 7, 1),
        ("async", 150, 150),
        ("thread", 150, 150),
    ],
)
def test_requests_in_flight(client: str, concurrency: int, expected: int, tmp_path: Path) -> None:
    urls = "range(1, 301)"
    with misbehaving(FAULTS["never answering"], range(1, 301)) as server:
        script = edited(
            client, tmp_path, base_url=server.url, urls=urls, concurrency=concurrency, timeout=600
        )
        process = start(script)
        wait_for(lambda: len(server.asked) == expected, "the requests")
        press_ctrl_c(process)
        finish(process)
        assert len(server.asked) == expected


@pytest.mark.parametrize("client", ["async", "thread"])
def test_a_thousand_in_flight(client: str, server: Server, tmp_path: Path) -> None:
    script = edited(client, tmp_path, base_url=server.url, urls="range(2000)", concurrency=1_000)
    outcome = run(script)
    assert (outcome.exit_code, outcome.ok) == (0, 2_000), outcome


@each_client
def test_latency_is_that_of_one_request_with_its_body(client: str, tmp_path: Path) -> None:
    answer = http(item(7))
    late_body = Fault(lambda i: answer, "", piece=len(answer) - 3, pause=0.2)  # 0.4 s in all
    with misbehaving(late_body, [7]) as server:
        outcome = run(
            edited(client, tmp_path, base_url=server.url, urls="[7, 7, 7]", concurrency=1)
        )
    assert outcome.ok == 3
    assert float(outcome.figures["p50"]) >= 200
    assert float(outcome.figures["max"]) < 1_000 * float(outcome.figures["elapsed"]) / 2


def test_the_timeout_of_async_limits_the_whole_request(tmp_path: Path) -> None:
    drops = Fault(lambda i: http(item(i)), "", piece=20, pause=0.4)  # two seconds and more in all
    with misbehaving(drops, [3]) as server:
        urls = "range(1, 4)"
        outcome = run(edited("async", tmp_path, base_url=server.url, urls=urls, timeout=1))
    assert outcome.failures == {"TimeoutError": 1}


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
def test_memory_does_not_grow_with_the_requests(
    client: str, server: Server, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource", reason="no way to ask for the peak memory here")
    measure = (
        "import resource, subprocess, sys;"
        f"subprocess.run([sys.executable, 'test_{client}.py'], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    unit = 1 if sys.platform == "darwin" else 1024  # bytes

    def peak(total: int) -> int:
        edited(client, tmp_path, base_url=server.url, urls=f"range({total})")
        ended = subprocess.run(
            [sys.executable, "-c", measure],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            check=True,
            timeout=2 * DEADLINE,
        )
        return int(ended.stdout.split()[-1]) * unit

    assert resource
    assert peak(5_000) - peak(500) < 3_000_000  # a kept response each would make it 30 MB
