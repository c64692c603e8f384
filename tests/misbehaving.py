"""A server on plain asyncio sockets that misbehaves on demand.

It answers like the real server, except for the items that it is told to spoil.
A new fault is one more row in FAULTS.
"""

import asyncio
import gzip
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

ANY_ERROR = ""  # the library decides what it raises


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """Return a complete HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


@dataclass(frozen=True)
class Fault:
    """What the server sends for an item, what it does then, and what the client must make of it."""

    answer: Callable[[int], bytes]
    failure: str
    then: str = "keep"  # the connection: keep, close, reset or hang
    delay: float = 0  # seconds to wait before the answer
    piece: int = 1_000_000  # bytes to send at a time
    pause: float = 0  # seconds to wait after each piece


def item(item_id: int) -> bytes:
    """Return the right body."""
    return b'{"item_id":%d}' % item_id


def chunked(*chunks: bytes) -> bytes:
    """Return a chunked answer, its chunks sent as they are given."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return head + b"".join(chunks)


GZIP = "Content-Encoding: gzip\r\n"
RIGHT_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n"

FAULTS = {
    # An answer, but not the one asked for
    "wrong id": Fault(lambda i: http(item(i + 1)), "wrong answer"),
    "JSON string": Fault(lambda i: http(b"\"{'item_id': %d}\"" % i), "wrong answer"),
    "id as string": Fault(lambda i: http(b'{"item_id":"%d"}' % i), "wrong answer"),
    "id as float": Fault(lambda i: http(b'{"item_id":%d.0}' % i), "wrong answer"),
    "id as bool": Fault(lambda i: http(b'{"item_id":true}'), "wrong answer"),
    "extra key": Fault(lambda i: http(b'{"item_id":%d,"more":1}' % i), "wrong answer"),
    "other key": Fault(lambda i: http(b'{"id":%d}' % i), "wrong answer"),
    "list": Fault(lambda i: http(b"[%d]" % i), "wrong answer"),
    "null": Fault(lambda i: http(b"null"), "wrong answer"),
    "empty body": Fault(lambda i: http(b""), "wrong answer"),
    "not JSON": Fault(lambda i: http(b"item %d" % i), "wrong answer"),
    "HTML": Fault(lambda i: http(b"<html><body>%d</body></html>" % i), "wrong answer"),
    "broken UTF-8": Fault(lambda i: http(b'{"item_id":"\xff\xfe"}'), "wrong answer"),
    "cut off JSON": Fault(lambda i: http(item(i)[:-1]), "wrong answer"),
    "deeply nested": Fault(lambda i: http(b"[" * 200_000), "wrong answer"),
    "deeply nested and closed": Fault(
        lambda i: http(b"[" * 100_000 + b"]" * 100_000), "wrong answer"
    ),
    "giant integer": Fault(lambda i: http(b'{"item_id":%s}' % (b"9" * 6_000)), "wrong answer"),
    # Another status
    "204": Fault(lambda i: b"HTTP/1.1 204 No Content\r\n\r\n", "HTTP 204"),
    "307": Fault(
        lambda i: http(b"", "307 Temporary Redirect", f"Location: /items/{i}\r\n"), "HTTP 307"
    ),
    # requests looks at the Location although it does not follow it, and raises a ValueError.
    "307 to nowhere": Fault(
        lambda i: http(b"", "307 Temporary Redirect", "Location: http://[::1/items\r\n"), ANY_ERROR
    ),
    "404": Fault(lambda i: http(item(i), "404 Not Found"), "HTTP 404"),
    "500": Fault(lambda i: http(item(i), "500 Internal Server Error"), "HTTP 500"),
    "503": Fault(lambda i: http(b"busy", "503 Service Unavailable"), "HTTP 503"),
    "500 and closed": Fault(
        lambda i: http(b"", "500 Sorry", "Connection: close\r\n"), "HTTP 500", "close"
    ),
    # The connection breaks
    "closed before the head": Fault(lambda i: b"", ANY_ERROR, "close"),
    "closed within the head": Fault(lambda i: b"HTTP/1.1 200 OK\r\nContent-", ANY_ERROR, "close"),
    "closed after the head": Fault(lambda i: RIGHT_LENGTH, ANY_ERROR, "close"),
    "reset before the head": Fault(lambda i: b"", ANY_ERROR, "reset"),
    "reset after the head": Fault(lambda i: RIGHT_LENGTH, ANY_ERROR, "reset"),
    "truncated body": Fault(lambda i: http(item(i))[:-3], ANY_ERROR, "close"),
    # The encoding is broken
    "broken chunk size": Fault(lambda i: chunked(b"xyz\r\n", item(i)), ANY_ERROR, "close"),
    "negative chunk size": Fault(lambda i: chunked(b"-5\r\nabcde\r\n"), ANY_ERROR, "close"),
    "chunks without end": Fault(lambda i: chunked(b"5\r\nabcde\r\n"), ANY_ERROR, "close"),
    "broken gzip": Fault(lambda i: http(b"no gzip", headers=GZIP), ANY_ERROR),
    "truncated gzip": Fault(
        lambda i: http(gzip.compress(item(i))[:-12], headers=GZIP), "wrong answer"
    ),
    # The head is not what it should be
    "200 kB header": Fault(
        lambda i: http(item(i), headers=f"X-Long: {'x' * 200_000}\r\n"), ANY_ERROR
    ),
    "no HTTP": Fault(lambda i: b"SSH-2.0-OpenSSH_9.6\r\n", ANY_ERROR, "close"),
    "bad status": Fault(lambda i: http(item(i), "OK 200"), ANY_ERROR, "close"),
    "bad length": Fault(
        lambda i: b"HTTP/1.1 200 OK\r\nContent-Length: -1x\r\n\r\nno", ANY_ERROR, "close"
    ),
    # No answer
    "never answering": Fault(lambda i: b"", ANY_ERROR, "hang"),
    "never finishing": Fault(lambda i: RIGHT_LENGTH + b"{", ANY_ERROR, "hang"),
}

