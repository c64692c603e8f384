"""The comparison: its arithmetic, worked out by hand, and the command itself."""

import doctest
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme
from rich.cells import cell_len
from typer.testing import CliRunner

import compare
from compare import Comparison, Settings
from harness.environment import describe_environment
from harness.runs import Case, Run
from helpers import (
    DEADLINE,
    ROOT,
    edited,
    finish,
    posix_only,
    reserved_port,
    start_python,
    wait_for,
)
from helpers import environment as child_environment
from made_up import ENVIRONMENT, made_up_run
from misbehaving import FAULTS, RIGHT, misbehaving, serve

COMPARE = ROOT / "benchmarks" / "compare.py"
NAMES = ["async (aiohttp)", "threads (requests)", "blocking (requests)"]

# -- What the runs say --------------------------------------------------------------------------

USUAL = Settings(requests=None, concurrency=32, rounds=3, latencies_ms=[0], url=None)
GROUP = {name: Case(f"{name}, 0 ms", "a.py") for name in NAMES}
CLIENTS = dict(zip(NAMES, [{"aiohttp": "3.14.5"}, *[{"requests": "2.34.2"}] * 2], strict=True))

# Three rounds in which medians and means differ, and medians of ratios from ratios of medians:
# async 5 (not 8 / 2), threads 1.2 (not 8 / 6).
RUNS = [
    made_up_run(f"{NAMES[place]}, 0 ms", number, seconds, client_cpu_s=cpu * seconds)
    for number, place, seconds, cpu in [
        *((1, 0, 1.0, 0.9), (1, 1, 6.0, 1.1), (1, 2, 8.0, 0.5)),  # 8 and 1.33 times
        *((2, 0, 2.0, 0.7), (2, 1, 5.0, 1.1), (2, 2, 6.0, 0.5)),  # 3 and 1.2 times
        *((3, 0, 4.0, 0.8), (3, 1, 40.0, 1.1), (3, 2, 20.0, 0.5)),  # 5 and 0.5 times
    ]
]


def comparison(
    runs: list[Run] = RUNS, clients: dict[str, dict[str, str]] = CLIENTS, **given: Any
) -> Comparison:
    """Return a comparison of the three scripts with one server."""
    environment = ENVIRONMENT | {"clients": clients}
    return Comparison(replace(USUAL, **given), environment, [GROUP], runs)


def test_text_worked_out_by_hand() -> None:
    table, conditions, answers = compare.text(comparison()).split("\n\n")
    assert table.splitlines() == [
        "A server that answers immediately:",
        "                                 requests    times as fast 24,999 client server",
        "                                    per s      as blocking   take    CPU    CPU",
        "async (aiohttp)     ############      500 5.00 (3.00-8.00)   50 s    80%    60%",
        "threads (requests)  ####              167 1.20 (0.50-1.33)  2 min   110%    60%",
        "blocking (requests) ###               125             1.00  3 min    50%    60%",
    ]
    assert conditions.splitlines() == [
        "Medians of 3 rounds, 32 requests in flight or one after another, 2 cores",
        "Python 3.11.7, aiohttp 3.14.5, requests 2.34.2, uvicorn 0.54.0",
    ]
    assert " ".join(answers.split()) == (
        "With a server that answers immediately, async (aiohttp) is 5.00 times as fast as blocking "
        "(requests); threads (requests): no difference shown from blocking (requests). "
        'In brackets is the library, which differs, too: see "Why" in README.md.'
    )


