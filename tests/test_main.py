"""The server: what it answers, how it documents itself, how it starts."""

import inspect
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import main
from helpers import ROOT, Server, finish, get, start_python, uvicorn


def test_root_answers_with_five_random_letters(server: Server) -> None:
    bodies = {get(server.url).text for _ in range(20)}
    assert all(re.fullmatch(r'\{"data":"[a-z]{5}"\}', body) for body in bodies)
    assert len(bodies) > 15
    assert len(set("".join(body[9:14] for body in bodies))) > 15  # of 26 letters


@pytest.mark.parametrize("item_id", [0, 1, 24_999, -7, 10**400])
def test_item_answers_with_its_id(server: Server, item_id: int) -> None:
    response = get(f"{server.url}/items/{item_id}")
    assert response.status_code == 200
    assert response.content == b'{"item_id":%d}' % item_id


@pytest.mark.parametrize("text", ["abc", "1.5", "%20"])
def test_no_integer_is_a_422_with_its_reason(server: Server, text: str) -> None:
    response = get(f"{server.url}/items/{text}")
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["path", "item_id"]


def test_documentation(server: Server) -> None:
    assert "swagger" in get(f"{server.url}/docs").text.lower()
    api = get(f"{server.url}/openapi.json").json()
    assert api["info"]["title"] == "Python concurrency: async, threads, blocking"
    assert set(api["paths"]) == {"/", "/items/{item_id}"}
    for path in api["paths"].values():
        assert path["get"]["description"].endswith(".")
        assert path["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]


def test_nothing_slows_a_request_down() -> None:
    # FastAPI would run a plain `def` in a thread, a detour for each request.
    assert inspect.iscoroutinefunction(main.read_root)
    assert inspect.iscoroutinefunction(main.read_item)
    telemetry = main.app._telemetry
    assert not (telemetry["tracing"] or telemetry["metrics"] or telemetry["logs"])
    assert main.app.router.dependencies == []


# -- Latency --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("0", 0), ("20", 0.02), ("1000", 1)])
def test_latency_in_milliseconds(
    text: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENCY_MS", text)
    assert main.read_latency() == seconds


@pytest.mark.parametrize(
    "text", ["abc", "-1", "0.5", "1e3", "nan", "10 ms", " ", "\N{SUPERSCRIPT TWO}"]
)
def test_impossible_latency(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENCY_MS", text)
    with pytest.raises(SystemExit) as raised:
        main.read_latency()
    message = "LATENCY_MS must be a whole number of milliseconds, 0 or more, not "
    assert raised.value.code == f"{message}{text!r}"


def test_impossible_latency_is_one_line_from_uvicorn() -> None:
    options = ("-m", "uvicorn", "main:app", "--port", "0")
    outcome = finish(start_python(ROOT, *options, LATENCY_MS="0.5"))
    assert outcome.exit_code != 0
    assert outcome.one_line.startswith("LATENCY_MS must be ")


def test_latency_holds_each_answer_back_and_all_together(tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", LATENCY_MS="300") as server:

        def seconds(path: str) -> float:
            start = time.perf_counter()
            get(server.url + path)
            return time.perf_counter() - start

        start = time.perf_counter()
        with ThreadPoolExecutor(40) as pool:
            waited = [*pool.map(seconds, 20 * ["/", "/items/1"])]
        elapsed = time.perf_counter() - start
    assert min(waited) >= 0.3
    assert elapsed < 40 * 0.3 / 2  # one after another, they would take twice as long
