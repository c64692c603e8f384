"""Be a server, a client or a load generator, in a process that its parent started.

`python -m harness.child server SETTINGS` runs uvicorn. `python -m harness.child client SETTINGS`
runs a script or variant, and prints what it counted as one line of JSON.
`python -m harness.child command PROGRAM …` runs a program. SETTINGS is JSON.
"""

import importlib
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from . import BENCHMARKS

ROOT = BENCHMARKS.parent
VARIANTS = BENCHMARKS / "variants"


def watch_parent() -> None:
    """Wait until the parent has ended, and then end this process and all that it started."""
    os.read(0, 1)  # the parent writes nothing, so this returns when its end of the pipe closes
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def serve(settings: dict[str, Any]) -> None:
    """Run the server on a free port of this machine, as `uvicorn` on the command line does."""
    import uvicorn

    sys.path[:0] = [str(ROOT), str(VARIANTS)]  # the server's workers get this path, too
    uvicorn.run(
        settings["app"],
        host="127.0.0.1",
        port=0,
        workers=settings["workers"],
        access_log=settings["access_log"],
    )


class SpanRecorder:
    """Passes each answer on to a tally, and notes when its request started and ended."""

    def __init__(self, tally: Any) -> None:
        """Record for this tally."""
        self.tally = tally
        self.spans: list[list[float]] = []

    def __getattr__(self, name: str) -> Any:
        """Delegate everything else to the tally."""
        return getattr(self.tally, name)

    def add(self, failure: str, latency: float) -> None:
        """Count one answer; its request has just ended."""
        end = time.perf_counter() - self.tally.start
        self.spans.append([round(end - latency, 5), round(end, 5)])
        self.tally.add(failure, latency)


def run_client(settings: dict[str, Any]) -> dict[str, Any]:
    """Run a script or variant with these settings; return the measured fields of a Run."""
    sys.path[:0] = [str(ROOT), str(VARIANTS)]
    client = importlib.import_module(settings["client"])
    script: Any = getattr(client, "script", client)  # a variant names the script that it varies
    script.BASE_URL = settings["url"]
    script.TIMEOUT = settings["timeout_s"]
    script.urls = range(1, settings["requests"] + 1)
    if settings["concurrency"] is not None:
        script.CONCURRENCY = settings["concurrency"]

    tally = script.Tally()
    recorder = SpanRecorder(tally)
    counter = recorder if settings["record_spans"] else tally
    if inspect.iscoroutinefunction(client.fetch_all):
        import asyncio  # not at the top: its import would count in the start of the other scripts

        asyncio.run(client.fetch_all(counter))
    else:
        client.fetch_all(counter)
    tally.stop_clock()
    tally.bar.leave = False  # the parent prints a line of its own
    tally.bar.close()

    def percentile_ms(percent: int) -> float | None:
        return script.percentile(tally.latencies, percent) if tally.ok else None

    sum_of_latencies = sum(latency * count for latency, count in tally.latencies.items()) / 100_000
    return {
        "ok": tally.ok,
        "failures": dict(tally.failures),
        "elapsed_s": round(tally.elapsed, 5),
        "client_cpu_s": round(tally.cpu, 5),
        "p50_ms": percentile_ms(50),
        "p99_ms": percentile_ms(99),
        "max_ms": percentile_ms(100),
        "in_flight": round(sum_of_latencies / tally.elapsed, 2),
        "peak_mib": peak_memory(),
        "spans_s": recorder.spans,
    }


def peak_memory(status: Path = Path("/proc/self/status")) -> float | None:
    """Return the peak memory of this process in MiB, or None where the system doesn't tell it."""
    # Not getrusage: on Linux, a new process starts with the peak of the one that started it.
    if status.exists():
        match = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8"))
        return round(int(match[1]) / 1024, 1) if match else None
    if sys.platform == "darwin":
        import resource

        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
    return None


def main() -> None:
    """Run the role that the arguments name."""
    role, *arguments = sys.argv[1:]
    if role == "server":
        serve(json.loads(arguments[0]))
    elif role == "client":
        print(json.dumps(run_client(json.loads(arguments[0]))))
    else:
        sys.exit(subprocess.run(arguments, stdin=subprocess.DEVNULL, check=False).returncode)


if __name__ == "__main__":  # uvicorn's workers import this module again: only the first one watches
    threading.Thread(target=watch_parent, daemon=True).start()
    main()
