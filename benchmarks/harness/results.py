"""Read and write the results of a study as JSON."""

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


def save(result: Result, path: Path) -> None:
    """Write a result."""
    write_whole(path, json.dumps(asdict(result), indent=1) + "\n")


def load(path: Path) -> Result:
    """Read a result."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["cases"] = [
        Case(**{**case, "server": ServerSettings(**case["server"])}) for case in content["cases"]
    ]
    content["runs"] = [Run(**run) for run in content["runs"]]
    return Result(**content)


def write_whole(path: Path, text: str) -> None:
    """Write a file; if that fails, what was in the file stays."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
