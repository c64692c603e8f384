"""The studies: their tables worked out by hand, and the command that runs them."""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

import charts
import study
from harness import Run, Spread
from helpers import DEADLINE, ROOT, Outcome, finish, start_python, wait_for
from made_up import made_up

STUDY = ROOT / "benchmarks" / "study.py"
RESULTS = ROOT / "benchmarks" / "results"
RESULTS_MD = ROOT / "benchmarks" / "RESULTS.md"


def command(folder: Path, *options: str) -> Outcome:
    """Run the command to its end."""
    return finish(start_python(folder, str(STUDY), *options), 5 * DEADLINE)


def case(name: str, base: str = "b", **more: Any) -> dict[str, Any]:
    """Return a case as it stands in a result."""
    return {"name": name, "base": base, "requests": 1_000, "latency_ms": 0, "concurrency": None} | more


RUNS: list[Run] = [
    made_up("a", 1, 1.0, client_cpu_s=0.8, p50_ms=1.0, peak_mib=40.0, in_flight=10.0, process_s=2.0),
    made_up("b", 1, 8.0, client_cpu_s=4.0, process_s=8.0),
    made_up("a", 2, 2.0, client_cpu_s=1.0, p50_ms=20.0, peak_mib=50.0, in_flight=20.0, process_s=4.0),
    made_up("b", 2, 6.0, client_cpu_s=3.0, process_s=8.0),
    made_up("a", 3, 6.0, client_cpu_s=3.0, p50_ms=300.0, peak_mib=90.0, in_flight=30.0, process_s=16.0),
    made_up("b", 3, 24.0, client_cpu_s=6.0, process_s=8.0),
]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("requests", "1,000"),
        ("elapsed", "2.00 (1.00–6.00)"),
        ("throughput", "500 (167–1,000)"),
        ("p50", "20.0 (1.00–300)"),
        ("in_flight", "20.0 (10.0–30.0)"),
        ("peak", "50.0 (40.0–90.0)"),
        ("client_cpu", "1,000 (800–3,000)"),
        ("server_cpu", "1,200 (600–3,600)"),
        ("idle", "1,000 (200–3,000)"),
        ("client_share", "50.0 (50.0–80.0)"),
        ("server_share", "60.0 (60.0–60.0)"),
        ("microseconds", "2,000 (1,000–6,000)"),
        ("process", "4.00 (2.00–16.0)"),
        ("ratio", "4 (3–8)"),  # 8, 3 and 4 times as fast
        ("process_ratio", "2.0 (0.5–4.0), not shown"),
        ("less_work", "3.0 (2.0–5.0)"),
        ("idle_filled", "1.6 (1.0–2.0), not shown"),  # 0.8/0.5, 0.5/0.5 and 0.5/0.25 of a core
    ],
)
def test_cell(column: str, expected: str) -> None:
    assert study.cell(column, case("a"), RUNS) == expected


def test_every_column_is_tested() -> None:
    tested = {parameters[0] for mark in test_cell.pytestmark for parameters in mark.args[1]}  # type: ignore[attr-defined]
    assert tested == {"requests", *study.MEASURES, *study.RATIOS}


def test_base_is_one() -> None:
    assert study.cell("ratio", case("b"), RUNS) == "1"


def test_case_of_fewer_rounds_is_compared_in_these() -> None:
    assert study.against_base("ratio", case("a"), [run for run in RUNS if run != RUNS[4]]) == (5.5, 3, 8)


def test_table() -> None:
    assert study.table(["ratio", "peak"], [case("a"), case("b")], RUNS) == (
        "|  | times as fast | peak memory, MiB |\n"
        "| --- | ---: | ---: |\n"
        "| a | 4 (3–8) | 50.0 (40.0–90.0) |\n"
        "| b | 1 | 40.0 (40.0–40.0) |"
    )


def test_failures_are_said_under_the_table() -> None:
    runs = [made_up("a", 1, 1.0, ok=990, failed={"HTTP 503": 7, "wrong answer": 3})]
    text = study.table(["elapsed"], [case("a", base="a")], runs)
    assert text.endswith("\n\nNot ok: a, 10 requests.")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((4.0, 3.0, 9.0), "4 (3–9)"),
        ((4.21, 4.0, 4.4), "4.2 (4.0–4.4)"),
        ((1.234, 1.21, 1.26), "1.23 (1.21–1.26)"),
        ((1.1, 0.9, 1.3), "1.1 (0.9–1.3), not shown"),
        ((0.9, 0.8, 0.98), "0.90 (0.80–0.98)"),  # not 0.8–1.0
        ((1.0, 0.9, 1.2), "1.0 (0.9–1.2), not shown"),
    ],
)
def test_digits_of_a_ratio(values: tuple[float, float, float], text: str) -> None:
    assert study.times(Spread(*values)) == text


def test_filled() -> None:
    text = "a\n<!-- made from x -->\n\nold\n\n<!-- end -->\nb\n<!-- made from y -->\nold\n<!-- end -->\n"
    assert study.filled(text, {"x": "X", "y": "Y"}) == (
        "a\n<!-- made from x -->\n\nX\n\n<!-- end -->\nb\n<!-- made from y -->\n\nY\n\n<!-- end -->\n"
    )
    with pytest.raises(KeyError):
        study.filled(text, {"x": "X"})


def test_list(tmp_path: Path) -> None:
    outcome = command(tmp_path, "--list")
    assert outcome.exit_code == 0
    assert [line.split()[0] for line in outcome.stdout.splitlines()] == [s.name for s in study.STUDIES]
    assert all(s.claim in outcome.stdout for s in study.STUDIES)


