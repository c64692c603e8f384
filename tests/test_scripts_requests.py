"""What a server sees of the scripts: which requests, over which connections."""

import asyncio
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import test_async
import test_blocking
import test_thread
from helpers import CLIENTS, Server, each_client, edited, reserved_port, run
from misbehaving import RIGHT, Fault, http, item, misbehaving, serve

SCRIPTS = (test_async, test_thread, test_blocking)
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=CLIENTS)


def fetch_all(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, **settings: object
) -> test_async.Tally:
    """Send all requests of a script with these settings, and return what it counted."""
    for name, value in settings.items():
        monkeypatch.setattr(script, name, value, raising=name != "CONCURRENCY")
    tally: Any = script.Tally()
    sending = script.fetch_all(tally)
    if script is test_async:
        asyncio.run(sending)
    result: test_async.Tally = tally
    return result


@each_client
def test_a_clean_run_of_the_real_server(client: str, server: Server, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(-200, 300)"))
    assert (outcome.exit_code, outcome.ok) == (0, 500)
    outcome.assert_accounted(500)
    assert outcome.stdout.count("\n") == 2
    elapsed = float(outcome.figures["elapsed"])
    throughput = int((outcome.figures["throughput"] or "").replace(",", ""))
    assert 500 / (elapsed + 0.006) - 1 < throughput < 500 / (elapsed - 0.006) + 1
    assert float(outcome.figures["max"]) <= 1_000 * elapsed + 10
    assert int(outcome.figures["cpu"]) > 0


@each_client
def test_each_item_once_over_kept_connections(client: str, tmp_path: Path) -> None:
    """Past proxies that nobody answers at, and without the password of a .netrc file."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    slow = Fault(lambda i: http(item(i)), "", delay=0.02)  # so that all connections are needed
    with misbehaving(slow, range(1, 101)) as server, reserved_port() as port:
        dead = f"http://127.0.0.1:{port}"
        proxies = {f"{scheme}_proxy": dead for scheme in ("http", "https", "all")}
        proxies |= {name.upper(): dead for name in proxies}
        script = edited(client, tmp_path, base_url=server.url, concurrency=7)
        outcome = run(script, NETRC=str(netrc), no_proxy="", NO_PROXY="", **proxies)
    assert (outcome.exit_code, outcome.ok) == (0, 100)
    assert (server.probes, server.asked) == (1, dict.fromkeys(range(1, 101), 1))
    assert server.connections == 1 + (1 if client == "blocking" else 7)
    assert not any(b"authorization" in head.lower() for head in server.heads)


@each_script
@pytest.mark.parametrize(
    "urls",
    [
        range(500, 600, 7),
        range(10, -1, -1),
        [3, 1, 4, 1, 5],
        (2, 7, 1, 8),
        [np.int64(5), np.int64(2)],
        [],
    ],
    ids=repr,
)
def test_urls(script: ModuleType, urls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda item_id: RIGHT) as server:
        tally = fetch_all(script, monkeypatch, BASE_URL=server.url, urls=urls, CONCURRENCY=3)
    assert server.asked == Counter(urls)
    assert (len(tally.latencies), tally.failures.total()) == (len(urls), 0)


@each_script
def test_latency_is_that_of_one_request_with_its_body(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = http(item(7))
    late_body = Fault(lambda i: answer, "", piece=len(answer) - 3, pause=0.1)
    with misbehaving(late_body, [7]) as server:
        tally = fetch_all(script, monkeypatch, BASE_URL=server.url, urls=[7, 7, 7], CONCURRENCY=1)
    first, _, last = sorted(tally.latencies)
    assert first >= 0.1
    assert last < sum(tally.latencies) / 2  # not the time since the start


def test_the_timeout_of_async_limits_the_whole_request(monkeypatch: pytest.MonkeyPatch) -> None:
    drops = Fault(lambda i: http(item(i)), "", piece=1, pause=0.1)
    with misbehaving(drops, [3]) as server:
        settings = {"BASE_URL": server.url, "urls": [3], "TIMEOUT": 1}
        tally = fetch_all(test_async, monkeypatch, **settings)
    assert tally.failures == {"TimeoutError": 1}
