"""The server: what it answers, how it documents itself, how it starts."""

import json
import re
import shutil
import string
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers import DEADLINE, ROOT, Server, finish, free_port, start_python, uvicorn, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server as `uvicorn main:app` runs it."""
    with uvicorn(tmp_path_factory.mktemp("server") / "log") as running:
        yield running


def get(url: str) -> requests.Response:
    """Request once, past any proxy."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=DEADLINE)


def test_root_answers_with_five_random_letters(server: Server) -> None:
    with requests.Session() as session:
        session.trust_env = False
        bodies = [session.get(server.url, timeout=DEADLINE).json() for _ in range(300)]
    assert all([*body] == ["data"] for body in bodies)
    assert all(re.fullmatch("[a-z]{5}", body["data"]) for body in bodies)
    assert len({body["data"] for body in bodies}) > 1
    letters = {letter for body in bodies for letter in body["data"]}
    assert letters == set(string.ascii_lowercase)  # one is missing once in 10 ** 24 times


@pytest.mark.parametrize("item_id", [0, 1, 24_999, -7, 2**63, -(10**400), 10**4_000])
def test_item_answers_with_its_id(server: Server, item_id: int) -> None:
    response = get(f"{server.url}/items/{item_id}")
    assert response.status_code == 200
    assert response.text == f'{{"item_id":{item_id}}}'


@pytest.mark.parametrize("text", ["abc", "1.5", "9" * 5_000, "1e3", "0x10", "%20", "true", "NaN"])
def test_no_integer_is_a_422_with_its_reason(server: Server, text: str) -> None:
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


def test_endpoints_run_on_the_event_loop() -> None:
    # FastAPI would run a plain `def` in a thread, a detour for each request.
    code = (
        "import inspect, main\n"
        "print([inspect.iscoroutinefunction(f) for f in (main.read_root, main.read_item)])"
    )
    assert finish(start_python(ROOT, "-c", code)).stdout == "[True, True]\n"


# -- Latency ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["abc", "-1", "0.5", "1e3", "nan", "10 ms"])
def test_impossible_latency_stops_the_start(value: str) -> None:
    ended = finish(start_python(ROOT, "-c", "import main", LATENCY_MS=value))
    assert ended.exit_code == 1
    assert ended.one_line == (
        f"LATENCY_MS must be a whole number of milliseconds, 0 or more, not {value!r}"
    )


def test_impossible_latency_is_one_line_from_uvicorn() -> None:
    options = ("-m", "uvicorn", "main:app", "--port", str(free_port()))
    ended = finish(start_python(ROOT, *options, LATENCY_MS="0.5"))
    assert ended.exit_code != 0
    assert "LATENCY_MS" in ended.one_line


@pytest.mark.parametrize(
    ("value", "printed"),
    [("", "0 0.0"), ("0", "0 0.0"), ("20", "1 0.02")],
    ids=["unset", "0", "20"],
)
def test_only_a_latency_adds_to_a_request(value: str, printed: str) -> None:
    code = "import main; print(len(main.app.router.dependencies), main.LATENCY)"
    ended = finish(start_python(ROOT, "-c", code, LATENCY_MS=value))
    assert ended.stdout == f"{printed}\n"


def test_latency_holds_each_answer_back_and_all_together(tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", LATENCY_MS="400") as server:
        paths = ["/", "/items/1", "/items/abc"] + [f"/items/{i}" for i in range(17)]

        def timed_get(path: str) -> float:
            start = time.perf_counter()
            get(server.url + path)
            return time.perf_counter() - start

        with ThreadPoolExecutor(len(paths)) as pool:
            start = time.perf_counter()
            seconds = [*pool.map(timed_get, paths)]
            elapsed = time.perf_counter() - start
    assert min(seconds) >= 0.4
    assert elapsed < 6  # one after another, they would take 8 s


# -- uvicorn's options --------------------------------------------------------------------------


def test_two_workers_serve(tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", "--workers", "2") as server:
        wait_for(lambda: server.log.read_text().count("Started server process") == 2, "workers")
        assert all(get(f"{server.url}/items/{i}").json() == {"item_id": i} for i in range(20))


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


# -- Whatever a program can think of ------------------------------------------------------------


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[HTTPConnection]:
    """A connection to it that sends a path as it stands."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=DEADLINE)
    yield connection
    connection.close()


numbers = st.integers().map(str) | st.from_regex(r"\s?[+-]?[0-9_.]+\s?", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=60)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=texts | numbers)
@example(text="0" * 5_000)
@example(text="-" + "9" * 4_300)
@example(text="..")
@example(text="a/b")
@example(text="\x00")
@example(text="١٢٣")
def test_any_path(text: str, connection: HTTPConnection) -> None:
    connection.request("GET", f"/items/{quote(text, safe='')}")
    response = connection.getresponse()
    body = response.read()
    assert response.status in {200, 307, 404, 405, 422}
    if re.fullmatch(r"-?[0-9]{1,4000}", text):
        assert response.status == 200
    if response.status == 200:
        # pydantic also takes 1_000, 7.0 and white space around a number
        assert json.loads(body) == {"item_id": Decimal(text.replace("_", ""))}


def test_schemathesis(server: Server, tmp_path: Path) -> None:
    command = ("-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--checks", "all")
    process = start_python(tmp_path, *command, "--max-examples", "30", "--seed", "1")
    ended = finish(process, 3 * DEADLINE)
    assert ended.exit_code == 0, ended.stdout + ended.stderr
    assert server.answers()
