"""The studies: what they measure and keep, and what is made of it."""

import json
import re
import shutil
import signal
from collections import Counter
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
from typer.testing import CliRunner

import study
from claims import CLAIMS, Claim
from harness.results import Result, load, save
from harness.runs import ASYNC, BLOCKING, MeasurementError
from helpers import DEADLINE, ROOT, Outcome, finish, start_python
from made_up import made_up_case, made_up_run

STUDY = ROOT / "benchmarks" / "study.py"


def run_study(folder: Path, *options: str) -> Outcome:
    """Run the command to its end."""
    return finish(start_python(folder, str(STUDY), *options), 5 * DEADLINE)


# -- Claims -------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_cases_of_a_claim_have_names_and_bases(claim: Claim) -> None:
    names = Counter(case.name for case in claim.cases)
    assert max(names.values()) == 1
    assert all(name in names for name in claim.key_cases)
    ratios = {"times as fast", "factor of less work", "times as fast, start to exit"}
    if (
        ratios & {column for columns in claim.tables for column in columns}
        and claim.name != "timeline"
    ):
        assert all(case.base in names for case in claim.cases)
    assert (
        all(case.requests >= (case.concurrency or 1) for case in claim.cases) or claim.name == "few"
    )


def test_a_run_takes_about_a_second() -> None:
    endless = {"few", "growth", "peers", "timeline"}
    for claim in CLAIMS:
        for case in claim.cases:
            waiting = case.requests / (case.concurrency or 1) * case.server.latency_ms / 1000
            blocked = case.server.app == "server_blocked:app"
            assert waiting <= 1.1 or blocked or claim.name in endless, case


# -- Measuring ----------------------------------------------------------------------------------


def small_claim(rounds: int = 2) -> Claim:
    """Return a claim that takes a moment."""
    first = replace(ASYNC, name="a", requests=5, base="b")
    second = replace(BLOCKING, name="b", requests=5, base="b", library="urllib3")
    return Claim("small", "It is small.", [first, second], [["requests", "times as fast"]], rounds)


def test_measure_writes_the_runs_and_prints_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = small_claim()
    study.measure(claim, tmp_path)
    stdout, stderr = capsys.readouterr()
    result = load(tmp_path / "small.json")
    assert (result.claim, result.rounds, result.cases) == ("small", 2, claim.cases)
    assert [run.case for run in result.runs] == [*"abba"]
    assert all(run.ok == 5 for run in result.runs)
    assert [*result.environment["libraries"]] == [*study.SCRIPT_LIBRARIES, "urllib3"]
    assert "It is small.\n\n|  | requests | times as fast |\n" in stdout
    assert "| b | 5 | 1 (base) |" in stdout
    assert stderr.startswith("small, round 1 of 2: a, 5 of 5 ok in ")
    summary = json.loads((tmp_path / "small.json").read_text())["summary"]
    assert summary["a"]["requests_per_s"]["low"] > 0


def test_what_is_not_installed_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = small_claim(rounds=1)
    gone = made_up_case("b", base="b", library="no_such_library")
    study.measure(Claim("small", "", [claim.cases[0], gone], claim.tables, 1), tmp_path)
    stdout, stderr = capsys.readouterr()
    assert "small: not installed, so not measured: b\n" in stderr
    assert "| a | 5 | - |" in stdout
    assert [case.name for case in load(tmp_path / "small.json").cases] == ["a"]


def test_study_of_which_nothing_is_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = made_up_case("a", base="a", library="no_such_library")
    study.measure(Claim("small", "", [gone], [["requests"]], 1), tmp_path)
    assert "small: not installed, so not measured: a\n" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_part_of_a_round_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = replace(BLOCKING, name="b", client="no_such_variant")
    claim = Claim("small", "", [small_claim().cases[0], missing], [["requests"]], 2)
    with pytest.raises(MeasurementError, match="no_such_variant ended without a result"):
        study.measure(claim, tmp_path)
    stdout, stderr = capsys.readouterr()
    assert "a, 5 of 5 ok" in stderr
    assert stdout == ""
    assert not [*tmp_path.iterdir()]


def test_quick_runs_each_client_on_each_server_and_each_claim() -> None:
    quick = study.quickened(CLAIMS)
    assert [claim.name for claim in quick] == [claim.name for claim in CLAIMS]
    assert all(claim.cases for claim in quick)
    kinds = [(case.client, case.server) for claim in quick for case in claim.cases]
    assert len(kinds) <= len(set(kinds)) + len(CLAIMS)
    assert set(kinds) == {(case.client, case.server) for claim in CLAIMS for case in claim.cases}
    assert all(case.requests <= 20 for claim in quick for case in claim.cases)
    assert all((case.concurrency or 1) <= 4 for claim in quick for case in claim.cases)
    variants = {path.stem for path in (ROOT / "benchmarks" / "variants").glob("*.py")}
    used = {case.client for claim in CLAIMS for case in claim.cases}
    used |= {case.server.app.partition(":")[0] for claim in CLAIMS for case in claim.cases}
    assert variants <= used
    assert all(claim.rounds == 1 for claim in quick)


