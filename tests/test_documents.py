"""What README.md and benchmarks/ say can be done, done."""

import asyncio
import inspect
import re
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
from fastapi import FastAPI

from helpers import CLIENTS, ROOT, finish, run, start_python
from misbehaving import Fault, http, serve

README = (ROOT / "README.md").read_text(encoding="utf-8")
PRINTED = ROOT / "benchmarks" / "results" / "printed"
DOCUMENTS = [ROOT / "README.md", *(ROOT / "benchmarks").glob("*.md")]


def section(heading: str) -> str:
    """Return the text of a section of the README."""
    return README.partition(f"{heading}\n")[2].partition("\n## ")[0].partition("\n### ")[0]


def performed(source: str, example: str) -> str:
    """Return a script in which what an example defines takes the place of what has its name."""
    for definition in re.split(r"\n+(?=\w)", example):
        (name,) = re.findall(r"\A(?:def )?\w+", definition)
        old = re.findall(rf"^{name}\b.*\n(?:(?: .*)?\n)*", source, re.MULTILINE)
        assert len(old) == 1, name
        source = source.replace(old[0], f"{definition}\n\n\n")
    return source


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("client", CLIENTS)
def test_your_own_api(client: str, method: str, tmp_path: Path) -> None:
    """The edits that the README describes make a script measure another API."""
    text = section("### Your own API")
    examples = re.findall(r"```python\n(.+?)```", text, re.DOTALL)
    (added,) = re.findall(r"In `test_async.py`, add `(.+?)`", text)
    sentence = r"replace `(.+?)` in `check`, and in `fetch` `(.+?)` with `(.+?)`\."
    ((status, get, post),) = re.findall(sentence, text.replace("\n", " "))
    source = (ROOT / f"test_{client}.py").read_text(encoding="utf-8")
    source = performed(source, examples[0])
    if client == "async":
        source = performed(source, examples[1]).replace("import sys", f"{added}\nimport sys")
    if method == "POST":
        assert source.count(status) == source.count(get) == 1
        source = source.replace(status, "201").replace(get, post)

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    answer = "201 Created" if method == "POST" else "200 OK"
    user = Fault(lambda i: http(b'{"id":%d,"at":"%f"}' % (i, time.time()), answer), "", delay=0.02)
    with serve(lambda item_id: user, tls) as server:
        source = source.replace("https://api.example.com", server.url)
        script = tmp_path / f"test_{client}.py"
        script.write_text(source.replace("101_000", "100_050"), encoding="utf-8")
        outcome = run(script)
    assert (outcome.exit_code, outcome.ok) == (0, 50), outcome
    assert server.asked.keys() == set(range(100_000, 100_050))
    body = r'\{"id": \1\}' if method == "POST" else ""
    request = rf"{method} /v2/users/(\d+) .+\r\nAuthorization: Bearer my-token\r\n.*\r\n{body}"
    assert all(re.fullmatch(request, sent.decode(), re.DOTALL) for sent in server.requests)


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


@pytest.mark.parametrize("path", sorted(PRINTED.glob("*.txt")), ids=lambda path: path.stem)
def test_docstring_shows_what_the_program_printed(path: Path) -> None:
    (program,) = [*ROOT.glob(path.stem), *(ROOT / "benchmarks").glob(path.stem)]
    command = f"\n$ python {program.relative_to(ROOT).as_posix()}\n"
    assert command + path.read_text(encoding="utf-8") in program.read_text(encoding="utf-8")


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
