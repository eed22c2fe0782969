"""A bucket of S3 for a test: a server on the loopback, gone at the end."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "bucket"
KEY = "test"


@contextmanager
def one_bucket(python: Path, folder: Path) -> Iterator[str]:
    """Start a server with an empty bucket; yield its URL.

    `python` has moto and boto3, `folder` gets the server's log.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = folder / "server.log"
    with log.open("wb") as out:
        command = [str(python), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 60
        while not answers(port):
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        in_bucket(python, url, "create_bucket(Bucket='bucket')")
        yield url
    finally:
        server.kill()
        server.wait()


def in_bucket(python: Path, url: str, call: str) -> str:
    """Call a method of boto3's client of S3; return what it answers, printed."""
    client = (
        f"import boto3; print(boto3.client('s3', endpoint_url='{url}', region_name='us-east-1', "
        f"aws_access_key_id='{KEY}', aws_secret_access_key='{KEY}').{call})"
    )
    done = subprocess.run([python, "-c", client], capture_output=True, text=True, check=True)
    return done.stdout


def answers(port: int) -> bool:
    """Say whether something listens on a port of the loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
