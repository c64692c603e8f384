"""What holds for all tests: where they import from, and that they leave no process behind."""

import importlib
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from helpers import CLIENTS, Server, uvicorn

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

# As a shell's & starts it, Ctrl-C would stay ignored in compare.py, and tests of it press Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

MARK = "CONCURRENCY_TESTS"  # in the environment of each process that the tests start


def marked_processes() -> list[psutil.Process]:
    """Return the processes that these tests started, wherever they hang in the process tree."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == os.environ[MARK] and process.pid != os.getpid():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Fail at the end of the run if a process that a test started is still there."""
    # Each of pytest-xdist's workers looks at what it started itself.
    os.environ[MARK] = uuid.uuid4().hex
    yield
    _, left = psutil.wait_procs(marked_processes(), timeout=5)
    names = [f"{process.pid}: {' '.join(process.cmdline())}" for process in left]
    for process in left:
        process.kill()
    assert not names, "tests left processes behind, which are killed now"


@pytest.fixture(params=CLIENTS)
def script(request: pytest.FixtureRequest) -> ModuleType:
    """Each of the three scripts, imported."""
    return importlib.import_module(f"test_{request.param}")


@pytest.fixture(scope="session")
def server(no_process_is_left: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server."""
    with uvicorn(tmp_path_factory.mktemp("server") / "log", "--no-access-log") as running:
        yield running