# -- The command --------------------------------------------------------------------------------


def test_list(tmp_path: Path) -> None:
    outcome = run_study(tmp_path, "--list")
    assert outcome.exit_code == 0
    lines = outcome.stdout.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [[c.name, c.statement] for c in CLAIMS]


def test_unknown_study(tmp_path: Path) -> None:
    outcome = run_study(tmp_path, "speed")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "no study is called speed. Choose from headline," in " ".join(outcome.stderr.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--publish", "--quick"], "--quick and --publish: use only one of them."),
        (["--check", "few"], "--check: it takes no NAME, but all studies."),
        (["--render", "few"], "--render: it takes no NAME, but all studies."),
    ],
    ids=" ".join,
)
def test_options_that_exclude_each_other(options: list[str], message: str) -> None:
    outcome = CliRunner().invoke(study.app, options)
    assert outcome.exit_code == 2
    assert message in re.sub(r"[│\s]+", " ", outcome.stderr)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project."""
    ignore = shutil.ignore_patterns(".*", "__pycache__", "results-here", "tests")
    return Path(shutil.copytree(ROOT, tmp_path / "project", ignore=ignore))


def study_in(project: Path, *options: str, **env: str) -> Outcome:
    """Run the command of a copy."""
    command = str(project / "benchmarks" / "study.py")
    return finish(start_python(project, command, *options, **env), 5 * DEADLINE)


def contents(project: Path) -> dict[Path, bytes]:
    """Return all files of a copy, except for what was measured there."""
    return {
        path: path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and "results-here" not in path.parts
    }


def test_ctrl_c_keeps_whole_rounds_and_changes_no_document(project: Path) -> None:
    before = contents(project)
    command = str(project / "benchmarks" / "study.py")
    process = start_python(project, command, "timeline", PYTHONDONTWRITEBYTECODE="1")
    assert process.stderr
    lines = [process.stderr.readline()]
    while not lines[-1].startswith("timeline, round 2 of 3: "):
        assert process.poll() is None, lines
        lines.append(process.stderr.readline())
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert outcome.exit_code == 130
    *run_lines, kept, stopped = [*lines, *outcome.stderr.splitlines()]
    rounds = len(run_lines) // 6  # 3 scripts, with and without latency
    measured = project / "benchmarks" / "results-here" / "timeline.json"
    assert kept == f"{rounds} of 3 rounds are kept in {measured}."
    assert stopped == "Stopped."
    assert "| blocking (requests), 20 ms |" in outcome.stdout
    result = load(measured)
    assert (result.claim, result.rounds, len(result.runs)) == ("timeline", rounds, 6 * rounds)
    assert all(len(run.spans_s) == 96 for run in result.runs)
    assert result.environment["commit"] is None  # the copy is no checkout
    assert contents(project) == before


def test_quick_runs_briefly_and_keeps_nothing(project: Path) -> None:
    before = contents(project)
    outcome = study_in(project, "--quick", "growth", PYTHONDONTWRITEBYTECODE="1")
    assert outcome.exit_code == 0, outcome
    assert outcome.stdout.count("\n| ") == 1 + 1 + 3  # a header, a line under it, and 3 rows
    lines = outcome.stderr.splitlines()
    assert len(lines) == 3
    assert all(", 20 of 20 ok in " in line for line in lines)
    assert contents(project) == before
    assert not (project / "benchmarks" / "results-here").exists()


def test_study_that_cannot_go_on_ends_in_one_line(tmp_path: Path) -> None:
    code = (
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "import study\n"
        "from claims import Claim\n"
        "from harness.runs import BLOCKING\n"
        "right = replace(BLOCKING, requests=3)\n"
        "wrong = replace(right, client='no_such_variant')\n"
        "study.CLAIMS[:] = [\n"
        "    Claim('right', '', [right], [['requests']], 1),\n"
        "    Claim('wrong', '', [wrong], [['requests']], 1),\n"
        "]\n"
        "study.MEASURED_HERE = Path('results-here')\n"
        "study.app()\n"
    )
    outcome = finish(start_python(tmp_path, "-c", code, PYTHONPATH=str(STUDY.parent)))
    assert outcome.exit_code == 1
    run_line, error = outcome.stderr.splitlines()
    assert run_line.startswith("right, round 1 of 1: blocking (requests), 3 of 3 ok in ")
    assert error.startswith("no_such_variant ended without a result, exit code 1. ")
    assert [path.name for path in (tmp_path / "results-here").iterdir()] == ["right.json"]


# -- Publishing ---------------------------------------------------------------------------------


def made_up_result(claim: Claim, seconds: float, cpu: str = "A Chip") -> Result:
    """Return a result in which the n-th case of a claim takes n times so many seconds."""
    runs = [
        made_up_run(case.name, number, seconds * place * factor)
        for number, factor in zip(range(1, claim.rounds + 1), cycle([1.0, 0.5, 2.0]))
        for place, case in enumerate(claim.cases, start=1)
    ]
    environment = {
        "date": "2026-11-25 08:30",
        "cpu": cpu,
        "cores": 2,
        "system": "Linux",
        "python": "3.11.7",
        "libraries": {},
    }
    return Result(claim.name, claim.rounds, environment, [*claim.cases], runs)


def test_two_machines_are_compared_by_the_key_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = replace(small_claim(), key_cases=["a"])
    other = replace(claim, name="other", key_cases=())
    headline = replace(claim, name="headline", key_cases=("b", "a"))
    claims = [headline, claim, other]
    monkeypatch.setattr(study, "CLAIMS", claims)
    first = {c.name: made_up_result(c, 1.0) for c in claims}
    second = {c.name: made_up_result(c, 1.0, "B Chip") for c in claims}
    runs = [
        replace(run, elapsed_s=3 * run.elapsed_s) if run.case == "a" else run
        for run in second["small"].runs
    ]
    second["small"] = replace(second["small"], runs=runs)
    assert study.two_machines(first, second) == (
        "| times as fast | A Chip | B Chip |\n"
        "| --- | ---: | ---: |\n"
        "| [headline](#headline): b | 1 (base) | 1 (base) |\n"
        "| [headline](#headline): a | 2.00 | 2.00 |\n"
        "| [small](#small): a | 2.00 | 0.67 |"
    )


def test_published_results_make_the_documents(project: Path) -> None:
    """One project goes through all of it, because each step draws all pictures."""
    published = project / "benchmarks" / "results"
    second = project / "benchmarks" / "results-second"
    measured = project / "benchmarks" / "results-here"
    results = project / "benchmarks" / "RESULTS.md"
    headline = CLAIMS[0]

    for claim in CLAIMS:
        save(made_up_result(claim, 1.0), {}, published / f"{claim.name}.json")
        save(made_up_result(claim, 10.0, "B Chip"), {}, second / f"{claim.name}.json")
    nothing = study_in(project, "--publish")
    assert nothing.exit_code == 1
    assert nothing.one_line == (
        f"Nothing to publish: none of these studies was measured in {measured}."
    )

    assert study_in(project, "--render") == Outcome(0, "", "")
    text = results.read_text(encoding="utf-8")
    assert all(f"**{claim.statement}**" in text for claim in CLAIMS)
    assert all(f"python benchmarks/study.py {claim.name}</code>" in text for claim in CLAIMS)
    assert all(f"- [{claim.statement}](#{claim.name})" in text for claim in CLAIMS)
    assert "| async (aiohttp), access log | 7,000 | 1.00 (0.50-2.00) |" in text
    assert "| async (aiohttp), access log | 7,000 | 10.0 (5.00-20.0) |" in text
    assert "| times as fast | A Chip | B Chip |" in text
    assert "<!-- machine -->\n\nA Chip, " in text
    assert "<!-- second machine -->\n\nB Chip, " in text
    assert all(text.count(f"study.py {claim.name}</code>") == 2 for claim in CLAIMS)
    assert "1,000 s" not in (published / "comparison.svg").read_text(encoding="utf-8")

    save(made_up_result(headline, 250.0), {}, published / "headline.json")
    (published / "library.svg").unlink()
    outdated = study_in(project, "--check")
    assert outdated.exit_code == 1
    ending = " is out of date. Run: python benchmarks/study.py --render"
    lines = outdated.stdout.splitlines()
    assert all(line.endswith(ending) for line in lines)
    named = {line.removesuffix(ending) for line in lines}
    outdated_pictures = ("comparison", "comparison-dark", "library")
    pictures = {f"benchmarks/results/{name}.svg" for name in outdated_pictures}
    assert named - {"README.md"} == {"benchmarks/RESULTS.md"} | pictures

    measured.mkdir()
    whole = made_up_result(headline, 250.0)
    *others, last = whole.cases
    runs = [run for run in whole.runs if run.case != last.name]
    incomplete = replace(whole, cases=others, runs=runs)
    save(incomplete, {}, measured / "headline.json")
    save(made_up_result(headline, 1.0), {}, published / "headline.json")
    part = replace(made_up_result(CLAIMS[1], 250.0), rounds=2)
    save(part, {}, measured / f"{CLAIMS[1].name}.json")
    refused = study_in(project, "--publish")
    assert refused.exit_code == 1
    assert refused.one_line == "Nothing published: method has 2 of 9 rounds."
    assert load(published / "headline.json") == made_up_result(headline, 1.0)

    assert study_in(project, "--publish", "headline", "few") == Outcome(
        0,
        "Published: headline, without blocking (requests), 20 ms\n",
        "Not measured here: few\n",
    )
    assert load(published / "headline.json") == incomplete
    text = results.read_text(encoding="utf-8")
    assert "| async (aiohttp), access log | 7,000 | 250 (125-500) |" in text
    assert "1,000 s" in (published / "comparison.svg").read_text(encoding="utf-8")
