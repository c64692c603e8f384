"""Request every item from several processes; each runs one of the scripts on its part of the items.

It needs the scripts, so start it in the project's folder, or copy it there. Start the server in
another terminal with `uvicorn main:app --no-access-log`. Then:

$ python -m benchmarks.forms.processes
processes, threads (requests): 24,999 of 24,999 ok in 21.38 s
  1,169 requests/s, p50 20.90 ms, p99 52.71 ms, max 134.66 ms, CPU 149%

The clock starts when all processes have started. The script takes no arguments. To change what it
sends, edit the settings below its imports.
"""

import asyncio
import inspect
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Sequence
from importlib import import_module
from multiprocessing.connection import Connection, wait
from typing import cast

import test_blocking
from test_blocking import Tally

NAME = "processes, threads (requests)"
SCRIPT = "test_thread"  # what each process runs
PROCESSES = 2
BASE_URL = "http://127.0.0.1:8000"
CONCURRENCY = 32  # requests in flight at once, in all processes together
TIMEOUT = 10  # seconds
urls = range(1, 25000)  # item ids: a range, list or tuple of whole numbers


class Sender:
    """The tally of one process: sends each answer to the parent, which counts it."""

    def __init__(self, connection: Connection) -> None:
        """Send over this connection."""
        self.connection = connection
        self.lock = threading.Lock()  # threads share the connection
        self.cpu = time.process_time()

    def add(self, failure: str | None, latency: float) -> None:
        """Send one answer, with the processor time used since the last one."""
        with self.lock:
            cpu = time.process_time()
            self.connection.send((failure, latency, cpu - self.cpu))
            self.cpu = cpu


def fetch_part(
    connection: Connection, name: str, settings: dict[str, object], part: Sequence[int]
) -> None:
    """Run a script's own fetch_all on a part of the items, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    script = import_module(name)
    vars(script).update(settings, urls=part)
    connection.send("ready")
    connection.recv()
    finished = script.fetch_all(Sender(connection))
    if inspect.iscoroutine(finished):
        asyncio.run(finished)
    connection.send("done")
    connection.poll(None)  # ending now would take time from the other processes


def fetch_all(tally: Tally) -> None:
    """Request all items, with PROCESSES processes that each have a part of them."""
    settings = {
        "BASE_URL": BASE_URL,
        "TIMEOUT": TIMEOUT,
        "CONCURRENCY": max(1, CONCURRENCY // PROCESSES),
    }
    context = multiprocessing.get_context("spawn")
    connections = []
    for i in range(PROCESSES):
        connection, end_of_child = context.Pipe()
        arguments = (end_of_child, SCRIPT, settings, urls[i::PROCESSES])
        context.Process(target=fetch_part, args=arguments, daemon=True).start()
        end_of_child.close()
        connections.append(connection)

    for connection in connections:
        connection.recv()  # "ready"
    tally.start_clock()
    for connection in connections:
        connection.send("go")
    running = list(connections)
    while running:
        # On Windows, a Ctrl-C takes effect only between two waits.
        for ready in cast("list[Connection]", wait(running, timeout=0.1)):
            message = ready.recv()
            if message == "done":
                running.remove(ready)
            else:
                failure, latency, cpu = message
                tally.add(failure, latency)
                tally.cpu_start -= cpu  # adds it to the CPU in the report


def main() -> int:
    """Request all items as the blocking script does, with the fetch_all and settings from here."""
    test_blocking.NAME = NAME
    test_blocking.BASE_URL = BASE_URL
    test_blocking.TIMEOUT = TIMEOUT
    test_blocking.urls = urls
    test_blocking.fetch_all = fetch_all
    test_blocking.__doc__ = __doc__
    return test_blocking.main()


if __name__ == "__main__":
    sys.exit(main())