# Unusual, but right: these must not be counted as failures.
ODDITIES = {
    "white space": lambda i: http(b' { "item_id" : %d }\n' % i),
    "chunked": lambda i: chunked(b"%x\r\n" % len(item(i)), item(i), b"\r\n0\r\n\r\n"),
    "gzip": lambda i: http(gzip.compress(item(i)), headers=GZIP),
    "Set-Cookie": lambda i: http(
        item(i), headers=f"Set-Cookie: id={i}\r\nSet-Cookie: b[a]d=;;\r\n"
    ),
    "other content type": lambda i: (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(item(i))
        + item(i)
    ),
    "odd reason": lambda i: http(item(i), "200 Fine, thank you"),
}


RIGHT = Fault(lambda i: http(item(i)), "")
PROBE = 0  # the item that the clients ask for before the clock starts


@dataclass
class Misbehaving:
    """A running misbehaving server, and what it was asked so far."""

    fault_of: Callable[[int], Fault]
    url: str
    probes: int = 0
    connections: int = 0  # those over which a request came
    asked: Counter[int] = field(default_factory=Counter)
    heads: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        then = "keep"
        requests = 0
        try:
            while then == "keep":
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                self.connections += requests == 0
                requests += 1
                match = re.match(rb"GET /items/(\d+) ", head)
                item_id = int(match[1]) if match else PROBE
                fault = self.note(item_id)
                await asyncio.sleep(fault.delay)
                answer = fault.answer(item_id)
                for start in range(0, len(answer), fault.piece):
                    writer.write(answer[start : start + fault.piece])
                    await writer.drain()
                    await asyncio.sleep(fault.pause)
                then = fault.then
            if then == "hang":
                await reader.read()  # until the client gives up
            elif then == "reset":
                writer.transport.abort()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            writer.close()
            try:
                await writer.wait_closed()
            except (ConnectionError, asyncio.CancelledError):
                writer.transport.abort()

    def note(self, item_id: int) -> Fault:
        """Count a request, and say how to answer it."""
        if item_id == PROBE:
            self.probes += 1
        else:
            self.asked[item_id] += 1
        return self.fault_of(item_id)


@contextmanager
def misbehaving(
    fault: Fault,
    spoiled: Collection[int] = (),
    *,
    spoil_probe: bool = False,
    port: int = 0,
) -> Iterator[Misbehaving]:
    """Run a server that answers the spoiled items with one fault, and the others rightly."""

    def fault_of(item_id: int) -> Fault:
        if item_id == PROBE:
            return fault if spoil_probe else RIGHT
        return fault if item_id in spoiled else RIGHT

    with serve(fault_of, port=port) as state:
        yield state


@contextmanager
def serve(fault_of: Callable[[int], Fault], *, port: int = 0) -> Iterator[Misbehaving]:
    """Run a server in a thread, on a free port or a given one; `fault_of` says how it answers."""
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    state = Misbehaving(fault_of, url)
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        server = await asyncio.start_server(state.serve, sock=listener)
        await stop.wait()
        server.close()
        while connections := asyncio.all_tasks() - {asyncio.current_task()}:
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0.01)  # until the connections are closed

    thread = threading.Thread(target=loop.run_until_complete, args=[main()])
    thread.start()
    try:
        yield state
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
