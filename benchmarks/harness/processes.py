"""Start and end child processes, from the parent's side.

A child can't outlive its parent: its standard input is a pipe from the parent, and
child.py ends the child's process group when that pipe closes, however the parent ended.
On Windows, which has no process groups, it ends the child alone.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO

from . import BENCHMARKS

GRACE_PERIOD = 2  # seconds that a child has to end after SIGTERM

# Switches of Python that slow down what is measured.
SLOW = {
    "PYTHONASYNCIODEBUG",
    "PYTHONDEVMODE",
    "PYTHONDUMPREFS",
    "PYTHONMALLOC",
    "PYTHONMALLOCSTATS",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONTRACEMALLOC",
    "PYTHONVERBOSE",
}


class Stopped(SystemExit):
    """A signal asks the program to stop: Ctrl-C, SIGTERM or a closed terminal.

    If nobody catches it, the program ends with the exit code that a shell expects then.
    """


def stop_on_signals() -> None:
    """Raise Stopped on the first signal to stop, and ignore the following ones.

    A signal that this process inherited as ignored, as nohup makes it, stays ignored.
    """
    stopping = False

    def stop(signal_number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            raise Stopped(128 + signal_number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


@contextmanager
def start_child(
    arguments: Sequence[str],
    *,
    stdout: IO[bytes],
    stderr: IO[bytes],
    python: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run child.py with some arguments in a process group of its own; end the group on leaving.

    Its Python is this one or that of a command. Its folder and its environment are those of
    this process, with some further variables.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in SLOW}
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(BENCHMARKS)]))
    process = subprocess.Popen(
        # -P: the folder in which the user is can hold modules of any name.
        [*(python.split() or [sys.executable]), "-P", "-m", "harness.child", *arguments],
        env=inherited | {"PYTHONPATH": path} | dict(environment or {}),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a child and all that it started: politely first, then by force."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_PERIOD)
    kill_group(process)
    process.wait()
    if process.stdin:
        process.stdin.close()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a child's process group; where there are none, the child."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # nothing is left (macOS: zombies)
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
