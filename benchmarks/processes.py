"""Send all requests from several processes, each of which runs one of the scripts on its part.

Start the server in another terminal with `uvicorn main:app --no-access-log`. Then:

$ python benchmarks/processes.py
processes, threads (requests): 24,999 of 24,999 ok in 5.00 s
  4,997 requests/s, p50 5.98 ms, p99 15.41 ms, max 32.83 ms, CPU 144%

The clock starts when all processes have started. The script takes no arguments. To change what it
sends, edit the settings below its imports. It needs the scripts: in the folder above or beside it.
"""

import asyncio
import inspect
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

sys.path.append(str(Path(__file__).resolve().parent.parent))  # where the scripts are

import test_blocking
from test_blocking import Tally

NAME = "processes, threads (requests)"
SCRIPT = "test_thread"  # what each process runs
PROCESSES = 2
BASE_URL = "http://127.0.0.1:8000"
CONCURRENCY = 32  # requests in flight at once, in all processes together
TIMEOUT = 10  # seconds
urls = range(1, 25000)  # item ids: a range, list or tuple of whole numbers

# By their connections, which stay open, because a process ends when its own one closes.
started: dict[Any, Any] = {}

PAUSE = 0.1  # seconds between two messages of a process: one for each answer would cost too much


class Sender:
    """The tally of one process: sends what it counted to the parent, some ten times a second."""

    def __init__(self, connection: Connection) -> None:
        """Send over this connection."""
        self.connection = connection
        self.lock = threading.Lock()  # threads share the rest
        self.answers: list[tuple[str | None, float]] = []
        self.cpu = time.process_time()
        self.sent = time.perf_counter()

    def add(self, failure: str | None, latency: float) -> None:
        """Count one answer and its latency in seconds."""
        with self.lock:
            self.answers.append((failure, latency))
            if time.perf_counter() > self.sent + PAUSE:
                self.send()

    def send(self) -> None:
        """Send the answers, and the processor time used, since the last time."""
        cpu = time.process_time()
        tell(self.connection, (self.answers, cpu - self.cpu))
        self.answers = []
        self.cpu = cpu
        self.sent = time.perf_counter()


def settings_of_each() -> dict[str, object]:
    """Return the settings of the script in each process."""
    in_flight = max(1, CONCURRENCY // PROCESSES)
    return {"BASE_URL": BASE_URL, "TIMEOUT": TIMEOUT, "CONCURRENCY": in_flight}


def run(result: Any) -> Any:
    """Return what a function of a script returned, after running it if it is a coroutine."""
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def tell(connection: Connection, message: object) -> None:
    """Send a message to the parent; if it has ended, this process is about to end, too."""
    with suppress(ConnectionError):
        connection.send(message)


def listen(connection: Connection, go: threading.Event) -> None:
    """Say when the parent gives the word to start, and end this process with the parent."""
    with suppress(EOFError, ConnectionError):
        connection.recv()
        go.set()
        connection.recv()
    os._exit(1)


def fetch_part(
    connection: Connection, name: str, settings: dict[str, object], part: Sequence[int]
) -> None:
    """Run a script's own fetch_all on a part of the items, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Windows, this is not inherited
    go = threading.Event()
    threading.Thread(target=listen, args=[connection, go], daemon=True).start()
    script = import_module(name)
    vars(script).update(settings, urls=part)
    tell(connection, "ready")
    go.wait()
    sender = Sender(connection)
    run(script.fetch_all(sender))
    sender.send()
    tell(connection, "done")
    threading.Event().wait()  # ending now would take time from the other processes


def receive(connection: Connection, process: Any) -> Any:
    """Return the next message of a process; if it has ended, say so and return "done"."""
    try:
        return connection.recv()
    except (EOFError, ConnectionError):
        process.join()
        print(f"A process ended with exit code {process.exitcode}.", file=sys.stderr)
        return "done"


def fetch_all(tally: Tally) -> None:
    """Request all items, with PROCESSES processes that each have a part of them."""
    context = multiprocessing.get_context("spawn")
    # They inherit that Ctrl-C is ignored: it is for the parent alone, which ends them.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for i in range(PROCESSES):
        connection, end_of_child = context.Pipe()
        arguments = (end_of_child, SCRIPT, settings_of_each(), urls[i::PROCESSES])
        started[connection] = context.Process(target=fetch_part, args=arguments, daemon=True)
        started[connection].start()
        end_of_child.close()
    signal.signal(signal.SIGINT, handler)

    running = {each for each, process in started.items() if receive(each, process) == "ready"}
    tally.start, tally.cpu_start = time.perf_counter(), time.process_time()
    for connection in running:
        connection.send("go")
    while running:
        for ready in wait(running, timeout=0.1):  # on Windows, Ctrl-C works between two waits
            message = receive(cast("Connection", ready), started[ready])
            if message == "done":
                running.remove(ready)
                continue
            answers, cpu = message
            for failure, latency in answers:
                tally.add(failure, latency)
            tally.cpu_start -= cpu  # adds it to the CPU in the report


def main() -> int:
    """Request all items as the blocking script does, with what is defined here."""
    script = import_module(SCRIPT)
    vars(script).update(settings_of_each(), urls=urls)
    probe = script.probe
    vars(test_blocking).update(
        NAME=NAME,
        BASE_URL=BASE_URL,
        TIMEOUT=TIMEOUT,
        urls=urls,
        item_url=script.item_url,
        probe=lambda: run(probe()),
        fetch_all=fetch_all,
        __doc__=__doc__,
    )
    return test_blocking.main()


if __name__ == "__main__":
    sys.exit(main())
