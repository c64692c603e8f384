"""The server against whatever a program can think of."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers import DEADLINE, Server, finish, start_python, uvicorn


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server."""
    with uvicorn(tmp_path_factory.mktemp("server") / "log", "--no-access-log") as running:
        yield running


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[HTTPConnection]:
    """A connection to it that sends a path as it stands."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=DEADLINE)
    yield connection
    connection.close()


numbers = st.integers().map(str) | st.from_regex(r"\s?[+-]?[0-9_.]+\s?", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=60)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


def test_server_is_alive_after_any_path(server: Server) -> None:
    assert server.answers()


def test_schemathesis(server: Server, tmp_path: Path) -> None:
    command = ("-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--checks", "all")
    process = start_python(tmp_path, *command, "--max-examples", "100", "--seed", "1")
    ended = finish(process, 3 * DEADLINE)
    assert ended.exit_code == 0, ended.stdout + ended.stderr
    assert server.answers()
