"""A script in a real terminal: a pseudo-terminal, so not on Windows."""

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import warnings
from pathlib import Path

from helpers import environment


def run_in_terminal(script: Path, *, until: bytes, then_type: bytes) -> tuple[int, str]:
    """Run a script in a terminal of 24 lines and 110 columns; return its exit code and the screen.

    The keys are typed as soon as the screen shows what `until` says.
    """
    with warnings.catch_warnings():
        # Python warns of forks while threads run; here the child becomes another program at once.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(script.parent)
        os.execve(sys.executable, [sys.executable, script.name], environment())
    screen = b""
    typed = False
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 110, 0, 0))
        while data := read(terminal):
            screen += data
            if not typed and until in screen:
                os.write(terminal, then_type)
                typed = True
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert typed, screen
    return os.waitstatus_to_exitcode(status), screen.decode()


def read(terminal: int) -> bytes:
    """Return what a program writes next to a terminal; nothing if it has ended."""
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's way to say that the program closed the terminal
        return b""
