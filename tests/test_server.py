"""The server: what it answers, how it documents itself, how it starts."""

import re
import shutil
import string
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from helpers import DEADLINE, ROOT, Server, finish, free_port, start_python, uvicorn, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server as `uvicorn main:app` runs it."""
    with uvicorn(tmp_path_factory.mktemp("server") / "log") as running:
        yield running


def get(url: str) -> requests.Response:
    """Ask once, past any proxy."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=DEADLINE)


def test_root_gives_five_random_letters(server: Server) -> None:
    bodies = [get(server.url).json() for _ in range(20)]
    assert all(list(body) == ["data"] for body in bodies)
    assert all(re.fullmatch("[a-z]{5}", body["data"]) for body in bodies)
    assert len({body["data"] for body in bodies}) > 1


def test_root_uses_the_whole_alphabet(server: Server) -> None:
    with requests.Session() as session:
        session.trust_env = False
        letters = {c for _ in range(300) for c in session.get(server.url, timeout=DEADLINE).json()["data"]}
    assert letters == set(string.ascii_lowercase)  # one is missing once in 10 ** 24 times


def test_endpoints_run_on_the_event_loop() -> None:
    # A plain `def` would go through a pool of threads, and cost each request a detour.
    code = (
        "import inspect, main\n"
        "print([inspect.iscoroutinefunction(f) for f in (main.read_root, main.read_item)])"
    )
    ended = finish(start_python(ROOT, "-c", code))
    assert ended.stdout == "[True, True]\n"


@pytest.mark.parametrize("item_id", [0, 1, 24_999, -7, 2**63, -(10**400), 10**4_000])
def test_item_gives_its_id_back(server: Server, item_id: int) -> None:
    response = get(f"{server.url}/items/{item_id}")
    assert response.status_code == 200
    assert response.text == f'{{"item_id":{item_id}}}'


@pytest.mark.parametrize("text", ["abc", "1.5", "9" * 5_000, "1e3", "0x10", "%20", "true", "NaN"])
def test_no_int_is_a_422_with_detail(server: Server, text: str) -> None:
    response = get(f"{server.url}/items/{text}")
    assert response.status_code == 422
    (detail,) = response.json()["detail"]
    assert detail["loc"] == ["path", "item_id"]
    assert detail["type"].startswith("int_parsing")


def test_documentation(server: Server) -> None:
    api = get(f"{server.url}/openapi.json").json()
    assert {"title", "description", "version"} <= set(api["info"])
    assert api["info"]["title"] != "FastAPI"
    assert set(api["paths"]) == {"/", "/items/{item_id}"}
    for path in api["paths"].values():
        assert path["get"]["description"].endswith(".")
        answer = path["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        schema = api["components"]["schemas"][answer["$ref"].rsplit("/", 1)[1]]
        assert schema["required"] == list(schema["properties"])
    assert "swagger" in get(f"{server.url}/docs").text.lower()


@pytest.mark.parametrize("value", ["abc", "-1", "nan", "inf", "-0.001", "1e999", "10 ms"])
def test_bad_latency_stops_the_start(value: str) -> None:
    options = ("-m", "uvicorn", "main:app", "--port", str(free_port()))
    ended = finish(start_python(ROOT, *options, LATENCY_MS=value))
    assert ended.exit_code != 0
    (line,) = (ended.stdout + ended.stderr).splitlines()
    assert "LATENCY_MS" in line
    assert repr(value) in line


def test_latency_holds_each_answer_back(tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", LATENCY_MS="150") as server:
        for path in ("/", "/items/1", "/items/abc"):
            start = time.perf_counter()
            get(server.url + path)
            assert time.perf_counter() - start >= 0.15


def test_latency_is_as_long_as_it_says_and_for_all_at_once(tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", LATENCY_MS="400") as server:
        start = time.perf_counter()
        get(server.url)
        assert time.perf_counter() - start < 3  # ten times as long would be 4
        with ThreadPoolExecutor(20) as pool:
            start = time.perf_counter()
            urls = [f"{server.url}/items/{i}" for i in range(20)]
            assert all(answer.ok for answer in pool.map(get, urls))
            assert time.perf_counter() - start < 6  # one after another would be 8


@pytest.mark.parametrize("value", ["", "0", "0.0"])
def test_no_latency_adds_nothing_to_a_request(value: str) -> None:
    code = "import main; print(len(main.app.router.dependencies), main.LATENCY)"
    ended = finish(start_python(ROOT, "-c", code, LATENCY_MS=value))
    assert ended.stdout == "0 0.0\n"


def test_two_workers_serve(tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", "--workers", "2") as server:
        wait_for(lambda: server.log.read_text().count("Started server process") == 2, "workers")
        assert all(get(f"{server.url}/items/{i}").json() == {"item_id": i} for i in range(50))


def test_reload_serves_what_was_edited(tmp_path: Path) -> None:
    main = Path(shutil.copy(ROOT / "main.py", tmp_path))
    with uvicorn(tmp_path / "log", "--reload", cwd=tmp_path) as server:
        assert get(f"{server.url}/items/1").json() == {"item_id": 1}
        source = main.read_text(encoding="utf-8")
        main.write_text(source.replace('version="1.0.0"', 'version="9.9.9"'), encoding="utf-8")

        def edited_version_answers() -> bool:
            try:
                api = get(f"{server.url}/openapi.json").json()
            except requests.ConnectionError:
                return False
            return bool(api["info"]["version"] == "9.9.9")

        wait_for(edited_version_answers, "the edited version")