def test_text_fits_a_terminal_and_wide_names_keep_the_rows_straight() -> None:
    """Async is 31.5 times as fast, which is as long as a ratio gets."""
    seconds = (0.0812, 0.1018, 2.51, 0.0784, 0.2003, 2.52)
    runs = [
        made_up_run(RUNS[n % 3].case, n // 3 + 1, s, others_s=9.0, idle_s=0.0)
        for n, s in enumerate(seconds)
    ]
    packages = {name: version(name) for name in ("aiohttp", "requests", "tqdm")}
    environment = describe_environment() | {"clients": dict.fromkeys(NAMES, packages)}
    text = compare.text(replace(comparison(runs, rounds=9, requests=7), environment=environment))
    assert "31.5 (30.9-32.1)" in text
    assert "Medians of 2 of 9 rounds, 7 requests in flight or one after another" in text
    assert "Other programs kept the processor busy in 6 of 6 runs:" in text
    assert text.isascii()
    assert [line for line in text.splitlines() if len(line) > 80] == []
    wide = dict(zip(["异步", "threads", "blocking"], GROUP.values(), strict=True))
    assert len({*map(cell_len, compare.table_of(wide, RUNS).splitlines())}) == 1


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ((1.0, 1.2), ": no difference shown from"),
        ((0.8, 1.0), ": no difference shown from"),
        ((1.1, 1.3), " is 1.20 times as fast as"),
        ((0.7, 0.9), " is 0.80 times as fast as"),
        # Of nine rounds, the interval leaves out the lowest and the highest.
        ((0.5, 1.4, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.1), " is 1.20 times as fast as"),
        ((0.5, 0.9, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2), ": no difference shown from"),
    ],
)
def test_no_difference_is_shown_where_the_interval_includes_one(
    ratios: tuple[float, ...], expected: str
) -> None:
    runs = [
        made_up_run(GROUP[name].name, number, seconds)
        for number, ratio in enumerate(ratios, start=1)
        for name, seconds in ((NAMES[0], 1.0), (NAMES[2], ratio))
    ]
    sentence = compare.answer(USUAL, {name: GROUP[name] for name in NAMES[::2]}, runs)
    assert f"immediately, async (aiohttp){expected} blocking (req" in " ".join(sentence.split())


def test_library_is_spoken_of_only_where_it_is_known_to_differ() -> None:
    same = {name: {"requests": "2.34.2"} for name in NAMES}
    unknown = CLIENTS | {NAMES[0]: {}}  # its metadata is missing
    for clients in (same, unknown, {NAMES[0]: CLIENTS[NAMES[0]]}):
        assert "library" not in compare.text(comparison(clients=clients))


def test_no_ratio_where_requests_failed() -> None:
    def failed(place: int) -> Comparison:
        one = {place: replace(RUNS[place], ok=999, failures={"HTTP 503": 1})}
        return comparison([one.get(number, run) for number, run in enumerate(RUNS)])

    text = compare.text(failed(3))  # of async
    assert re.search(r"async \(aiohttp\) +#+ +[\d.,]+ +- ", text)
    assert "\nasync (aiohttp), 0 ms: 1 x HTTP 503\n" in text
    assert "immediately, threads (requests): no difference shown" in " ".join(text.split())
    text = compare.text(failed(5))  # of the base
    assert "With a server that answers immediately, there is nothing to compare." in text
    content = json.loads(compare.json_text(failed(5)), parse_constant=pytest.fail)  # no NaN
    assert [client["times_as_fast"] for client in content["summary"]] == [None] * 3


def test_durations_and_bars() -> None:
    assert [*map(compare.duration, (9.94, 10, 99.4, 100))] == ["9.9 s", "10 s", "99 s", "2 min"]
    assert [compare.bar(share) for share in (0, 0.001, 1)] == [" " * 12, "#" + " " * 11, "#" * 12]
    assert doctest.testmod(compare) == (0, 2)


def test_json_worked_out_by_hand() -> None:
    runs = [replace(run, spans_s=[[0.1, 0.2]]) for run in RUNS]
    runs[4] = replace(runs[4], others_s=7.0, idle_s=0.5)
    content = json.loads(compare.json_text(comparison(runs)))
    assert [*content] == ["settings", "environment", "summary", "runs"]
    assert content["settings"] == asdict(USUAL)
    assert content["environment"] == ENVIRONMENT | {"clients": CLIENTS}
    assert content["summary"][0] == {
        "client": NAMES[0],
        "latency_ms": 0,
        "requests_per_s": {"median": 500, "low": 250, "high": 1_000},
        "times_as_fast": {"median": 5, "low": 3, "high": 8},
    }
    run = content["runs"][4]  # the second one of the second round
    expected = {"client": NAMES[1], "latency_ms": 0, "round": 2, "ok": 1_000, "elapsed_s": 5}
    expected |= {"client_cpu_s": 5.5, "p50_ms": 2, "others_s": 7, "disturbed": True}
    assert {name: run[name] for name in expected} == expected
    assert [run["disturbed"] for run in content["runs"]].count(True) == 1
    assert not any("spans_s" in run for run in content["runs"])


