"""Other libraries, forms and endpoints: what a case says is what runs, as a server sees it."""

import asyncio
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx2
import pytest

import endpoints
from claims import CLAIMS, cases_of
from harness import BENCHMARKS
from harness.client import run_case
from harness.runs import Case
from harness.server import Server, make_certificates
from helpers import DEADLINE, posix_only, wait_for
from misbehaving import FAULTS, RIGHT, Fault, serve

IN_FLIGHT = 150  # more than the 100 that aiohttp and httpx2 are content with by default

# A case for each script with each replacement, with https or without.
CASES: dict[tuple[str, str, bool], Case] = {}
for case in cases_of(CLAIMS):
    if not case.script.startswith("benchmarks/"):
        own = replace(case, requests=170, concurrency=IN_FLIGHT) if case.concurrency else case
        own = replace(own, requests=own.requests or 12, settings={"TIMEOUT": DEADLINE})
        CASES.setdefault((case.replacement, case.script, case.server.tls), own)

TUTORIAL = ("forms.environment", "forms.requests_get", "forms.shared_session")  # with the proxy
POOLS = ("libraries.pyreqwest_async", "libraries.pyreqwest_blocking", "forms.shared_session")
SLOW = Fault(RIGHT.answer, "", delay=0.2)  # too late if TIMEOUT were in milliseconds
ANSWERS = {3: FAULTS["wrong id"], 5: FAULTS["307"], 7: FAULTS["404"], 9: SLOW}
SENDING = {key[::2]: case for key, case in CASES.items() if not key[0].startswith("forms.stub")}


