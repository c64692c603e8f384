"""Describe the machine and the installed versions that a result depends on."""

import os
import platform
import subprocess
import sys
import sysconfig
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

SERVER_PACKAGES = ("fastapi", "uvicorn", "starlette", "pydantic", "uvloop", "httptools")


def cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def processor_times() -> tuple[float, float]:
    """Return how long these cores have worked for programs so far, and how long they were idle.

    Both are in seconds, added up over the cores. What the system does for nobody in
    particular, such as for the network, is neither; what other virtual machines take is work.
    """
    each = psutil.cpu_times(percpu=True)
    mine = [each[core] for core in cores()]
    working = ("user", "nice", "system", "steal")
    busy = sum(getattr(times, name, 0.0) for times in mine for name in working)
    return busy, sum(times.idle + getattr(times, "iowait", 0.0) for times in mine)


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name of the processor, as far as the system tells it."""
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def python_version() -> str:
    """Return the version of this Python, with a t if it was built without the GIL."""
    return platform.python_version() + ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else "")


def installed(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of those of some packages that are installed here."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # uvloop, on Windows
            continue
    return found


def speed_of_two() -> float:
    """Return how fast each of two busy processes is, compared with one that runs alone.

    On two cores, that is about 1. On two hyperthreads of one core, it is about 0.6.
    """

    def seconds(number: int) -> float:
        command = [sys.executable, "-c", "n = 0\nfor i in range(20_000_000): n += i"]
        start = time.perf_counter()
        processes = [subprocess.Popen(command) for _ in range(number)]
        for process in processes:
            process.wait()
        return time.perf_counter() - start

    return round(seconds(1) / seconds(2), 2)


def describe_environment() -> dict[str, Any]:
    """Return what a result depends on, but for the clients: the machine and the server."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "cpu": cpu_model(),
        "cores": len(cores()),
        "system": platform.platform(),
        "python": python_version(),
        "server": installed(SERVER_PACKAGES),
    }