@posix_only
def test_json_is_written_whole_and_a_pipe_gets_it_once(tmp_path: Path) -> None:
    path, link, pipe = (tmp_path / name for name in ("a.json", "link", "pipe"))
    path.write_text("old and longer")
    link.symlink_to(path)
    os.mkfifo(pipe)
    assert [*map(compare.writable, (path, pipe))] == [path, pipe]
    assert path.read_text() == "old and longer"
    with pytest.raises(UnicodeEncodeError):
        compare.write_json("new \ud800", path)
    assert path.read_text() == "old and longer"
    compare.write_json("new", link)
    assert path.read_text() == "new" and link.is_symlink()
    with ThreadPoolExecutor() as pool:
        pool.submit(compare.write_json, "{}\n", pipe)
        assert pipe.read_text() == "{}\n"
    assert pipe.is_fifo() and sorted(tmp_path.iterdir()) == [path, link, pipe]


# -- The command --------------------------------------------------------------------------------


def start_compare(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start the command in a folder that is not the project's."""
    return start_python(folder, str(COMPARE), *options)


def test_two_servers_and_three_scripts_in_turn(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text("old")
    options = ("-n", "8", "-c", "4", "--rounds", "1", "--json", "runs.json")
    outcome = finish(start_compare(tmp_path, *options))
    assert outcome.exit_code == 0, outcome
    ended = [f"{name}, {latency_ms} ms, 8 of 8 ok" for latency_ms in (0, 100) for name in NAMES]
    first, *logged = sorted(line.partition(" in ")[0] for line in outcome.stderr.splitlines())
    assert first.startswith("Leave the machine alone")
    assert logged == [f"round 1 of 1: {run}" for run in sorted(ended)]
    lines = outcome.stdout.splitlines()
    assert {"A server that answers immediately:", "A server that takes 100 ms:"} <= {*lines}
    assert [line[:19].strip() for line in lines if "#" in line] == NAMES * 2
    content = json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))
    environment = content["environment"]
    assert {name: {*packages} for name, packages in environment["clients"].items()} == {
        name: {re.sub(r".*\((\w+)\)", r"\1", name), "tqdm"} for name in NAMES
    }
    shaping = {"fastapi", "uvicorn", "starlette", "pydantic", "httptools"}
    assert {*environment["server"]} - {"uvloop"} == shaping  # there is no uvloop on Windows
    assert ("uvloop" in environment["server"]) == (os.name == "posix")
    assert environment["server"]["starlette"] == version("starlette")
    ratios = [client["times_as_fast"]["median"] for client in content["summary"]]
    assert [ratio == 1 for ratio in ratios] == [False, False, True] * 2  # the last is the base
    for run in content["runs"]:
        in_flight = 1 if run["client"] == NAMES[2] else 4
        assert (run["round"], run["requests"], run["ok"], run["failures"]) == (1, 8, 8, {})
        assert run["elapsed_s"] >= 8 / in_flight * run["latency_ms"] / 1_000
        assert run["latency_ms"] == 0 or in_flight / 2 < run["in_flight"] <= in_flight
        assert run["latency_ms"] <= run["p50_ms"] <= run["p99_ms"] <= run["max_ms"]
        assert run["client_cpu_s"] > 0 and run["server_cpu_s"] >= 0


