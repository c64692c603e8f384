"""What the tests share: real servers, and the real scripts run as a user runs them."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

ROOT = Path(__file__).parent.parent
CLIENTS = ("async", "thread", "blocking")
DEADLINE = 30  # seconds that anything may take before a test gives up on it

ANSWER = re.compile(
    r"(?P<label>\w+ \(\w+\)): (?P<ok>[\d,]+) of (?P<total>[\d,]+) ok in (?P<elapsed>\d+\.\d\d) s"
)
FIGURES = re.compile(
    r"  (?P<throughput>[\d,]+) requests/s, p50 (?P<p50>\d+\.\d\d) ms, p99 (?P<p99>\d+\.\d\d) ms, "
    r"max (?P<max>\d+\.\d\d) ms, CPU (?P<cpu>\d+)%"
)
FAILURE = re.compile(r"  (?P<count>[\d,]+) x (?P<kind>.+)")


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Return as soon as the condition holds; fail the test if it never does."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited {DEADLINE} s in vain for {what}"
        time.sleep(0.01)


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without what would change how the programs behave."""
    changing = {"LATENCY_MS", "PYTHONUNBUFFERED"}
    kept = {name: value for name, value in os.environ.items() if name not in changing}
    return kept | {"PYTHONUTF8": "1"} | extra


@dataclass
class Server:
    """A running uvicorn: its process, its address, and the file that holds its log."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def answers(self) -> bool:
        """Say whether a request to it is answered."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            with requests.Session() as session:
                session.trust_env = False
                return session.get(self.url, timeout=DEADLINE).ok
        except requests.ConnectionError:
            return False


@contextmanager
def uvicorn(
    log: Path, *options: str, port: int | None = None, cwd: Path = ROOT, **env: str
) -> Iterator[Server]:
    """Run `uvicorn main:app` on a free port, and stop it in the end."""
    port = port or free_port()
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment(**env), stdout=output, stderr=output
        )
    try:
        server = Server(process, f"http://127.0.0.1:{port}", log)
        wait_for(server.answers, "the server")
        yield server
    finally:
        if process.poll() is None:
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
    concurrency: object = 32,
    timeout: float = 10,
    replace: Mapping[str, str] | None = None,
) -> Path:
    """Copy a client into an empty folder and edit its settings there, as its users do.

    `replace` has further texts to replace, as a learner does who makes a mistake.
    """
    source = (ROOT / f"test_{client}.py").read_text(encoding="utf-8")
    settings = {
        'BASE_URL = "http://127.0.0.1:8000"\n': f'BASE_URL = "{base_url}"\n',
        "TIMEOUT = 10 ": f"TIMEOUT = {timeout} ",
        "urls = range(1, 25000) ": f"urls = {urls} ",
    }
    if client != "blocking":
        settings["CONCURRENCY = 32 "] = f"CONCURRENCY = {concurrency} "
    for line, replacement in settings.items():
        assert source.count(f"\n{line}") == 1, f"{line!r} is not a setting of test_{client}.py"
        source = source.replace(f"\n{line}", f"\n{replacement}")
    for text, replacement in (replace or {}).items():
        assert text in source, f"{text!r} is not in test_{client}.py"
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
        """The parts of the first two lines of the report, as printed."""
        answer, figures, *_ = [*self.stdout.splitlines(), "", ""]
        matches = ANSWER.fullmatch(answer), FIGURES.fullmatch(figures)
        assert matches[0] and matches[1], self
        return matches[0].groupdict() | matches[1].groupdict()

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
        matches = [FAILURE.fullmatch(line) for line in self.stdout.splitlines()[2:]]
        found = [(m["kind"], int(m["count"].replace(",", ""))) for m in matches if m]
        assert len(found) == len(matches) == len(dict(found)), self
        return dict(found)

    def assert_accounted(self, total: int) -> None:
        """Assert that no request is lost or counted twice, and that there is no noise."""
        assert self.total == total, self
        assert self.ok + sum(self.failures.values()) == total, self
        assert self.stderr == "", self

    @property
    def one_line(self) -> str:
        """The line with which a script ends that has not sent its requests."""
        assert self.stdout == "", self
        (line,) = self.stderr.splitlines()
        return line


def start_python(folder: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """Start Python in a folder, with its output captured."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def start(script: Path, **env: str) -> subprocess.Popen[str]:
    """Start a script in its own folder, with its output captured."""
    return start_python(script.parent, script.name, **env)


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


def run(script: Path, **env: str) -> Outcome:
    """Run a script to its end."""
    return finish(start(script, **env), seconds=2 * DEADLINE)


def press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """Send what Ctrl-C sends."""
    process.send_signal(signal.SIGINT)
