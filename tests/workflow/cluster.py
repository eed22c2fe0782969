"""A SLURM cluster of one machine for a test: its own key, ports and folder, gone at the end."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

NODE = socket.gethostname().partition(".")[0]
# Debian puts the daemons where only root looks
SEARCHED = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
# The node claims more than the machine has, so that any profile's requests fit
SLURM_CONF = """\
ClusterName=test
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs=64 RealMemory=256000 Gres=gpu:1
PartitionName=cpu Nodes={node} Default=YES
PartitionName=gpu Nodes={node}
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster and its folder."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables by which commands, jobs included, reach this cluster."""
        return {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]]),
        }

    def ask(self, *command: str) -> str:
        """Return what a command of SLURM prints."""
        return subprocess.run(
            command,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=20,
        ).stdout

    def jobs(self) -> list[dict[str, str]]:
        """Return what SLURM knows of each job that it ran, in the order of submission."""
        lines = self.ask("scontrol", "--oneliner", "show", "job").splitlines()
        jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        return sorted(jobs, key=lambda job: int(job["JobId"]))


def missing() -> list[str]:
    """Return the daemons that are not installed."""
    return [name for name in ("munged", "slurmctld", "slurmd") if not _found(name)]


@contextmanager
def one_machine_cluster() -> Iterator[Cluster]:
    """Start a cluster on this machine; kill all of it, jobs included, when done."""
    # a socket's path must be short, so pytest's folder won't do
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp")))
    munge = [f"--{kind}-file={cluster.folder}/munge.{kind}" for kind in ("key", "pid", "seed")]
    socket_file = cluster.folder / "munge.socket"
    daemons = []
    try:
        _configure(cluster)
        # --force: only root could make folders as munged wants them
        munged = ("munged", "--foreground", "--force", f"--socket={socket_file}", *munge)
        daemons.append(_start(cluster, *munged))
        _wait_for(cluster, socket_file.exists)
        daemons.append(_start(cluster, "slurmctld", "-D"))
        daemons.append(_start(cluster, "slurmd", "-D", "-N", NODE))
        _wait_for(cluster, lambda: cluster.ask("sinfo", "-h", "-p", "cpu", "-o", "%T") == "idle\n")
        yield cluster
    finally:
        _kill_all(cluster)
        for daemon in daemons:
            daemon.wait(timeout=10)
        shutil.rmtree(cluster.folder)


def _configure(cluster: Cluster) -> None:
    folder = cluster.folder
    controller_port, node_port = _free_ports(2)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n", encoding="utf-8")
    conf = SLURM_CONF.format(
        node=NODE,
        user=getuser(),
        folder=folder,
        controller_port=controller_port,
        node_port=node_port,
    )
    (folder / "slurm.conf").write_text(conf, encoding="utf-8")
    # Snakemake's plugin takes SLURM_CONF from a job before it calls srun; a cluster that has
    # its configuration in /etc/slurm does not need this
    (folder / "bin").mkdir()
    srun = folder / "bin" / "srun"
    srun.write_text(
        f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n',
        encoding="utf-8",
    )
    srun.chmod(0o755)


def _found(name: str) -> str | None:
    return shutil.which(name, path=SEARCHED)


def _free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _start(cluster: Cluster, name: str, *options: str) -> subprocess.Popen[bytes]:
    with (cluster.folder / f"{name}.out").open("wb") as out:
        return subprocess.Popen(
            # should the tests themselves be killed, the daemons end with them
            ["setpriv", "--pdeathsig=KILL", _found(name) or name, *options],
            env=os.environ | cluster.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_for(cluster: Cluster, done: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            logs = [
                f"{log.name}:\n{log.read_text()[-2000:]}" for log in cluster.folder.glob("*.out")
            ]
            raise AssertionError("SLURM did not start:\n" + "\n".join(logs))
        time.sleep(0.2)


def _kill_all(cluster: Cluster) -> None:
    """Kill every process whose environment names this cluster: daemons, steps and jobs."""
    mark = f"SLURM_CONF={cluster.folder}/slurm.conf\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            pass  # it has ended, or is not ours
