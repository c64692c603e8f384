"""What README.md and benchmarks/ say can be done, done."""

import asyncio
import inspect
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from helpers import CLIENTS, ROOT, edited, finish, run, start_python

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *(ROOT / "benchmarks").glob("*.md")]


def section(heading: str) -> str:
    """Return the text of a section of the README."""
    return README.partition(f"{heading}\n")[2].partition("\n## ")[0].partition("\n### ")[0]


class OtherApi(BaseHTTPRequestHandler):
    """An API that is not main.py: it tells the names of users."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the name of a user."""
        found = re.fullmatch(r"/v2/users/(\d+)/name", self.path)
        body = b'{"name":"user %d"}' % int(found[1]) if found else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def other_api() -> Iterator[str]:
    """The address of another API."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherApi) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("client", CLIENTS)
def test_your_own_api(client: str, other_api: str, tmp_path: Path) -> None:
    """The edits that the README shows make a script measure another API."""
    url, address, expected = re.findall(
        r"^(?:BASE_URL|return|expected) .*", section("### Your own API"), re.MULTILINE
    )
    script = edited(
        client,
        tmp_path,
        base_url=url.split('"')[1].replace("https://api.example.com", other_api),
        replace={
            'return f"{BASE_URL}/items/{item_id}"': address,
            """expected = b'{"item_id":%d}' % item_id""": expected,
        },
    )
    outcome = run(script)
    assert (outcome.exit_code, outcome.ok) == (0, 100), outcome


def test_snippet_of_two_endpoints() -> None:
    async def call_async(i: int) -> int:
        return i

    app = FastAPI()
    names = {"app": app, "asyncio": asyncio, "ThreadPoolExecutor": ThreadPoolExecutor}
    snippet: dict[str, Any] = names | {"call": int, "call_async": call_async}
    exec(section("## Why").split("```python\n")[1].split("```")[0], snippet)
    assert snippet["add_up"]() == asyncio.run(snippet["add_up_async"]()) == 45
    assert not inspect.iscoroutinefunction(snippet["add_up"])
    assert {"/sum", "/async-sum"} <= {getattr(route, "path", "") for route in app.routes}


def test_sample_of_a_script_is_of_its_format() -> None:
    sample = section("### What a script prints").split("```")[1].strip()
    first, second = sample.splitlines()
    assert re.fullmatch(r"async \(aiohttp\): 24,999 of 24,999 ok in \d+\.\d\d s", first)
    assert re.fullmatch(
        r"  [\d,]+ requests/s, p50 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms, CPU \d+%", second
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)|src(?:set)?=\"([^\"]+)\"", text)
    for target in (a or b for a, b in links if not (a or b).startswith("http")):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)
            anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, target


def test_quoted_options_exist() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    ended = finish(start_python(ROOT, "benchmarks/compare.py", "-h", COLUMNS="200"))
    options = set(re.findall(r"--[\w-]+", ended.stdout)) - {"--help"}
    table = text.partition("| option |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(--[\w-]+)", table.replace("FILE", ""))) == options
