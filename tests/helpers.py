"""What the tests share: real servers, and the real scripts run as a user runs them."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import psutil
import pytest
import requests

ROOT = Path(__file__).parent.parent
CLIENTS = ("async", "thread", "blocking")
DEADLINE = 120  # seconds that anything may take before a test gives up on it

each_client = pytest.mark.parametrize("client", CLIENTS)
posix_only = pytest.mark.skipif(os.name != "posix", reason="no such signals on Windows")

REPORT = re.compile(
    r"(?P<name>\w+ \(\w+\)): (?P<ok>[\d,]+) of (?P<total>[\d,]+) ok in (?P<elapsed>\d+\.\d\d) s\n"
    r"(  (?P<throughput>[\d,]+) requests/s, p50 (?P<p50>\d+\.\d\d) ms, p99 (?P<p99>\d+\.\d\d) ms, "
    r"max (?P<max>\d+\.\d\d) ms, CPU (?P<cpu>\d+)%\n)?"
    r"(?P<failures>(  [\d,]+ x .+\n)*)"
)


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Return as soon as the condition holds; fail the test if it never does."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited {DEADLINE} s in vain for {what}"
        time.sleep(0.01)


@contextmanager
def reserved_port() -> Iterator[int]:
    """Hold a port that refuses connections, until a server of this test listens on it."""
    with socket.socket() as holder:
        # Who asks for a port with this option as well gets it, and nobody gets it by chance.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        yield port


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on; another program can take it."""
    with reserved_port() as port:
        return port


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without what would change how the programs behave."""
    changing = {"LATENCY_MS", "PYTHONUNBUFFERED"}
    kept = {name: value for name, value in os.environ.items() if name not in changing}
    return kept | {"PYTHONUTF8": "1"} | extra


@dataclass
class Server:
    """A running uvicorn: its process, and the file that holds its log."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Its address, which it logs as soon as it listens; empty before."""
        found = re.search(r"running on (\S+)", self.log.read_text(errors="replace"))
        return found[1] if found else ""

    def answers(self) -> bool:
        """Say whether a request to it is answered."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.url) and get(self.url).ok
        except requests.ConnectionError:
            return False


def get(url: str) -> requests.Response:
    """Request once, past any proxy."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=DEADLINE)


@contextmanager
def uvicorn(log: Path, *options: str, port: int = 0, **env: str) -> Iterator[Server]:
    """Run `uvicorn main:app` on a port that the system chooses, and stop it in the end."""
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(**env), stdout=output, stderr=output
        )
    try:
        server = Server(process, log)
        wait_for(server.answers, "the server")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def edited(
    client: str,
    folder: Path,
    *,
    base_url: str,
    urls: str = "range(1, 101)",
    concurrency: int = 32,
    timeout: float = 10,
    replace: Mapping[str, str] | None = None,
) -> Path:
    """Copy a client into an empty folder and edit its settings there, as its users do.

    `replace` has further texts to replace, as a learner does who makes a mistake.
    """
    source = (ROOT / f"test_{client}.py").read_text(encoding="utf-8")
    settings = {
        '\nBASE_URL = "http://127.0.0.1:8000"\n': f'\nBASE_URL = "{base_url}"\n',
        "\nTIMEOUT = 10  # seconds\n": f"\nTIMEOUT = {timeout}\n",
        "\nurls = range(1, 25000)  # item ids": f"\nurls = {urls}  # item ids",
    }
    if client != "blocking":
        settings["\nCONCURRENCY = 32  # requests"] = f"\nCONCURRENCY = {concurrency}  # requests"
    for text, replacement in [*settings.items(), *(replace or {}).items()]:
        assert source.count(text) == 1, f"{text!r} does not stand once in test_{client}.py"
        source = source.replace(text, replacement)
    script = folder / f"test_{client}.py"
    script.write_text(source, encoding="utf-8")
    return script


@dataclass
class Outcome:
    """What a client printed and how it ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def figures(self) -> dict[str, str]:
        """The parts of the report, as printed; those of a line that is not there are None."""
        match = REPORT.fullmatch(self.stdout)
        assert match, self
        return match.groupdict()

    @property
    def ok(self) -> int:
        """The number of requests that went well."""
        return int(self.figures["ok"].replace(",", ""))

    @property
    def total(self) -> int:
        """The number of requests asked for."""
        return int(self.figures["total"].replace(",", ""))

    @property
    def failures(self) -> dict[str, int]:
        """How many requests failed in which way, `not answered` among them."""
        lines = [line.split(" x ", 1) for line in self.figures["failures"].splitlines()]
        found = {kind: int(count.replace(",", "")) for count, kind in lines}
        assert len(found) == len(lines), self
        return found

    def assert_accounted(self, total: int) -> None:
        """Assert that no request is lost or counted twice, and that there is no noise."""
        assert self.total == total, self
        assert self.ok + sum(self.failures.values()) == total, self
        assert self.stderr == "", self
        if self.ok:
            latencies = [float(self.figures[name]) for name in ("p50", "p99", "max")]
            assert latencies[0] > 0 and latencies == sorted(latencies), self
        else:
            assert self.figures["throughput"] is None, self

    @property
    def one_line(self) -> str:
        """The line with which a script ends that has not sent its requests."""
        assert self.stdout == "", self
        (line,) = self.stderr.splitlines()
        return line


def call_main(script: ModuleType, monkeypatch: pytest.MonkeyPatch, **settings: object) -> int:
    """Call main() of an imported script that has these settings; return the exit code."""
    monkeypatch.setattr(script, "signal", Mock())  # the handlers of this process stay
    monkeypatch.setattr("sys.argv", [script.__file__])
    for name, value in settings.items():
        monkeypatch.setattr(script, name, value, raising=name != "CONCURRENCY")
    exit_code: int = script.main()
    return exit_code


def start_python(folder: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """Start Python in a folder, with its output captured."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding=env.get("PYTHONIOENCODING", "utf-8"),
    )


def start(script: Path, *arguments: str, before: str = "", **env: str) -> subprocess.Popen[str]:
    """Start a script in its own folder; `before` is code that the same process runs first."""
    arguments = (script.name, *arguments)
    if before:
        become = "import os, sys; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        arguments = ("-c", f"{before}\n{become}", *arguments)
    return start_python(script.parent, *arguments, **env)


def finish(process: subprocess.Popen[str], seconds: float = DEADLINE) -> Outcome:
    """Wait for a started script to end by itself."""
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        if process.poll() is None:
            family = psutil.Process(process.pid)
            for member in (*family.children(recursive=True), family):
                member.kill()
        stdout, stderr = process.communicate(timeout=DEADLINE)
        raise AssertionError(f"still running after {seconds} s: {stdout}{stderr}") from None
    return Outcome(process.returncode, stdout, stderr)


def run(script: Path, *arguments: str, before: str = "", **env: str) -> Outcome:
    """Run a script to its end."""
    return finish(start(script, *arguments, before=before, **env))
