"""The studies: what they claim, measure and keep, and what is made of it."""

import logging
import re
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import charts
import report
import study
from claims import ASYNC, BLOCKING, CLAIMS, Claim
from harness.results import load, save
from helpers import DEADLINE, ROOT, Outcome, finish, posix_only, start_python
from made_up import made_up_case, made_up_result

FEW = next(claim for claim in CLAIMS if claim.name == "few")

# -- Claims -------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim(claim: Claim) -> None:
    names = Counter(case.name for case in claim.cases)
    assert max(names.values()) == 1
    bases = {case.name: case.base for case in claim.cases}
    assert {*bases.values()} <= {*names}
    assert all(bases[base] == base for base in bases.values())  # a base is its own
    assert {*claim.columns} <= {*report.COLUMNS}
    assert claim.statement.isascii() and claim.statement.endswith(".")
    for case in claim.cases:
        assert (ROOT / case.script).is_file()
        if case.replacement:
            module = ROOT / "benchmarks" / f"{case.replacement.replace('.', '/')}.py"
            assert module.is_file()
        assert case.requests >= (case.concurrency or 1) or claim.name == "few", case
        waiting = case.requests / (case.concurrency or 1) * case.server.latency_ms / 1_000
        assert waiting <= 1.1 or claim.name in ("few", "endpoint", "timeline"), case


def test_claims_have_names_of_their_own() -> None:
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names)
    assert {draw.__name__ for draw in charts.DRAWN} <= {*names}


# -- Measuring ----------------------------------------------------------------------------------

SMALL = Claim(
    "small",
    "It is small.",
    [
        replace(ASYNC, name="a", requests=5, concurrency=2, base="b"),
        replace(BLOCKING, name="b", requests=5, base="b"),
    ],
    ["requests", "times as fast"],
    rounds=100,
)