def certificates(case: Case, folder: Path) -> tuple[ssl.SSLContext | None, str | None]:
    """Return what a server needs for https, and the file of the authority that clients trust."""
    if not case.server.tls:
        return None, None
    ca = make_certificates(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate.pem")
    return context, ca


@pytest.fixture(autouse=True)
def past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the clients ignore a proxy that happens to be in the environment."""
    monkeypatch.setenv("no_proxy", "*")


def each(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Run a test with each of these cases."""
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@each(CASES.values())
def test_requests_and_connections(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca = certificates(case, tmp_path)
    with serve(lambda item_id: ANSWERS.get(item_id, RIGHT), context) as server:
        if not case.server.tls:
            for name in ("http_proxy", "all_proxy", "no_proxy", "NO_PROXY"):
                monkeypatch.setenv(name, "" if "no" in name.lower() else server.url)
        run = run_case(case, Server(server.url, ca=ca), 1)
    assert case.requests
    if "stub" in case.replacement:
        assert (run.ok, server.asked) == (case.requests, {})
        return
    assert run.ok == case.requests - 3
    assert run.failures == {"wrong answer": 1, "HTTP 307": 1, "HTTP 404": 1}
    assert server.asked == dict.fromkeys(range(1, case.requests + 1), 1)
    through_proxy = {request.startswith(b"GET http://") for request in server.requests}
    assert through_proxy == {case.replacement in TUTORIAL and not case.server.tls}
    one_each = dict.fromkeys(["forms.requests_get", "forms.session_each"], case.requests)
    connections = one_each | {"forms.task_each": 100}  # as aiohttp has by default
    expected = connections.get(case.replacement, case.concurrency or 1)
    assert server.connections == expected or case.replacement in POOLS


@each([case for case in SENDING.values() if case.replacement != "forms.task_each"])
def test_time_out(case: Case, tmp_path: Path) -> None:
    """The answer comes too late, but before the 5 s that httpx2 waits by default."""
    case = replace(case, requests=1, settings={"TIMEOUT": 0.3})
    context, ca = certificates(case, tmp_path)
    with serve(lambda item_id: Fault(RIGHT.answer, "", delay=4), context) as server:
        run = run_case(case, Server(server.url, ca=ca), 1)
    assert run.ok == 0 and "certificate" not in str(run.failures)


@each([case for case in CASES.values() if case.replacement in POOLS and case.concurrency])
def test_pool_has_no_limit_of_its_own(case: Case) -> None:
    with ThreadPoolExecutor() as pool:
        with serve(lambda item_id: FAULTS["never answering"]) as server:
            running = pool.submit(run_case, case, Server(server.url), 1)
            wait_for(lambda: server.asked.total() == IN_FLIGHT or running.done(), "requests")
        assert running.result().ok == 0
    assert server.asked.total() == IN_FLIGHT


@each([case for case in CASES.values() if case.server.tls])
def test_certificate_of_another_authority_is_refused(case: Case, tmp_path: Path) -> None:
    context, _ = certificates(case, tmp_path)
    _, ca = certificates(case, tmp_path)
    with serve(lambda item_id: RIGHT, context) as server:
        run = run_case(replace(case, requests=1), Server(server.url, ca=ca), 1)
    (failure,) = run.failures
    assert "certificate verify failed" in failure
    assert not server.asked


def test_every_library_and_form_is_in_a_study() -> None:
    files = [*BENCHMARKS.glob("libraries/*.py"), *BENCHMARKS.glob("forms/*.py")]
    modules = {f"{path.parent.name}.{path.stem}" for path in files if path.stem != "__init__"}
    assert modules == {name for case in CASES.values() for name in case.replacement.split()}


@posix_only
def test_uvloop_is_the_loop() -> None:
    from forms import on_uvloop

    async def fetch_all(tally: list[str]) -> None:
        tally.append(type(asyncio.get_running_loop()).__module__)

    script: Any = SimpleNamespace(original=SimpleNamespace(fetch_all=fetch_all))
    tally: list[str] = []
    on_uvloop.fetch_all(script, tally)
    assert tally == ["uvloop"]


def test_two_loops_run_at_the_same_time_and_count_every_answer() -> None:
    from forms import two_loops

    both_run = threading.Barrier(2)

    class Tally:
        counted = 0

        def add(self, failure: str | None, latency: float) -> None:
            """Lose an answer if another thread counts at the same time."""
            counted = self.counted
            time.sleep(0)
            self.counted = counted + 1

    async def fetch_share(session: object, share: Sequence[int], tally: Any) -> None:
        both_run.wait(DEADLINE)
        for _ in share:
            tally.add(None, 0.1)

    script: Any = SimpleNamespace(new_session=nullcontext, fetch_share=fetch_share)
    script.CONCURRENCY, script.urls = 2, range(5_001)
    tally = Tally()
    two_loops.fetch_all(script, tally)
    assert tally.counted == 5_001


# -- Endpoints ------------------------------------------------------------------------------------


async def ask(path: str, requests: int) -> None:
    """Send requests to an endpoint, all at once, and check the answers."""
    transport = httpx2.ASGITransport(app=endpoints.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://endpoints") as client:
        urls = [f"{path}/items/{item_id}" for item_id in range(requests)]
        answers = await asyncio.gather(*(client.get(url) for url in urls))
    assert [answer.json()["item_id"] for answer in answers] == [*range(requests)]


def wait_by(monkeypatch: pytest.MonkeyPatch, module: str, sleep: object) -> None:
    """Have the endpoints wait by this function of `asyncio` or `time`."""
    monkeypatch.setattr(endpoints, "LATENCY", 0.02)
    monkeypatch.setattr(endpoints, module, SimpleNamespace(sleep=sleep))


def test_await_lets_all_wait_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    all_wait = asyncio.Barrier(100)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await all_wait.wait()

    wait_by(monkeypatch, "asyncio", sleep)
    asyncio.run(asyncio.wait_for(ask("/await", 100), DEADLINE))
    assert waits == [0.02] * 100


def test_def_lets_as_many_wait_as_its_pool_has_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    loop_thread = threading.current_thread()
    release = threading.Event()

    def sleep(seconds: float) -> None:
        assert threading.current_thread() is not loop_thread
        waits.append(seconds)
        release.wait(DEADLINE)

    async def look() -> int:
        asking = asyncio.create_task(ask("/def", 60))
        queue = anyio.to_thread.current_default_thread_limiter().statistics
        while not asking.done() and len(waits) + queue().tasks_waiting < 60:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        at_once = len(waits)
        release.set()
        await asking
        return at_once

    wait_by(monkeypatch, "time", sleep)
    assert asyncio.run(look()) == 40
    assert waits == [0.02] * 60


def test_blocked_waits_in_the_thread_that_serves_all(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    wait_by(monkeypatch, "time", lambda seconds: threads.append(threading.current_thread()))
    asyncio.run(ask("/blocked", 8))
    assert threads == [threading.current_thread()] * 8
