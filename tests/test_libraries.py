"""Other libraries and forms: what a case says is what runs, shown by what a server sees."""

import asyncio
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from claims import CLAIMS
from harness import BENCHMARKS
from helpers import DEADLINE, finish, posix_only, start_python

IN_FLIGHT = 150  # more than the 100 that aiohttp and httpx2 are content with by default


class Watch:
    """What a server sees of one run; it answers nobody before all that can be are in flight."""

    def __init__(self, in_flight: int) -> None:
        """Expect so many requests in flight."""
        self.expected = in_flight
        self.asked = Counter[int]()
        self.connections = self.in_flight = self.most_in_flight = 0
        self.through_proxy = False
        self.complete = threading.Event()
        self.lock = threading.Lock()

    def note(self, item_id: int, *, first_of_connection: bool, through_proxy: bool) -> None:
        """Count a request, and wait for the others."""
        with self.lock:
            self.asked[item_id] += 1
            self.connections += first_of_connection
            self.through_proxy = self.through_proxy or through_proxy
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            if self.in_flight >= self.expected:
                self.complete.set()
        self.complete.wait(DEADLINE)
        if item_id == 9:
            time.sleep(0.8)
        with self.lock:
            self.in_flight -= 1


class Server(ThreadingHTTPServer):
    """A server, which as a proxy answers by itself; the path says which run a request is of."""

    request_queue_size = 2048

    def __init__(self, watches: dict[str, Watch]) -> None:
        """Start to listen on a free port."""
        super().__init__(("127.0.0.1", 0), Connection)
        self.watches = watches


class Connection(BaseHTTPRequestHandler):
    """Answers what comes over one connection: rightly, but for some items."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    requests = 0

    def do_GET(self) -> None:
        """Answer a request."""
        match = re.fullmatch(r"(http://[^/]+)?/(\w+)/items/(\d+)", self.path)
        assert match, self.path
        item_id = int(match[3])
        self.requests += 1
        self.server.watches[match[2]].note(
            item_id, first_of_connection=self.requests == 1, through_proxy=bool(match[1])
        )
        body = b'{"item_id":%d}' % (4 if item_id == 3 else item_id)
        self.send_response({5: 307, 7: 404}.get(item_id, 200))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "6")  # which counts with a status of 307
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def watching(watches: dict[str, Watch]) -> Iterator[str]:
    """Run a server that notes what it sees; give its address."""
    with Server(watches) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            for watch in watches.values():
                watch.complete.set()
            server.shutdown()


# It does what the child of a run does, for several runs.
CHILD = """
import json, sys
from harness.child import load, run_client
runs = [run_client(load(settings), record_spans=False) for settings in json.loads(sys.argv[1])]
print(json.dumps(runs))
"""


def run_all(settings: list[dict[str, Any]], url: str) -> list[dict[str, Any]]:
    """Run scripts as the child of a run does, with a proxy in the environment."""
    arguments = ("-E", "-c", CHILD, json.dumps(settings))
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), url)
    outcome = finish(start_python(BENCHMARKS, *arguments, no_proxy="", NO_PROXY="", **proxy))
    assert outcome.stdout, outcome
    counted: list[dict[str, Any]] = json.loads(outcome.stdout)
    return counted


TUTORIAL = ("requests_environment", "requests_get", "shared_session")  # they use the proxy
POOLS = ("pyreqwest_async", "pyreqwest_blocking", "httpx2_async", "shared_session")
SCRIPTS: dict[str, dict[str, None]] = {}  # of each replacement
for declared in (case for claim in CLAIMS for case in claim.cases):
    if not declared.script.startswith("benchmarks/"):
        SCRIPTS.setdefault(declared.replacement, {})[declared.script] = None


@pytest.mark.parametrize("replacement", SCRIPTS)
def test_what_the_server_sees(replacement: str) -> None:
    watches: dict[str, Watch] = {}
    settings: list[dict[str, Any]] = []
    with watching(watches) as url:
        for script in SCRIPTS[replacement]:
            blocking = script == "test_blocking.py"
            name = script.removesuffix(".py")
            in_flight = 1 if blocking else 100 if replacement == "forms.task_each" else IN_FLIGHT
            watches[name] = Watch(in_flight)
            watches[f"hanging_{name}"] = Watch(2)
            asked: dict[str, Any] = {} if blocking else {"CONCURRENCY": IN_FLIGHT}
            case = {"script": script, "replacement": replacement}
            asked |= {"BASE_URL": f"{url}/{name}", "TIMEOUT": 10}
            settings.append(case | {"requests": 12 if blocking else 170, "settings": asked})
            if replacement != "forms.task_each":  # it has no time-out
                asked = asked | {"BASE_URL": f"{url}/hanging_{name}", "TIMEOUT": 0.5}
                settings.append(case | {"requests": 1, "settings": asked})
        counted = run_all(settings, url)

    for sent, run in zip(settings, counted, strict=True):
        watch = watches[sent["settings"]["BASE_URL"].rpartition("/")[2]]
        requests = sent["requests"]
        assert watch.asked == dict.fromkeys(range(1, requests + 1), 1)
        assert watch.through_proxy == replacement.endswith(TUTORIAL)
        if requests == 1:  # it hangs
            assert (run["ok"], sum(run["failures"].values())) == (0, 1)
            assert 0.4 < run["elapsed_s"] < 5  # the default of httpx2; the others' is longer
            continue
        assert run["failures"] == {"wrong answer": 1, "HTTP 307": 1, "HTTP 404": 1}
        assert run["ok"] == requests - 3
        assert run["max_ms"] >= 800  # TIMEOUT is longer
        assert watch.most_in_flight == watch.expected
        if replacement == "libraries.requests_get":
            assert watch.connections == requests
        elif not replacement.endswith(POOLS):
            assert watch.connections == watch.expected


def test_every_library_and_form_is_in_a_study() -> None:
    files = [*BENCHMARKS.glob("libraries/*.py"), *BENCHMARKS.glob("forms/*.py")]
    modules = {f"{path.parent.name}.{path.stem}" for path in files if path.stem != "__init__"}
    assert modules - {"forms.processes"} == set(SCRIPTS) - {""}


@posix_only
def test_uvloop_is_the_loop() -> None:
    from forms import on_uvloop

    async def fetch_all(tally: list[str]) -> None:
        tally.append(type(asyncio.get_running_loop()).__module__)

    script: Any = SimpleNamespace(original=SimpleNamespace(fetch_all=fetch_all))
    tally: list[str] = []
    on_uvloop.fetch_all(script, tally)
    assert tally == ["uvloop"]
