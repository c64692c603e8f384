"""What a server sees of the scripts: which requests, over which connections."""

import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import pytest

import test_thread
from helpers import Outcome, Server, call_main, each_client, edited, reserved_port, run
from misbehaving import GZIP, RIGHT, Fault, http, item, serve


@each_client
def test_a_clean_run_of_the_real_server(client: str, server: Server, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(-200, 300)"))
    assert (outcome.exit_code, outcome.ok) == (0, 500)
    outcome.assert_accounted(500)
    elapsed = float(outcome.figures["elapsed"])
    throughput = int((outcome.figures["throughput"] or "").replace(",", ""))
    assert 500 / (elapsed + 0.006) - 1 < throughput < 500 / (elapsed - 0.006) + 1


@each_client
def test_each_item_once_over_kept_connections(client: str, tmp_path: Path) -> None:
    """By a path that is not ASCII, past proxies that nobody answers at, and without a .netrc.

    The server always sends gzip, and many headers.
    """
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    count = 120 if client == "async" else 90  # http.client, which requests uses, takes 100
    headers = GZIP + "".join(f"X-{i}: {i}\r\n" for i in range(count))
    # Slow, so that all connections are needed.
    odd = Fault(lambda i: http(gzip.compress(item(i)), headers=headers), "", delay=0.02)
    with serve(lambda item_id: odd) as server, reserved_port() as port:
        dead = f"http://127.0.0.1:{port}"
        proxies = {f"{scheme}_proxy": dead for scheme in ("http", "https", "all")}
        proxies |= {name.upper(): dead for name in proxies}
        script = edited(client, tmp_path, base_url=f"{server.url}/é", concurrency=7)
        outcome = run(script, NETRC=str(netrc), no_proxy="", NO_PROXY="", **proxies)
    assert (outcome.exit_code, outcome.ok) == (0, 100)
    assert server.connections == 1 + (1 if client == "blocking" else 7)  # one for the probe
    # What the probe sends is what the run sends.
    asked = Counter(server.requests)
    assert len(asked) == 100 and asked.pop(server.requests[0]) == 2 and {*asked.values()} == {1}
    assert not any(b"authorization" in sent.lower() for sent in server.requests)


@pytest.mark.parametrize(
    "urls", [range(500, 600, 7), range(10, -1, -1), [3, 1, 4, 1, 5], (2, 7, 1, 8)], ids=repr
)
def test_urls(script: ModuleType, urls: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
    new_session = Mock(side_effect=script.new_session)
    with serve(lambda item_id: RIGHT) as server:
        settings = {"BASE_URL": server.url, "urls": urls, "CONCURRENCY": 3}
        assert call_main(script, monkeypatch, new_session=new_session, **settings) == 0
    assert server.asked == Counter([urls[0], *urls])  # one for the probe
    assert new_session.call_count == 1 + (3 if script is test_thread else 1)


def test_latency_is_that_of_a_request_with_its_body(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = http(item(7))
    late_body = Fault(lambda i: answer, "", piece=len(answer) - 3, pause=0.1)
    with serve(lambda item_id: late_body) as server:
        assert call_main(script, monkeypatch, BASE_URL=server.url, urls=[7]) == 0
    assert float(Outcome(0, *capsys.readouterr()).figures["p50"]) > 90
