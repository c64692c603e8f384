"""Start the server on a free port of this machine."""

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import requests

from .processes import start_child
from .runs import Case, MeasurementError, ServerSettings

START_TIMEOUT = 30  # seconds that a server may take until it answers


@dataclass
class Server:
    """A server that answers; process is None if somebody else started it."""

    url: str
    process: subprocess.Popen[bytes] | None = None

    def cpu_seconds(self) -> float | None:
        """Return the processor time used so far, with all workers; None if it can't be read."""
        if self.process is None:
            return None
        try:
            parent = psutil.Process(self.process.pid)
            family = [parent, *parent.children(recursive=True)]
            used = [process.cpu_times() for process in family]
        except psutil.Error:
            return None
        return sum(times.user + times.system for times in used)

    def check_alive(self) -> None:
        """Raise MeasurementError if the server has ended; its workers may still answer."""
        if self.process and self.process.poll() is not None:
            raise MeasurementError(f"The server ended with exit code {self.process.returncode}.")


def answers(url: str, timeout: float) -> bool:
    """Return whether a server answers at this address within so many seconds."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            # The head of the answer is enough: the body may never end.
            session.get(url, timeout=timeout, allow_redirects=False, stream=True)
        except (requests.RequestException, ValueError):  # ValueError: a malformed header
            return False
        return True


@contextmanager
def start_servers(cases: Sequence[Case]) -> Iterator[dict[ServerSettings, Server]]:
    """Run each server that some cases need, as long as the `with` block lasts."""
    with ExitStack() as stack:
        yield {
            settings: stack.enter_context(start_server(settings))
            for settings in dict.fromkeys(case.server for case in cases)
        }


@contextmanager
def start_server(settings: ServerSettings) -> Iterator[Server]:
    """Run a server as long as the `with` block lasts; raise MeasurementError if it doesn't start."""
    environment = os.environ | {"LATENCY_MS": str(settings.latency_ms)}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with (
            log.open("wb") as log_file,
            (Path(folder) / "access log").open("wb") as access_log,
            start_child(
                ["server", json.dumps(asdict(settings))],
                stdout=access_log,
                stderr=log_file,
                environment=environment,
            ) as process,
        ):
            yield Server(wait_until_up(process, log), process)


def wait_until_up(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address of a server that was just started, as soon as it answers there."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        # The log is opened anew each time. Through the file that the server writes to, reading
        # would move the position at which it writes.
        address = re.search(r"running on (http://[\d.:]+\d)", log.read_text(errors="replace"))
        if address and answers(address[1], timeout=deadline - time.monotonic()):
            return address[1]
        time.sleep(0.02)
    raise MeasurementError(f"The server did not start. {log.read_text(errors='replace')}".strip())