def test_scripts_that_fail_and_the_server_of_somebody_else(tmp_path: Path) -> None:
    """Its certificate is known to nobody. It answers 503 to the ids of one of the scripts."""
    share = "        for item_id in share:\n"
    dies = {share: f"{share}            if item_id == 100_010: return\n"}

    def script(name: str, client: str, urls: str, edits: dict[str, str]) -> str:
        edits |= {
            'NAME = "': f'NAME = "{name}" # ',
            "session.trust": "session.verify = session.trust",
        }
        (tmp_path / name).mkdir()
        return str(edited(client, tmp_path / name, base_url="", urls=urls, replace=edits))

    scripts = [
        script("broken", "blocking", "range(7_000, 7_010)", {}),
        script("dying", "thread", "range(100_000, 100_640)", dies),
        script("base", "blocking", "range(1, 21)", {}),
    ]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    slow = replace(RIGHT, delay=0.05)
    busy = dict.fromkeys(range(7_000, 7_010), FAULTS["503"])
    with serve(lambda item_id: busy.get(item_id, slow), context) as server:
        options = ("--url", f"{server.url}/", "-c", "4", "--rounds", "1", "--json", "runs.json")
        outcome = finish(start_compare(tmp_path, *options, *scripts))
    assert outcome.exit_code == 1, outcome
    # For those whose requests fail, a trial run is enough; for the base, it takes half a second.
    assert len(re.findall(r"^trial run: .* ok in \d\.\d\d s$", outcome.stderr, re.M)) == 3
    content = json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))
    runs = {run["client"]: run for run in content["runs"]}
    assert runs["broken"]["ok"] == 0 and [*runs["broken"]["failures"]] == ["HTTP 503"]
    assert runs["dying"]["ok"] > 0 and [*runs["dying"]["failures"]] == ["not answered"]
    # The server takes 50 ms, which ten requests measure: at most 20 requests a second.
    assert 10 <= runs["base"]["requests"] == runs["base"]["ok"] <= 20
    for name in ("broken", "dying"):
        (failure,) = runs[name]["failures"].items()
        assert f"\n{name}: {failure[1]:,} x {failure[0]}\n" in outcome.stdout
    assert {*range(100_001, 100_010)} <= {*server.asked} <= {*busy, *range(100_640), *range(1, 21)}
    words = " ".join(outcome.stdout.split())
    assert f"With a server at {server.url}, there is nothing to compare." in words
    rows = [line.split() for line in outcome.stdout.splitlines() if line.startswith((*runs,))]
    assert rows[0] == ["broken", "0.000", "-", "-", rows[0][4], "-"]
    assert rows[1][3] == "-" and rows[2][3] == "1.00"  # the base has no failure of its own
    assert {(run["latency_ms"], run["server_cpu_s"]) for run in runs.values()} == {(None, None)}
    assert content["settings"]["latencies_ms"] is None and content["environment"]["server"] == {}


