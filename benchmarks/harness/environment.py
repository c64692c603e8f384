"""Describe the machine and the installed versions that a result depends on."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from . import BENCHMARKS

CLIENT_LIBRARIES = ["aiohttp", "requests"]
SERVER_LIBRARIES = ["fastapi", "uvicorn"]


def require(packages: Sequence[str], requirements: str) -> None:
    """End the program with one line if a package is missing; the line says how to install it."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        command = f"{sys.executable} -m pip install -r {BENCHMARKS / requirements}"
        sys.exit(f"Not installed: {', '.join(missing)}. Run: {command}")


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """Return the versions of those libraries that are installed."""
    found = {}
    for library in libraries:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name of the processor, as far as the system tells it."""
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """Return the git commit of the project, or None outside of a checkout."""
    try:
        ended = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=BENCHMARKS,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return ended.stdout.strip()


def describe_environment(libraries: Sequence[str]) -> dict[str, Any]:
    """Return what a result depends on, with the versions of these libraries."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": commit(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": versions(libraries),
        "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
