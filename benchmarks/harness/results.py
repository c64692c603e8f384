"""Read and write what was measured, as JSON."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .runs import Case, Run, ServerSettings


@dataclass(frozen=True)
class Result:
    """What was measured in whole rounds, and what that depends on."""

    environment: Mapping[str, Any]
    cases: Sequence[Case]
    runs: Sequence[Run]


def save(result: Result, path: Path) -> None:
    """Write a result, with a line for each case and each run."""
    parts = [
        f'"environment": {json.dumps(result.environment, indent=1)}',
        *(
            f'"{name}": [\n' + ",\n".join(json.dumps(asdict(item)) for item in items) + "\n]"
            for name, items in (("cases", result.cases), ("runs", result.runs))
        ),
    ]
    write_whole(path, "{\n" + ",\n".join(parts) + "\n}\n")


def load(path: Path) -> Result:
    """Read a result."""
    content = json.loads(path.read_text(encoding="utf-8"))
    cases = [
        Case(**{**case, "server": ServerSettings(**case["server"])}) for case in content["cases"]
    ]
    return Result(content["environment"], cases, [Run(**run) for run in content["runs"]])


def load_all(folder: Path) -> list[Result]:
    """Read all results of a folder, oldest first; the rounds are counted on from one to the next."""
    results: list[Result] = []
    rounds = 0
    for path in sorted(folder.glob("*.json")):
        result = load(path)
        runs = [replace(run, round=rounds + run.round) for run in result.runs]
        results.append(replace(result, runs=runs))
        rounds = max(run.round for run in runs)
    return results


def write_whole(path: Path, text: str) -> None:
    """Write a file; if that fails, what was in the file stays, and nothing else is left."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()
