"""As much of Kubernetes as a test needs: an API on the loopback that runs jobs in new folders.

There are no containers: a job's command runs here, in an empty folder in the place of /workdir,
with the variables that its secret holds and those that the image would set.
"""

import base64
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RULE = re.compile(r"--target-jobs '?(\w+):")
CONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: "{url}"}}}}]
users: [{{name: test, user: {{}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
current-context: test
"""


@dataclass
class Pod:
    """A job and the process that runs its command."""

    body: dict[str, Any]
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def name(self) -> str:
        """The name of its job."""
        return str(self.body["metadata"]["name"])

    @property
    def container(self) -> dict[str, Any]:
        """The container that the job asks for."""
        found: dict[str, Any] = self.body["spec"]["template"]["spec"]["containers"][0]
        return found

    @property
    def rule(self) -> str:
        """The rule that it runs."""
        found = RULE.search(self.container["args"][1])
        assert found, self.container["args"][1]
        return found[1]

    @property
    def log(self) -> str:
        """What its command said."""
        return (self.folder.with_suffix(".log")).read_text(errors="replace")


@dataclass
class Pods:
    """The jobs that were asked for, in order; the first of the rule `doomed` is killed at work."""

    folder: Path
    environment: dict[str, str]
    doomed: str = ""
    killed: list[str] = field(default_factory=list)
    pods: dict[str, Pod] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)

    def start(self, body: dict[str, Any]) -> None:
        """Run a job's command in an empty folder."""
        name = body["metadata"]["name"]
        folder = self.folder / name
        folder.mkdir()
        container = body["spec"]["template"]["spec"]["containers"][0]
        secret = {
            entry["name"]: self.secrets[ref["name"]][ref["key"]]
            for entry in container.get("env", [])
            for ref in [entry["valueFrom"]["secretKeyRef"]]
        }
        with folder.with_suffix(".log").open("wb") as out:
            process = subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=folder,
                env=self.environment | secret,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        pod = self.pods[name] = Pod(body, folder, process)
        if pod.rule == self.doomed and not self.killed:
            self.killed.append(name)
            threading.Thread(target=kill_at_work, args=(pod,), daemon=True).start()

    def end(self, name: str) -> None:
        """End a job with all its processes."""
        if self.pods[name].process.poll() is None:
            os.killpg(self.pods[name].process.pid, signal.SIGKILL)


def kill_at_work(pod: Pod) -> None:
    """Kill a job with all its processes as soon as its stage is at work."""
    while pod.process.poll() is None:
        if any(pod.folder.glob(".msroi/view-*")):
            os.killpg(pod.process.pid, signal.SIGKILL)
            return
        threading.Event().wait(0.1)


def reply(pods: Pods, path: str) -> Any:
    """Return what the API tells of a job, of its pod, or of what it said."""
    if found := re.search(r"/jobs/([^/]+)/status$", path):
        pod = pods.pods[found[1]]
        status = pod.process.poll()
        told = {} if status is None else {"failed" if status else "succeeded": 1}
        return pod.body | {"status": told}
    if found := re.search(r"/pods/([^/]+)/log", path):
        return pods.pods[found[1]].log
    found = re.search(r"labelSelector=job-name%3D([^&]+)", path)
    assert found, path
    status = pods.pods[found[1]].process.poll()
    container = {
        "name": "snakemake",
        "image": "",
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {}} if status is None else {"terminated": {"exitCode": status}},
    }
    pod_of_job = {"metadata": {"name": found[1]}, "status": {"containerStatuses": [container]}}
    return {"kind": "PodList", "apiVersion": "v1", "items": [pod_of_job]}


def handler(pods: Pods) -> type[BaseHTTPRequestHandler]:
    """Return what answers the requests that the plugin makes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/secrets"):
                data = body.get("data", {})
                pods.secrets[body["metadata"]["name"]] = {
                    key: base64.b64decode(value).decode() for key, value in data.items()
                }
            else:
                pods.start(body)
            self.answer(body)

        def do_GET(self) -> None:
            self.answer(reply(pods, self.path))

        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if found := re.search(r"/jobs/([^/?]+)", self.path):
                pods.end(found[1])
            self.answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})

        def answer(self, value: Any) -> None:
            data = (value if isinstance(value, str) else json.dumps(value)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def one_cluster(folder: Path, environment: dict[str, str]) -> Iterator[tuple[Pods, Path]]:
    """Start the API; yield its jobs and the file that `KUBECONFIG` has to name."""
    pods = Pods(folder, environment)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(pods))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    config = folder / "kubeconfig"
    config.write_text(CONFIG.format(url=f"http://127.0.0.1:{server.server_port}"))
    try:
        yield pods, config
    finally:
        for name in pods.pods:
            pods.end(name)
        server.shutdown()
        server.server_close()
        thread.join()
