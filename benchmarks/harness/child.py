"""The child process: run a server or a client, and end with the parent.

`python -m harness.child server SETTINGS` runs uvicorn. `python -m harness.child client SETTINGS`
runs a script, and prints what it counted as one line of JSON. SETTINGS is JSON.

The client may run on another Python, in which only the packages of the script are installed.
"""

import asyncio
import inspect
import json
import math
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from . import BENCHMARKS, PROJECT
from .scripts import load_script, replace_functions


def watch_parent() -> None:
    """Wait until the parent has ended, and then end this process and all that it started."""
    os.read(0, 1)  # the parent writes nothing, so this returns when its end of the pipe closes
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def serve(settings: dict[str, Any]) -> None:
    """Run the server on a free port of this machine, as `uvicorn` on the command line does."""
    import uvicorn

    sys.path[:0] = [str(PROJECT), str(BENCHMARKS)]  # the server's workers get this path, too
    uvicorn.run(
        settings["app"],
        host="127.0.0.1",
        port=0,
        workers=settings["workers"],
        access_log=settings["access_log"],
    )


def load(settings: dict[str, Any]) -> ModuleType:
    """Return a script with these settings and functions in place of its own."""
    script = load_script(PROJECT / settings["script"])
    if settings["replacement"]:
        replace_functions(script, settings["replacement"])
    for name, value in settings["settings"].items():
        setattr(script, name, value)
    script.urls = range(1, settings["requests"] + 1)  # type: ignore[attr-defined]
    return script


def run_client(script: ModuleType, *, record_spans: bool) -> dict[str, Any]:
    """Run a script; return the measured fields of a Run."""
    spans: list[list[float]] = []

    class RecordingTally(script.Tally):  # type: ignore[misc, name-defined]
        """A tally that notes when each request started and ended."""

        def add(self, failure: str | None, latency: float) -> None:
            """Count one answer; its request has just ended."""
            end = time.perf_counter() - self.start
            spans.append([round(end - latency, 5), round(end, 5)])
            super().add(failure, latency)

    tally = RecordingTally() if record_spans else script.Tally()
    if inspect.iscoroutinefunction(script.fetch_all):
        asyncio.run(script.fetch_all(tally))
    else:
        script.fetch_all(tally)
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
        "python": sys.version.partition(" ")[0],
        # Asked after the run, because the import of a C extension can turn the GIL on.
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "spans_s": spans,
    }


def percentile_ms(ordered: Sequence[float], percent: int) -> float | None:
    """Return the latency in ms that this percentage do not exceed, by nearest rank."""
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


def main() -> None:
    """Run the role that the arguments name."""
    role, settings_text = sys.argv[1:]
    settings = json.loads(settings_text)
    if role == "server":
        serve(settings)
    else:
        script = load(settings)
        print(json.dumps(run_client(script, record_spans=settings["record_spans"])))


if __name__ == "__main__":  # a process that the child starts imports this module again
    threading.Thread(target=watch_parent, daemon=True).start()
    main()
