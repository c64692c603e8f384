"""A server on plain asyncio sockets that misbehaves on demand.

It answers like the real server, at any path that ends in a number, except for the items that
it is told to spoil.
A new fault is one more row in FAULTS.
"""

import asyncio
import gzip
import re
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """Return a complete HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


@dataclass(frozen=True)
class Fault:
    """What the server sends for an item, what it does then, and what the client must make of it."""

    answer: Callable[[int], bytes]
    failure: str  # with aiohttp, or with both libraries
    requests: str = ""  # with requests, if it is another
    then: str = "keep"  # the connection: keep, close, reset or hang
    delay: float = 0  # seconds to wait before the answer
    piece: int = 1_000_000  # bytes to send at a time
    pause: float = 0  # seconds to wait after each piece

    def failure_of(self, client: str) -> str:
        """Return what a client must call it."""
        return self.failure if client == "async" else self.requests or self.failure


def item(item_id: int) -> bytes:
    """Return the right body."""
    return b'{"item_id":%d}' % item_id


def chunked(*chunks: bytes) -> bytes:
    """Return a chunked answer, its chunks sent as they are given."""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


GZIP = "Content-Encoding: gzip\r\n"
RIGHT_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n"
INCOMPLETE = (
    "ClientPayloadError: Response payload is not completed: <ContentLengthError: 400, message='Not"
    " eno..."
)
BAD_ANSWER = "ClientResponseError: 400, message: "
BAD_STATUS = BAD_ANSWER + "Bad status line: Expected HTTP/, RTSP/ or ICE/: "

FAULTS = {
    # An answer, but not the one asked for
    "wrong id": Fault(lambda i: http(item(i + 1)), "wrong answer"),
    "white space": Fault(lambda i: http(b'{"item_id": %d}' % i), "wrong answer"),
    "HTML": Fault(lambda i: http(b"<html><body>%d</body></html>" % i), "wrong answer"),
    "empty body": Fault(lambda i: http(b""), "wrong answer"),
    "deeply nested": Fault(lambda i: http(b"[" * 200_000), "wrong answer"),
    # Another status
    "204": Fault(lambda i: b"HTTP/1.1 204 No Content\r\n\r\n", "HTTP 204"),
    "307": Fault(
        lambda i: http(b"", "307 Temporary Redirect", f"Location: /items/{i}\r\n"), "HTTP 307"
    ),
    # requests looks at the Location although it does not follow it.
    "307 to nowhere": Fault(
        lambda i: http(b"", "307 Temporary Redirect", "Location: http://[::1/items\r\n"),
        "HTTP 307",
        "ValueError: Invalid IPv6 URL",
    ),
    "308": Fault(
        lambda i: http(b"", "308 Permanent Redirect", f"Location: /items/{i}\r\n"), "HTTP 308"
    ),
    "404": Fault(lambda i: http(item(i), "404 Not Found"), "HTTP 404"),
    "503": Fault(lambda i: http(b"busy", "503 Service Unavailable"), "HTTP 503"),
    "500 and closed": Fault(
        lambda i: http(item(i), "500 Sorry", "Connection: close\r\n"), "HTTP 500", then="close"
    ),
    # The connection breaks
    "closed before the head": Fault(
        lambda i: b"",
        "ServerDisconnectedError: Server disconnected",
        "ConnectionError: Remote end closed connection without response",
        then="close",
    ),
    "reset before the head": Fault(
        lambda i: b"",
        "ClientOSError: [Errno 104] Connection reset by peer",
        "ConnectionError: [Errno 104] Connection reset by peer",
        then="reset",
    ),
    "truncated body": Fault(
        lambda i: RIGHT_LENGTH + b'{"item_id"',
        INCOMPLETE,
        "ChunkedEncodingError: IncompleteRead(10 bytes read, 3 more expected)",
        then="close",
    ),
    # The encoding is broken
    "negative chunk size": Fault(
        lambda i: chunked(b"-5\r\nabcde\r\n"),
        BAD_ANSWER + "Invalid character in chunk size: b'-5' ^",
        "ValueError: read length must be non-negative or -1",
        then="close",
    ),
    "broken gzip": Fault(
        lambda i: http(b"no gzip", headers=GZIP),
        "ClientPayloadError: 400, message: Can not decode content-encoding: gzip",
        "ContentDecodingError: Error -3 while decompressing data: incorrect header check",
    ),
    "truncated gzip": Fault(
        lambda i: http(gzip.compress(item(i))[:-12], headers=GZIP), "wrong answer"
    ),
    # The head is not what it should be
    "200 kB header": Fault(
        lambda i: http(item(i), headers=f"X-Long: {'x' * 200_000}\r\n"),
        BAD_ANSWER + "Got more than 8190 bytes when reading: b'xxxxxxxxxxxxxxxxxxxxx...",
        "ConnectionError: got more than 65536 bytes when reading header line",
    ),
    "no HTTP": Fault(
        lambda i: b"SSH-2.0-OpenSSH_9.6\r\n",
        BAD_STATUS + "b'SSH-2.0-Open...",
        "ConnectionError: SSH-2.0-OpenSSH_9.6",
        then="close",
    ),
    "no HTTP and no text": Fault(
        lambda i: b"\x1b[31m\xe9\x07\xff\r\n",
        BAD_STATUS + r"b'\x1b[31m\xe9...",
        "ConnectionError: [31mé ÿ",
        then="close",
    ),
    # No answer
    "never answering": Fault(lambda i: b"", "TimeoutError", "ReadTimeout: timed out", then="hang"),
    "never finishing": Fault(
        lambda i: RIGHT_LENGTH + b"{", "TimeoutError", "ConnectionError: timed out", then="hang"
    ),
}

# Unusual, but right: these must not be counted as failures.
ODDITIES = [
    lambda i: chunked(b"%x\r\n" % len(item(i)), item(i), b"\r\n0\r\n\r\n"),
    lambda i: http(gzip.compress(item(i)), headers=GZIP),
    lambda i: http(item(i), headers=f"Set-Cookie: id={i}\r\nSet-Cookie: b[a]d=;;\r\n"),
    lambda i: RIGHT_LENGTH.replace(b"13", b"%d" % len(item(i))) + item(i),  # no content type
    lambda i: http(item(i), "200 Fine, thank you"),
]


RIGHT = Fault(lambda i: http(item(i)), "")
PROBE = -1  # stands for a request that is not for an item, with which the harness probes


@dataclass
class Misbehaving:
    """A running misbehaving server, and what it was asked so far."""

    fault_of: Callable[[int], Fault]
    url: str
    probes: int = 0
    connections: int = 0  # those over which a request came
    asked: Counter[int] = field(default_factory=Counter)
    requests: list[bytes] = field(default_factory=list)  # each with its body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        then = "keep"
        is_new = True
        try:
            while then == "keep":
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self.requests.append(head + body)
                self.connections += is_new
                is_new = False
                match = re.match(rb"[A-Z]+ \S*/(\d+) ", head)
                item_id = int(match[1]) if match else PROBE
                if match:
                    self.asked[item_id] += 1
                else:
                    self.probes += 1
                fault = self.fault_of(item_id)
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
                now = struct.pack("ii", 1, 0)  # close with RST instead of FIN
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            writer.close()
            try:
                await writer.wait_closed()
            except (ConnectionError, asyncio.CancelledError):
                writer.transport.abort()


@contextmanager
def misbehaving(
    fault: Fault, spoiled: Collection[int] = (), *, spoil_probe: bool = False
) -> Iterator[Misbehaving]:
    """Run a server that answers the spoiled items with one fault, and the others rightly."""
    chosen = {PROBE, *spoiled} if spoil_probe else {*spoiled} - {PROBE}
    with serve(lambda item_id: fault if item_id in chosen else RIGHT) as state:
        yield state


@contextmanager
def serve(
    fault_of: Callable[[int], Fault], tls: ssl.SSLContext | None = None
) -> Iterator[Misbehaving]:
    """Run a server in a thread, on a free port; `fault_of` says how it answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    state = Misbehaving(fault_of, url)
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        server = await asyncio.start_server(state.serve, sock=listener, ssl=tls)
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
