"""Run scripts against a server in child processes, and record what each run took."""

from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent.parent
PROJECT = BENCHMARKS.parent
