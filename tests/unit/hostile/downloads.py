"""Servers that fail, lie or never end, for stage `download`."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from loopback import Reply, Server, body, status

from hostile import PROCESSED
from hostile.archives import zipped

SOUND = zipped("filling", data=bytes(range(256)) * 2000, kind=0)
AGAIN = "; run again, or save the file by hand as …"
FAILED = "photos: URL could not be downloaded: "
DELETED = f"; the download was deleted{AGAIN}."


@dataclass(frozen=True)
class Download:
    """What a server answers, request by request (the last answer goes for all that follow).

    `replies` is given the server itself and a second one. In the outcome URL stands for the
    address. `requests` is how many the server gets.
    """

    case: str
    replies: Callable[[Server, Server], list[Reply]]
    outcome: str
    requests: int = 1


def always(*replies: Reply) -> Callable[[Server, Server], list[Reply]]:
    return lambda *_: list(replies)


def raw(data: bytes) -> Reply:
    """Send bytes in place of HTTP."""
    return lambda handler: handler.wfile.write(data) and None


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):  # until the other side has had enough
        while True:
            handler.wfile.write(bytes(1 << 16))


def hangs(after: bytes | None) -> Callable[[Server, Server], list[Reply]]:
    """Send a part, or not even a status, and then nothing; a second request gets the file."""

    def replies(server: Server, _: Server) -> list[Reply]:
        def reply(handler: BaseHTTPRequestHandler) -> None:
            if after is not None:
                body(after, declared=len(SOUND))(handler)
            server.closing.wait(5)

        return [reply] if after is None else [reply, body(SOUND)]

    return replies


def elsewhere(reply: Reply) -> Callable[[Server, Server], list[Reply]]:
    """Redirect to a second server, which is another host by its name."""

    def replies(_: Server, second: Server) -> list[Reply]:
        second.replies = [reply]
        return [status(302, f"{second.url.replace('127.0.0.1', 'localhost')}/other.zip")]

    return replies


DOWNLOADS = (
    Download("the file", always(body(SOUND)), PROCESSED),
    Download(
        "another file: wrong hash",
        always(body(bytes(len(SOUND)))),
        f"photos: URL does not match the known hash: expected sha256:… but got sha256:…{DELETED}",
    ),
    Download(
        "a shorter file",
        always(body(SOUND[:1000])),
        f"photos: URL has the wrong size: expected {len(SOUND)} bytes but got 1000{DELETED}",
    ),
    Download(
        "a web page",
        always(body(b"<!DOCTYPE html><html>Sign in</html>")),
        f"photos: URL has the wrong size: … (a web page came instead of the file){DELETED}",
    ),
    Download(
        "a body that breaks off, then the file",
        always(body(SOUND[:300_000], declared=len(SOUND)), body(SOUND)),
        PROCESSED,
        requests=2,
    ),
    Download(
        "a body that breaks off every time",
        always(body(SOUND[:1000], declared=len(SOUND))),
        f"{FAILED}the connection broke off (tried 3 times){AGAIN}.",
        requests=3,
    ),
    Download(
        "404",
        always(status(404)),
        f"{FAILED}the server answered 404 Not Found (tried 3 times){AGAIN}.",
        requests=3,
    ),
    Download(
        "403",
        always(status(403)),
        f"{FAILED}the server answered 403 Forbidden (tried 3 times){AGAIN}.",
        requests=3,
    ),
    Download("500, then the file", always(status(500), body(SOUND)), PROCESSED, requests=2),
    Download("429, then the file", always(status(429), body(SOUND)), PROCESSED, requests=2),
    Download(
        "503 every time",
        always(status(503)),
        f"{FAILED}the server answered 503 Service Unavailable (tried 3 times){AGAIN}.",
        requests=3,
    ),
    Download(
        "no answer",
        hangs(None),
        f"{FAILED}the server did not answer for … s (tried 3 times){AGAIN}.",
        requests=3,
    ),
    Download("silence in the middle, then the file", hangs(SOUND[:200_000]), PROCESSED, requests=2),
    Download("a redirect to another host", elsewhere(body(SOUND)), PROCESSED),
    Download(
        "a redirect to another host that has another file",
        elsewhere(body(bytes(len(SOUND)))),
        f"photos: URL does not match the known hash: …{DELETED}",
    ),
    Download(
        "a redirect to a file on this machine",
        always(status(302, "file:///etc/passwd")),
        f"{FAILED}it is not an address that can be fetched (InvalidSchema) (tried 3 times){AGAIN}.",
        requests=3,
    ),
    Download(
        "redirects in circles",
        always(status(302, "/a.zip")),
        f"{FAILED}the server redirects in circles (tried 3 times){AGAIN}.",
        requests=93,
    ),
    Download(
        "a body without end",
        always(endless),
        f"photos: URL sends more than the {len(SOUND)} bytes that are expected{DELETED}",
    ),
    Download(
        "no HTTP",
        always(raw(b"\x00\x01rubbish\r\n\r\n")),
        f"{FAILED}there is no connection (tried 3 times){AGAIN}.",
        requests=3,
    ),
    Download(
        "a length that is no number",
        always(raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx")),
        f"photos: URL has the wrong size: expected {len(SOUND)} bytes but got 1{DELETED}",
    ),
    Download(
        "a length of 5000 digits",
        always(raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nx")),
        f"{FAILED}the server's answer is not HTTP (…) (tried 3 times){AGAIN}.",
        requests=3,
    ),
)

COLUMNS = b"name,file,sha256,bytes\n"
HASH = b"0" * 64
# what a mirror's manifest.csv may hold, and the sentence about it
MANIFESTS = (
    ("no UTF-8", b"name,file\xff", "The mirror's manifest.csv is no CSV file in UTF-8 (…); …."),
    (
        "a field of 200 kB",
        COLUMNS + b'x,"' + b"x" * 200_000 + b'",' + HASH + b",1\n",
        "The mirror's manifest.csv is no CSV file in UTF-8 (…); ….",
    ),
    (
        "other columns",
        b"a,b\n1,2\n",
        "the mirror's manifest.csv, row 1: expected the columns name,file,sha256,bytes, but got …",
    ),
    (
        "a path with ..",
        COLUMNS + b"photos,../../etc/passwd," + HASH + b",1\n",
        "the mirror's manifest.csv, row 1: location '../../etc/passwd' is not one that 'mirror' "
        "can have.",
    ),
    (
        "an absolute path",
        COLUMNS + b"photos,/etc/passwd," + HASH + b",1\n",
        "the mirror's manifest.csv, row 1: location '/etc/passwd' is not one that 'mirror' can "
        "have.",
    ),
    (
        "no hash",
        COLUMNS + b"photos,a.zip,,1\n",
        "the mirror's manifest.csv, row 1: hash is 'sha256:'; expected …",
    ),
    (
        "20 MB",
        COLUMNS * 900_000,
        "the mirror's manifest: URL sends more than the 16777216 bytes that are expected; …",
    ),
)
