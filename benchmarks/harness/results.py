"""Read and write the results of a study: one JSON file, a line a run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .runs import Case, Run, ServerSettings


@dataclass(frozen=True)
class Result:
    """What a study measured, and what that depends on."""

    claim: str  # its name
    rounds: int
    environment: Mapping[str, Any]
    cases: Sequence[Case]
    runs: Sequence[Run]


def save(result: Result, summary: Mapping[str, Any], path: Path) -> None:
    """Write a result and its summary; the summary is for readers, and `load` does not read it."""
    cases = [asdict(case) for case in result.cases]
    sections = {
        "settings": {"claim": result.claim, "rounds": result.rounds, "cases": cases},
        "environment": result.environment,
        "summary": summary,
    }
    lines = [f' "{name}": {json.dumps(content, indent=2)},' for name, content in sections.items()]
    runs = ",\n".join(f"  {json.dumps(asdict(run))}" for run in result.runs)
    text = "\n".join(["{", *lines, f' "runs": [\n{runs}\n ]', "}"])
    path.write_text(f"{text}\n", encoding="utf-8")


def load(path: Path) -> Result:
    """Read a result."""
    content = json.loads(path.read_text(encoding="utf-8"))
    settings = content["settings"]
    cases = [
        Case(**{**case, "server": ServerSettings(**case["server"])}) for case in settings["cases"]
    ]
    runs = [Run(**run) for run in content["runs"]]
    return Result(settings["claim"], settings["rounds"], content["environment"], cases, runs)
