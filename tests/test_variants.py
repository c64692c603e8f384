"""Each variant does what its name says, by what a server sees."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests

from harness.client import run_case
from harness.runs import Case, ServerSettings
from harness.server import Server, start_server
from helpers import DEADLINE, ROOT, free_port
from misbehaving import FAULTS, RIGHT, Fault, http, item, serve

VARIANTS = ROOT / "benchmarks" / "variants"
CLIENTS = sorted(path.stem for path in VARIANTS.glob("*.py") if "server" not in path.stem)
LATE = Fault(lambda i: http(item(i)), "", delay=0.05)

# The tutorial forms, which look for a proxy in the environment.
WITH_ENVIRONMENT = {"thread_shared", "blocking_get", "blocking_session_get"}


def variant(name: str, requests: int = 40, concurrency: int = 4) -> Case:
    """Return a variant as a case."""
    method, _, _ = name.partition("_")
    in_flight = None if method == "blocking" else concurrency
    return Case(name, name, method, "", requests, in_flight)


def skip_without_its_library(name: str) -> None:
    """Skip the test if the library of a variant is not installed."""
    library = name.partition("_")[2]
    if library in {"httpx2", "pyreqwest", "pycurl", "urllib3", "uvloop"} and not find_spec(library):
        pytest.skip(f"{library} is not installed")


def fault_of(faults: dict[int, Fault]) -> Callable[[int], Fault]:
    """Return how to answer items: some with a fault, and the others rightly, but late."""
    return lambda item_id: faults.get(item_id, LATE if item_id else RIGHT)


@pytest.mark.parametrize("name", CLIENTS)
def test_each_item_is_requested_and_each_answer_checked(name: str) -> None:
    skip_without_its_library(name)
    faults = {
        5: FAULTS["503"],
        6: FAULTS["wrong id"],
        7: FAULTS["307"],
        8: FAULTS["truncated body"],
        9: FAULTS["404"],
    }
    with serve(fault_of(faults)) as server:
        run = run_case(variant(name), Server(server.url), 1)
    assert run.ok == 35, run
    assert sum(run.failures.values()) == 5
    named = {"HTTP 503": 1, "HTTP 307": 1, "HTTP 404": 1, "wrong answer": 1}
    assert named.items() <= run.failures.items()
    assert len(run.failures) == 5
    assert server.probes == 1
    assert server.asked == dict.fromkeys(range(1, 41), 1)
    if name in {"blocking_get"}:
        assert server.connections == 41  # one for each request
    elif name.startswith("blocking"):
        assert server.connections <= 3  # kept, but for the one that broke


@pytest.mark.parametrize(
    ("name", "in_flight"),
    [
        *((name, 4) for name in CLIENTS if not name.startswith("blocking")),
        *((name, 1) for name in CLIENTS if name.startswith("blocking")),
    ],
)
def test_requests_in_flight(name: str, in_flight: int) -> None:
    skip_without_its_library(name)
    expected = 40 if name == "async_gather" else in_flight  # up to aiohttp's 100 connections
    with serve(fault_of({})) as server:
        run = run_case(variant(name), Server(server.url), 1)
    assert run.ok == 40
    assert run.in_flight is not None
    assert run.in_flight <= expected + 0.1
    assert run.elapsed_s >= 40 / expected * 0.05
    if name not in {"blocking_get", "thread_shared"}:
        at_most = {"thread": expected + 1}.get(name.partition("_")[0], expected)
        assert server.connections <= at_most


def test_gather_stops_at_the_connections_that_aiohttp_allows() -> None:
    with serve(fault_of({})) as server:
        run = run_case(variant("async_gather", requests=250), Server(server.url), 1)
    assert run.ok == 250
    assert server.connections == 100


@pytest.mark.parametrize("name", CLIENTS)
def test_environment_matters_to_the_tutorial_forms_only(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without_its_library(name)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    with serve(fault_of({})) as server:
        try:
            ok = run_case(variant(name, requests=2, concurrency=1), Server(server.url), 1).ok
        except Exception as error:
            assert "ended without a result" in str(error)
            ok = 0
    assert ok == (0 if name in WITH_ENVIRONMENT else 2)


@pytest.mark.parametrize("name", ["async_pyreqwest", "thread_pyreqwest", "blocking_pycurl"])
def test_timeout(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_its_library(name)
    monkeypatch.setattr("harness.client.TIMEOUT", 1)
    with serve(fault_of({2: FAULTS["never answering"]})) as server:
        run = run_case(variant(name, requests=3), Server(server.url), 1)
    assert run.ok == 2


@pytest.mark.skipif(os.name != "posix", reason="uvloop is not on Windows")
def test_uvloop_runs_on_uvloop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvloop")
    import async_uvloop
    import test_async

    loops = []

    async def fetch_all(tally: test_async.Tally) -> None:
        import asyncio

        loops.append(type(asyncio.get_running_loop()).__module__)

    monkeypatch.setattr(test_async, "fetch_all", fetch_all)
    async_uvloop.fetch_all(test_async.Tally())
    assert loops == ["uvloop"]


# -- Endpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "together"),
    [("server_await:app", True), ("server_def:app", True), ("server_blocked:app", False)],
)
def test_endpoint(app: str, together: bool) -> None:
    latency_s, number = 0.4, 8
    with start_server(ServerSettings(app=app, latency_ms=round(1000 * latency_s))) as server:

        def get(item_id: int) -> None:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(f"{server.url}/items/{item_id}", timeout=DEADLINE)
            assert answer.json() == {"item_id": item_id}
            assert answer.elapsed.total_seconds() >= latency_s

        with ThreadPoolExecutor(number) as pool:
            start = time.perf_counter()
            list(pool.map(get, range(number)))
            elapsed = time.perf_counter() - start
    # One after another, they take 3.2 s.
    assert (elapsed < number * latency_s) is together


@pytest.mark.parametrize("app", ["server_await", "server_def", "server_blocked"])
def test_endpoint_without_latency(app: str) -> None:
    with start_server(ServerSettings(app=f"{app}:app")) as server:
        run = run_case(variant("blocking_urllib3", requests=20), server, 1)
    assert run.ok == 20
