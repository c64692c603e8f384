"""The child process: run a server or a client, and end with the parent.

`python -P -m harness.child ROLE SETTINGS`, with SETTINGS in JSON, runs uvicorn (`server`), loads a
script and says what it is (`describe`), or runs it and says what it counted (`client`).

The client may run on another Python, in which only the packages of the script are installed.
"""

import asyncio
import inspect
import json
import math
import multiprocessing
import os
import re
import shlex
import signal
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from types import ModuleType
from typing import Any

from . import BENCHMARKS, PROJECT
from .scripts import load_script, packages_of, replace_functions


def watch_parent(lifeline: int) -> None:
    """Wait until the parent has ended, and then end this process and all that it started."""
    os.read(lifeline, 1)  # the parent writes nothing: this returns when its end of the pipe closes
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def serve(settings: dict[str, Any]) -> None:
    """Run the server on a free port of this machine, as `uvicorn` on the command line does."""
    import uvicorn

    sys.path.insert(0, str(PROJECT))  # the server's workers get this path, too
    uvicorn.run(
        settings["app"],
        host="127.0.0.1",
        port=0,
        workers=settings["workers"],
        access_log=settings["access_log"],
        ssl_certfile=settings["certificate"],
    )


def load(settings: dict[str, Any]) -> ModuleType:
    """Return a script with these settings and functions in place of its own."""
    script = load_script(PROJECT / settings["script"])
    for replacement in settings["replacement"].split():
        replace_functions(script, replacement)
    for name, value in settings["settings"].items():
        setattr(script, name, value)
    return script


def describe(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a script is, and which Python and packages it runs with."""
    script = load(settings)
    packages = [*packages_of(Path(script.__file__ or "")), *filter(None, [settings["library"]])]
    return {
        "name": script.NAME,
        "has_concurrency": hasattr(script, "CONCURRENCY"),
        "python": sys.version.partition(" ")[0],
        "build": build_flags(),
        "packages": {package: version(package) for package in packages},
    }


def build_flags() -> str:
    """Return how this Python was built, without the paths of the machine that built it."""
    flags = shlex.split(sysconfig.get_config_var("CONFIG_ARGS") or "")
    return " ".join(flag for flag in flags if "/" not in flag)


def run_client(settings: dict[str, Any]) -> dict[str, Any]:
    """Run a script; return the measured fields of a Run."""
    script = load(settings)
    # Its own items, from the first one again if they are too few.
    script.urls = list(islice(cycle(script.urls), settings["requests"]))  # type: ignore[attr-defined]
    spans: list[list[float]] = []

    class RecordingTally(script.Tally):  # type: ignore[misc, name-defined]
        """A tally that notes when each request started and ended."""

        def add(self, failure: str | None, latency: float) -> None:
            """Count one answer; its request has just ended."""
            end = time.perf_counter() - self.start
            spans.append([round(end - latency, 5), round(end, 5)])
            super().add(failure, latency)

    tally = RecordingTally() if settings["record_spans"] else script.Tally()
    finished = script.fetch_all(tally)
    if inspect.iscoroutine(finished):
        asyncio.run(finished)
    # By the tally's clock, which a script with several processes starts when they are ready.
    elapsed = time.perf_counter() - tally.start
    cpu = time.process_time() - tally.cpu_start

    ordered = sorted(tally.latencies)
    return {
        "ok": len(ordered),
        "failures": dict(tally.failures),
        "elapsed_s": elapsed,
        "client_cpu_s": cpu,
        "p50_ms": percentile_ms(ordered, 50),
        "p99_ms": percentile_ms(ordered, 99),
        "max_ms": percentile_ms(ordered, 100),
        "in_flight": sum(ordered) / elapsed,
        "peak_mib": peak_memory(),
        # Asked after the run, because the import of a C extension can turn the GIL on.
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "spans_s": spans,
    }


def percentile_ms(ordered: Sequence[float], percent: int) -> float | None:
    """Return the latency in ms that this percentage are at or below, by nearest rank."""
    if not ordered:
        return None
    return 1_000 * ordered[math.ceil(len(ordered) * percent / 100) - 1]


def peak_memory() -> float | None:
    """Return the peak memory in MiB of this process and those that it started; None if unknown."""
    if sys.platform == "linux":
        family = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
        peaks = [linux_peak(Path(f"/proc/{pid}/status")) for pid in family]
        return sum(filter(None, peaks)) if all(peaks) else None
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return None


def linux_peak(status: Path) -> float | None:
    """Return the peak memory of a process in MiB; None if it has just ended."""
    # Not getrusage: on Linux, a new process starts with the peak of the one that started it.
    match = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8"))
    return int(match[1]) / 1024 if match else None


def cause(error: BaseException, script: str) -> str:
    """Return an error on one line, with the last line of the script that led to it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = f"{type(error).__name__}: {error}".strip().partition("\n")[0].removesuffix(":")
    places = traceback.extract_tb(error.__traceback__)
    lines = [place.lineno for place in places if place.filename == script]
    return f"{text} ({Path(script).name}, line {lines[-1]})" if lines else text


def main() -> None:
    """Play the role that the arguments name."""
    role, settings_text = sys.argv[1:]
    settings = json.loads(settings_text)
    # The script and what it starts get another stdin and stdout than the parent's two pipes.
    threading.Thread(target=watch_parent, args=[os.dup(0)], daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # In the end, so that what is beside a script is found first.
    sys.path.remove(str(BENCHMARKS))
    sys.path.append(str(BENCHMARKS))
    if role == "server":
        serve(settings)
        return
    with os.fdopen(os.dup(1), "w") as output:
        os.dup2(2, 1)
        try:
            result = {"describe": describe, "client": run_client}[role](settings)
        except BaseException as error:
            traceback.print_exc()
            result = {"error": cause(error, str(PROJECT / settings["script"]))}
        json.dump(result, output)


if __name__ == "__main__":  # a process that the child starts imports this module again
    main()
