"""Start the API on a free port of this machine."""

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import IO

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


def is_up(url: str, timeout: float = START_TIMEOUT) -> bool:
    """Say whether a server answers at this address within so many seconds."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            session.get(url, timeout=timeout, allow_redirects=False)
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
    arguments = ["server", json.dumps(asdict(settings))]
    with (
        tempfile.TemporaryFile() as log,
        open_access_log(settings) as access_log,
        start_child(arguments, stdout=access_log, stderr=log, environment=environment) as process,
    ):
        yield Server(wait_until_up(process, log), process)


def wait_until_up(process: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    """Return the address of a server that was just started, as soon as it answers there."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        # \S* stands for the colours that uvicorn writes when its output is a terminal.
        address = re.search(r"running on \S*(http://[\d.:]+)", read_log(log))
        if address and is_up(address[1], timeout=deadline - time.monotonic()):
            return address[1]
        time.sleep(0.02)
    raise MeasurementError(f"The server did not start. {read_log(log).strip()}".strip())


def read_log(log: IO[bytes]) -> str:
    """Return what a child has written so far; it goes on where reading stops, at the end."""
    log.seek(0)
    return log.read().decode(errors="replace")


@contextmanager
def open_access_log(settings: ServerSettings) -> Iterator[int]:
    """Give a file descriptor for the access log: a terminal, as people see it, or a file.

    What is written to the terminal is read and thrown away. Without an access log,
    and on Windows, which has no pseudo-terminals, it is a temporary file.
    """
    if settings.access_log and hasattr(os, "openpty"):
        reader, terminal = os.openpty()
        threading.Thread(target=discard, args=[reader], daemon=True).start()
        try:
            yield terminal
        finally:
            os.close(terminal)
    else:
        with tempfile.TemporaryFile() as file:
            yield file.fileno()


def discard(reader: int) -> None:
    """Read from a pseudo-terminal until all programs that write to it have ended."""
    with open(reader, "rb", buffering=0) as terminal:
        try:
            while terminal.read(65_536):
                pass
        except OSError:  # how Linux says that the last writer has closed it
            pass