def test_unknown_study(tmp_path: Path) -> None:
    outcome = command(tmp_path, "speed")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    (line,) = outcome.stderr.splitlines()
    assert "no study is named speed" in line


def test_what_is_committed_is_what_the_runs_make(tmp_path: Path) -> None:
    outcome = command(tmp_path, "--check")
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "figure", "changed"),
    [
        ("headline", "elapsed_s", {"README.md", "RESULTS.md", "comparison.svg"}),
        ("few", "process_s", {"RESULTS.md"}),
        ("concurrency", "p50_ms", {"RESULTS.md", "concurrency.svg"}),
    ],
)
def test_check_sees_a_changed_figure(name: str, figure: str, changed: set[str], tmp_path: Path) -> None:
    shutil.copytree(RESULTS, tmp_path / "results")
    path = tmp_path / "results" / f"{name}.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    for run in result["runs"]:
        if run["case"] == result["cases"][0]["name"]:
            run[figure] *= 1.5
    path.write_text(json.dumps(result), encoding="utf-8")
    outcome = command(tmp_path, "--check", "--results", "results")
    assert outcome.exit_code == 1
    lines = outcome.stdout.splitlines()
    assert {Path(line.split()[0]).name for line in lines} == changed
    assert all(line.endswith("python benchmarks/study.py --render") for line in lines)


def test_check_without_runs(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    outcome = command(tmp_path, "--check", "--results", "results")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("No runs of headline, ")


def test_every_study_has_its_section_and_its_runs() -> None:
    text = RESULTS_MD.read_text(encoding="utf-8")
    for s in study.STUDIES:
        assert text.count(f"<!-- made from {s.name} -->") == 1, s.name
        assert f"**{s.claim}**" in text, s.name
        if not s.same_runs_as:
            result = json.loads((RESULTS / f"{s.name}.json").read_text(encoding="utf-8"))
            assert result["environment"]["cpu"]
            full = [c for c in result["cases"] if not c["rounds"]]
            assert len([r for r in result["runs"] if r["case"] in {c["name"] for c in full}]) == (
                len(full) * result["rounds"]
            )


def test_interpretations_say_only_what_the_table_holds() -> None:
    """Each figure in a section's prose stands in the tables of that section."""
    text = RESULTS_MD.read_text(encoding="utf-8").partition("## headline")[2].partition("## Not shown")[0]
    for section in re.split(r"\n## ", text):
        tables = "".join(re.findall(r"<!-- made from .*?<!-- end -->", section, re.DOTALL))
        section = re.sub(r"\nVersions: .*", "", section)  # of the tools, as they say
        prose = re.sub(
            r"<!-- made from .*?<!-- end -->|`[^`]*`|\(.*?\)|https?:\S+", "", section, flags=re.DOTALL
        )
        figures = re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", prose)
        strangers = [figure for figure in figures if figure.rstrip(",") not in tables]
        assert not strangers, (section.splitlines()[0], strangers)


def test_pictures_are_small_and_the_same_again(tmp_path: Path) -> None:
    loaded = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    drawn = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        drawn.append({k: p.read_bytes() for k, p in charts.pictures(loaded, folder).items()})
    assert drawn[0] == drawn[1]
    for name, content in drawn[0].items():
        assert len(content) < 100_000, name
        assert b"<text" in content  # text stays text


# -- Measuring --------------------------------------------------------------------------------


def test_quick_leaves_the_tree_alone(tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (*RESULTS.iterdir(), RESULTS_MD)}
    outcome = command(tmp_path, "--quick", "server", "waiting", "timeline")
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert "server, round 1 of 1: no access log, 2 workers: 50 ok in " in outcome.stderr
    assert "headline, round 1 of 1: blocking, 20 ms: 10 ok in " in outcome.stderr
    assert {path: path.stat().st_mtime_ns for path in (*RESULTS.iterdir(), RESULTS_MD)} == before


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    outcome = command(tmp_path, "server", "--results", "/dev/null/results")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("/dev/null/results can't be written: ")


def begun(folder: Path) -> tuple[subprocess.Popen[str], psutil.Process]:
    """Start a study that takes long, and wait for its first finished run."""
    process = start_python(folder, str(STUDY), "server", "--results", "runs")
    assert process.stderr
    line = process.stderr.readline()
    assert line.startswith("server, round 1 of 7: "), line
    return process, psutil.Process(process.pid)


def test_ctrl_c_leaves_no_server_and_keeps_the_runs(tmp_path: Path) -> None:
    process, program = begun(tmp_path)
    family = program.children(recursive=True)
    program.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert outcome.exit_code == 130
    assert "Traceback" not in outcome.stderr
    _, alive = psutil.wait_procs(family, DEADLINE)
    assert not alive
    assert json.loads((tmp_path / "runs" / "server.part.json").read_text())["runs"]


def test_server_that_dies(tmp_path: Path) -> None:
    process, program = begun(tmp_path)

    def servers() -> list[psutil.Process]:
        return [child for child in program.children() if "uvicorn" in child.cmdline()]

    wait_for(servers, "a server")
    for server in servers():
        server.kill()
    outcome = finish(process, 2 * DEADLINE)
    assert outcome.exit_code == 1
    assert "Traceback" not in outcome.stderr
    assert "ended without a report" in outcome.stderr.splitlines()[-1]
    assert json.loads((tmp_path / "runs" / "server.part.json").read_text())["runs"]