# The command with another claim, in the folder in which it is called.
SMALL_STUDY = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv.pop(1).split("|")
import study, test_study
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
study.CLAIMS[:] = [test_study.SMALL]
study.PUBLISHED, study.MEASURED_HERE = Path("results"), Path("results-here")
study.app()
"""


@posix_only
def test_run_that_is_stopped_keeps_whole_rounds(tmp_path: Path) -> None:
    (tmp_path / "results-here").mkdir()
    path = f"{ROOT / 'benchmarks'}|{ROOT / 'tests'}"
    process = start_python(tmp_path, "-c", SMALL_STUDY, path, "run", "small")
    assert process.stderr
    announcement, *lines = [process.stderr.readline() for _ in range(4)]
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert outcome.exit_code == 130, outcome
    assert announcement == "About 0 min. Leave the machine alone meanwhile.\n"
    for line, start in zip(lines, ("1 of 100: a", "1 of 100: b", "2 of 100: b"), strict=True):
        assert line.startswith(f"small, round {start}, 5 of 5 ok in ")
    rounds = (len(lines) + len(outcome.stderr.splitlines())) // 2
    assert f"\nsmall: {report.plural(rounds, 'round')} of 100\n" in outcome.stdout
    assert re.search(r"\nb +5 +1 \(base\)\n", outcome.stdout)
    published = "The published claim, which this may confirm or refute: It is small.\n"
    assert published in outcome.stdout
    assert outcome.stdout.isascii()
    result = load(tmp_path / "results-here" / "small.json")
    assert (result.claim, result.rounds, result.cases) == ("small", rounds, SMALL.cases)
    assert len(result.runs) == 2 * rounds
    libraries = {"aiohttp", "requests", "fastapi", "uvicorn"}
    assert {*result.environment["libraries"]} == libraries


def test_part_of_a_round_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(study, "stop_on_signals", lambda: None)
    broken = replace(SMALL.cases[1], script=str(tmp_path / "no_such_script.py"))
    caplog.set_level(logging.INFO)
    assert study.measure_all([replace(SMALL, cases=[SMALL.cases[0], broken])], tmp_path) == 1
    first, error = caplog.messages
    assert first.startswith("small, round 1 of 100: a, 5 of 5 ok in ")
    assert error.startswith("b ended without a result, exit code 1. FileNotFoundError: ")
    assert not [*tmp_path.iterdir()]


def test_result_is_printed_before_it_is_written_and_written_if_it_cannot_be_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = made_up_result(FEW)
    path = tmp_path / "results-here" / "few.json"

    class ClosedPipe:
        def write(self, text: str) -> None:
            assert not path.exists()
            raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", ClosedPipe())
        with pytest.raises(BrokenPipeError):
            study.keep(FEW, result, path.parent)
    assert load(path) == result


def test_failures_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.keep(FEW, made_up_result(FEW, failures={"HTTP 503": 2}), tmp_path)
    assert f"\n{FEW.cases[0].name}: {2 * FEW.rounds} x HTTP 503\n" in capsys.readouterr().out


def test_what_cannot_run_here_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "raising.py").write_text("print('noise')\nraise RuntimeError('no such CPU')\n")
    (tmp_path / "crashing.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.chdir(tmp_path)
    cases = [
        made_up_case("a", library="no_such_library"),
        made_up_case("b"),
        made_up_case("c", library="raising"),
        made_up_case("d", python="no_such_python"),
        made_up_case("e", library="no_such_library"),
        made_up_case("f", library="crashing"),
    ]
    caplog.set_level(logging.INFO)
    assert study.available_cases(Claim("x", "", cases, [])) == [cases[1]]
    messages = [
        message.replace(f"{sys.executable} can't import", "-") for message in caplog.messages
    ]
    assert messages == [
        "x: - no_such_library: ModuleNotFoundError: No module named 'no_such_library'. "
        "Left out: a; e",
        "x: - raising: RuntimeError: no such CPU. Left out: c",
        "x: no_such_python is not on PATH. Left out: d",
        "x: - crashing: . Left out: f",
    ]
    study.measure(Claim("x", "", cases[:1], []), tmp_path / "results-here")
    assert not (tmp_path / "results-here").exists()


def test_quick_has_every_kind_of_case_once() -> None:
    def kinds(claims: list[Claim]) -> list[tuple[Any, ...]]:
        return [
            (case.script, case.replacement, case.python, case.path, case.server)
            for claim in claims
            for case in claim.cases
        ]

    quick = [*study.quickened(CLAIMS)]
    assert [claim.name for claim in quick] == [claim.name for claim in CLAIMS]
    assert all(claim.cases and claim.rounds == 1 for claim in quick)
    assert {*kinds(quick)} == {*kinds(CLAIMS)}
    assert len(kinds(quick)) <= len({*kinds(CLAIMS)}) + 2 * len(CLAIMS)
    assert max(case.requests for claim in quick for case in claim.cases) == 20
    assert max(case.concurrency or 1 for claim in quick for case in claim.cases) == 4


def test_nothing_but_a_python_is_missing_here(caplog: pytest.LogCaptureFixture) -> None:
    """So `quick`, which CI runs, runs everything."""
    for claim in study.quickened(CLAIMS):
        study.available_cases(claim)
    assert all(re.match(r"cores: python3\.13t? ", line) for line in caplog.messages), caplog.text


def test_quick_keeps_nothing(tmp_path: Path) -> None:
    code = (
        "import logging, study\n"
        "logging.basicConfig(level=logging.INFO, format='%(message)s')\n"
        "study.CLAIMS[:] = [c for c in study.CLAIMS if c.name == 'timeline']\n"
        "study.app(['quick'])\n"
    )
    outcome = finish(start_python(tmp_path, "-c", code, PYTHONPATH=str(ROOT / "benchmarks")))
    assert outcome.exit_code == 0, outcome
    for line in outcome.stderr.splitlines():
        assert re.fullmatch(r"\w+, round 1 of 1: .*, (\d+) of \1 ok in .* s", line)
    assert len(outcome.stderr.splitlines()) == 3
    assert "\ntimeline: 1 round of 1\n" in outcome.stdout
    assert outcome.stdout.isascii()
    (folder,) = {Path(path).parent for path in re.findall("All runs: (.*)", outcome.stdout)}
    assert not folder.exists()


# -- Publishing ---------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with documents and made-up results of all studies, rendered without pictures."""
    published = tmp_path / "results"
    monkeypatch.setattr(study, "PROJECT", tmp_path)
    monkeypatch.setattr(study, "PUBLISHED", published)
    monkeypatch.setattr(study, "MEASURED_HERE", tmp_path / "results-here")
    monkeypatch.setattr(study, "DOCUMENTS", (tmp_path / "README.md", tmp_path / "RESULTS.md"))
    monkeypatch.setattr(charts, "DRAWN", ())
    (tmp_path / "results-here").mkdir()
    published.mkdir()
    for claim in CLAIMS:
        save(made_up_result(claim), published / f"{claim.name}.json")
    names = ["statements", "machine"]
    for claim in CLAIMS:
        names += [f"statement of {claim.name}", f"table of {claim.name}"]
    blocks = "\n".join(f"<!-- {name} -->\n<!-- end -->\n" for name in names)
    (tmp_path / "README.md").write_text("# Title\n\nSee [few](RESULTS.md#few), first.\n")
    (tmp_path / "RESULTS.md").write_text(f"## few\n\n{blocks}\n## fewer\n")
    assert command("render").exit_code == 0
    return tmp_path


