"""Start the server on a free port of this machine."""

import json
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from .processes import start_child
from .runs import Case, MeasurementError, ServerSettings

START_TIMEOUT = 60  # seconds that a server may take until it takes connections
CONNECT_TIMEOUT = 10  # seconds that one may take which somebody else started


@dataclass
class Server:
    """A server that takes connections; process is None if somebody else started it."""

    url: str
    process: subprocess.Popen[bytes] | None = None
    ca: str | None = None  # the file with the authority of its certificate, if it has one

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


def find_server(url: str) -> Server:
    """Return a server that somebody else started; raise MeasurementError if it can't be reached.

    All that is asked of it is that it takes connections. The rest is up to the scripts.
    """
    address = urlsplit(url)
    try:
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("it does not start with http:// or https:// and a host")
        port = address.port or {"http": 80, "https": 443}[address.scheme]
        socket.create_connection((address.hostname, port), CONNECT_TIMEOUT).close()
    except TimeoutError:
        raise MeasurementError(f"{url}: no connection within {CONNECT_TIMEOUT} s") from None
    except (OSError, ValueError) as error:
        raise MeasurementError(f"{url}: {error}") from None
    return Server(url)


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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ca = make_certificates(folder) if settings.tls else None
        certificate = str(folder / "certificate.pem") if settings.tls else None
        log = folder / "log"
        with (
            log.open("wb") as log_file,
            (folder / "access log").open("wb") as access_log,
            start_child(
                ["server", json.dumps(asdict(settings) | {"certificate": certificate})],
                stdout=access_log,
                stderr=log_file,
                environment={"LATENCY_MS": str(settings.latency_ms)},
            ) as process,
        ):
            yield Server(wait_until_up(process, log), process, ca)


def make_certificates(folder: Path) -> str:
    """Write a certificate for 127.0.0.1 with its key, and its authority; return the latter's path."""
    import trustme  # only the studies need it

    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "certificate.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return str(folder / "ca.pem")


def wait_until_up(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address of a server that was just started, as soon as it takes connections."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        # The log is opened anew each time. Through the file that the server writes to, reading
        # would move the position at which it writes.
        address = re.search(r"running on (https?://[\d.:]+\d)", log.read_text(errors="replace"))
        if address:
            try:
                return find_server(address[1]).url
            except MeasurementError:
                pass  # its workers are not ready
        time.sleep(0.02)
    last_line = log.read_text(errors="replace").strip().rpartition("\n")[2]
    within = "" if process.poll() is not None else f" within {START_TIMEOUT} s"
    raise MeasurementError(f"The server did not start{within}. {last_line}")
