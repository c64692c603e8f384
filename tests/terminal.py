"""A script in a real terminal: a pseudo-terminal, so not on Windows."""

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import warnings
from collections.abc import Callable
from pathlib import Path

from helpers import environment


def run_in_terminal(
    script: Path, press: Callable[[Callable[[bytes], None]], None] | None = None
) -> tuple[int, str]:
    """Run a script in a terminal of 24 lines and 110 columns; return its exit code and the screen.

    `press`, if given, is called once the script runs, with a function that types on the keyboard.
    """
    with warnings.catch_warnings():
        # Python warns of forks while threads run; here the child becomes another program at once.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(script.parent)
        os.execve(sys.executable, [sys.executable, script.name], environment())
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 110, 0, 0))
        if press:
            press(lambda keys: (os.write(terminal, keys), None)[1])
        screen = read_all(terminal)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), screen.decode()


def read_all(terminal: int) -> bytes:
    """Read all that a program writes to a terminal, until it ends."""
    screen = b""
    while True:
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # Linux's way to say that the program closed the terminal
            return screen
        if not data:
            return screen
        screen += data