def test_pipes_that_nobody_reads_cost_no_result(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with misbehaving(RIGHT) as server:
        options = ["--url", server.url, "-n", "1", "--rounds", "1", "--json", "runs.json"]
        ended = subprocess.run(
            [sys.executable, str(COMPARE), *options, str(ROOT / "test_blocking.py")],
            cwd=tmp_path,
            env=child_environment(PYTHONUNBUFFERED="1"),
            stdout=writing,
            stderr=writing,
            timeout=DEADLINE,
            check=False,
        )
    os.close(writing)
    assert ended.returncode != 0
    assert len(json.loads((tmp_path / "runs.json").read_text())["runs"]) == 1


@posix_only
def test_ctrl_c_keeps_whole_rounds(tmp_path: Path) -> None:
    options = ("-n", "5", "--rounds", "100", "--latency-ms", "20", "--json", "-")
    scripts = (str(ROOT / "test_async.py"), str(ROOT / "test_blocking.py"))
    process = start_compare(tmp_path, *options, *scripts)
    assert process.stderr
    lines = [process.stderr.readline() for _ in range(1 + 3)]
    assert lines[-1].startswith("round 2 of 100: "), lines
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    *more, last = outcome.stderr.splitlines()
    assert (outcome.exit_code, last) == (130, "Stopped.")
    rounds = (3 + len(more)) // 2
    runs = json.loads(outcome.stdout)["runs"]  # and no table
    assert [run["round"] for run in runs] == [1 + n // 2 for n in range(2 * rounds)]
    assert children and not psutil.wait_procs(children, timeout=DEADLINE)[1]


@posix_only
@pytest.mark.parametrize(
    ("role", "target", "number", "exit_code", "message"),
    [
        ("describe", "compare.py", signal.SIGINT, 130, "Stopped before a round was complete: n"),
        ("client", "compare.py", signal.SIGINT, 130, "Stopped before a round was complete: n"),
        ("client", "server", 9, 1, "The server ended with exit code -9."),
    ],
)
def test_end_before_a_round_is_complete_is_one_line(
    role: str, target: str, number: int, exit_code: int, message: str, tmp_path: Path
) -> None:
    options = ("-n", "3", "--latency-ms", "1000", "--rounds", "1", "--json", "runs.json")
    process = start_compare(tmp_path, *options, str(ROOT / "test_blocking.py"))
    family = {"compare.py": psutil.Process(process.pid)}

    def runs() -> bool:
        with suppress(psutil.NoSuchProcess):  # the child that describes the script has ended
            for child in family["compare.py"].children():
                family.update(dict.fromkeys(child.cmdline(), child))
        return role in family

    wait_for(runs, "a child")
    family[target].send_signal(number)
    outcome = finish(process)
    assert (outcome.exit_code, outcome.stdout) == (exit_code, "")
    (line,) = [line for line in outcome.stderr.splitlines() if not line.startswith("Leave")]
    assert line.startswith(message)
    assert not [*tmp_path.iterdir()]


def test_nothing_at_the_url_is_one_line(tmp_path: Path) -> None:
    with reserved_port() as port:
        url = f"http://127.0.0.1:{port}"
        outcome = finish(start_compare(tmp_path, "--url", url, str(ROOT / "test_blocking.py")))
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert re.fullmatch(rf"{url}: \[.*refused.*", outcome.stderr.splitlines()[-1])


# -- Options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["no_such_file.py"], "does not exist"),
        (["."], "is a directory"),
        (["notes.txt"], "notes.txt: NotAScriptError: it is not a Python file"),
        (["shapeless.py"], "NotAScriptError: it has no TIMEOUT, urls, Tally, fetch_all, as the"),
        (["raising.py"], "raising.py: ValueError: no token (raising.py, line 2)"),
        (["twin.py", "test_blocking.py"], "have the same NAME: blocking (requests), blocking (req"),
        (["twin.py", "twin.py"], "two scripts have the same NAME"),
        (["--url", "http://127.0.0.1:9", "--latency-ms", "0"], "exclude each other"),
        (["--url", ""], "it is empty"),
        (["--json", "no_such_folder/runs.json"], "can't be written"),
        (["--json", "."], ". is a folder"),
        (["-n", "0"], "greater than or equal to 1"),
        (["-c", "0"], "greater than or equal to 1"),
        (["--rounds", "0"], "greater than or equal to 1"),
        (["--latency-ms", "-1"], "greater than or equal to 0"),
        (["--latency-ms", "10000"], "less than or equal to 9999"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "stop_on_signals", lambda: None)
    monkeypatch.setattr(compare, "start_or_find_servers", pytest.fail)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("some text")
    (tmp_path / "shapeless.py").write_text("NAME = BASE_URL = ''")
    (tmp_path / "raising.py").write_text("\nraise ValueError('no token')")
    for name in ("twin.py", "test_blocking.py"):
        (tmp_path / name).write_bytes((ROOT / "test_blocking.py").read_bytes())
    result = CliRunner().invoke(compare.app, options)
    assert result.exit_code == 2, result
    assert message in re.sub(r"[│\s]+", " ", result.stderr)


def test_uv_finds_what_the_requirements_name() -> None:
    source = COMPARE.read_text(encoding="utf-8")
    dependencies = set(re.findall(r'^#     "(.+)",$', source.split("# ///")[1], re.MULTILINE))
    files = (ROOT / "requirements.txt", ROOT / "benchmarks" / "requirements.txt")
    lines = {line for path in files for line in path.read_text().splitlines()}
    assert dependencies == lines - {"-r ../requirements.txt"}