@pytest.fixture
def illustrated(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder with one picture."""
    monkeypatch.setattr(charts, "DRAWN", (charts.cores,))
    assert command("render").exit_code == 0
    return project


def command(*arguments: str) -> Outcome:
    """Run the command in this process."""
    result = CliRunner().invoke(study.app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result
    return Outcome(result.exit_code, result.stdout, result.stderr)


def test_render_writes_statements_tables_and_pictures(project: Path) -> None:
    results = (project / "RESULTS.md").read_text(encoding="utf-8")
    for claim in CLAIMS:
        assert f"\n- [{claim.statement}](#{claim.name})\n" in results
        marker = f"<!-- statement of {claim.name} -->\n\n**{claim.statement}**\n\n<!-- end -->"
        assert marker in results
        table = report.folded_table(claim.columns, made_up_result(claim))
        assert f"<!-- table of {claim.name} -->\n\n{table}\n\n<!-- end -->" in results
    assert "<!-- machine -->\n\nA Chip, 2 cores, Linux, Python 3.11.7, " in results
    assert (project / "README.md").read_text() == "# Title\n\nSee [few](RESULTS.md#few), first.\n"


def test_check_finds_what_is_out_of_date(illustrated: Path) -> None:
    assert command("check") == Outcome(0, "", "")
    document, picture = illustrated / "RESULTS.md", illustrated / "results" / "cores.svg"
    drawn = picture.read_text(encoding="utf-8")
    assert "stroke-width: 1.5" in drawn and ">1.00</text>" in drawn
    picture.write_text(drawn.replace("stroke-width: 1.5", "stroke-width: 1.6"))
    assert command("check").exit_code == 0  # another release of matplotlib draws other lines

    document.write_text(document.read_text().replace("A Chip", "B Chip", 1))
    picture.write_text(drawn.replace(">1.00</text>", ">1.01</text>"))
    (illustrated / "results" / "cores-dark.svg").unlink()
    outcome = command("check")
    assert outcome.exit_code == 1
    assert outcome.stdout.splitlines() == [
        f"{path} is out of date. Run: python benchmarks/study.py render"
        for path in (document, picture, illustrated / "results" / "cores-dark.svg")
    ]
    assert command("render").exit_code == 0
    assert command("check").exit_code == 0


def test_publish_copies_renders_and_names_what_to_look_at(project: Path) -> None:
    here, published = project / "results-here" / "few.json", project / "results" / "few.json"
    save(made_up_result(FEW, process_s=7.0), here)
    outcome = command("publish")
    assert outcome.exit_code == 0
    assert published.read_bytes() == here.read_bytes()
    table = report.folded_table(FEW.columns, load(here))
    assert table in (project / "RESULTS.md").read_text(encoding="utf-8")
    lines = outcome.stdout.splitlines()
    assert lines[0].startswith("Published: few. ")
    assert FEW.statement in outcome.stdout
    assert lines[2:-1] == [
        "README.md:3: See [few](RESULTS.md#few), first.",
        "RESULTS.md:1: ## few",
    ]
    assert lines[-1].endswith(f": - [{FEW.statement}](#few)")


@pytest.mark.parametrize("missing", ["rounds", "cases"])
def test_publish_refuses_part_of_a_study(missing: str, project: Path) -> None:
    result = made_up_result(FEW)
    rounds, cases = FEW.rounds - (missing == "rounds"), result.cases[missing == "cases" :]
    save(replace(result, rounds=rounds, cases=cases), project / "results-here" / "few.json")
    save(made_up_result(CLAIMS[0], ok=900), project / "results-here" / f"{CLAIMS[0].name}.json")
    before = {path: path.read_bytes() for path in project.glob("results/*")}
    outcome = command("publish")
    assert outcome.exit_code == 1
    assert outcome.stdout == (
        f"Nothing published: few has {rounds} of {FEW.rounds} rounds "
        f"and {len(cases)} of {len(FEW.cases)} cases.\n"
    )
    assert {path: path.read_bytes() for path in project.glob("results/*")} == before


def test_publish_without_a_measurement(project: Path) -> None:
    save(made_up_result(FEW), project / "results-here" / "few.json")
    outcome = command("publish", "headline")
    assert outcome.exit_code == 1
    assert outcome.stdout.startswith("Nothing to publish: ")


@pytest.mark.parametrize("subcommand", ["run", "publish"])
def test_unknown_study(subcommand: str, project: Path) -> None:
    outcome = command(subcommand, "few", "speed")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    message = " ".join(re.sub("[│─╭╮╰╯]", "", outcome.stderr).split())
    assert f"no study is called speed. Choose from {CLAIMS[0].name}, {CLAIMS[1].name}, " in message


def test_list(project: Path) -> None:
    (project / "results" / "cores.json").unlink()
    lines = command("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [claim.name for claim in CLAIMS]
    for line, claim in zip(lines, CLAIMS, strict=True):
        # The n-th case takes n s in all rounds but two, which take n / 2 and 2 n s; 0.5 s a process.
        cases = len(claim.cases)
        seconds = cases * (cases + 1) / 2 * (claim.rounds + 0.5) + 0.5 * cases * claim.rounds
        expected = 0 if claim.name == "cores" else seconds / 60
        assert line.split()[1:3] == [f"{expected:.1f}", "min"]
        assert line.endswith(f" min  {claim.statement}")


def test_settings_of_matplotlib_do_not_count(illustrated: Path) -> None:
    code = (
        "import charts, study\n"
        "from pathlib import Path\n"
        "charts.DRAWN = (charts.cores,)\n"
        "study.PUBLISHED = Path('results')\n"
        "study.DOCUMENTS = (Path('RESULTS.md'),)\n"
        "study.list_claims()\n"
        "study.app(['check'])\n"
    )
    (illustrated / "matplotlibrc").write_text("font.size: 99\nsvg.fonttype: path\n")
    path = {"PYTHONPATH": str(ROOT / "benchmarks"), "MPLBACKEND": "module://nowhere"}
    outcome = finish(start_python(illustrated, "-c", code, **path), DEADLINE)
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert len(outcome.stdout.splitlines()) == len(CLAIMS)
