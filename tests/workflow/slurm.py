"""A one-node SLURM cluster that a test starts and stops on this machine: munged, slurmctld and slurmd."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

CONF = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser={user}
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,bf_interval=1
JobRequeue=1
KillWait=30
OverTimeLimit=0
MpiDefault=none
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=localhost CPUs={cpus} RealMemory=8000 State=UNKNOWN
PartitionName=low Nodes=localhost Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=high Nodes=localhost MaxTime=INFINITE State=UP PriorityTier=10
"""
PLACE = Path("/etc/slurm/slurm.conf")  # where programs in a job look, because executors remove SLURM_CONF
MARK = "TEST_CLUSTER"  # environment variable of the daemons and of all processes of jobs: the folder of the cluster
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")


def missing() -> str:
    """Return what is missing to start a cluster; an empty string if nothing is."""
    needed = [name for name in PROGRAMS if not program(name)]
    if PLACE.exists() or os.geteuid():
        needed.append(f"a free {PLACE} and permission to write it")
    return ", ".join(needed)


def program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Cluster:
    """One node with two processors and two partitions; jobs in `high` preempt and requeue those in `low`."""

    def __init__(self, folder: Path, cpus: int = 2):
        self.folder, self.daemons = folder, []
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.conf = folder / "slurm.conf"
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        controller, daemon = _free_port(), _free_port()
        self.conf.write_text(
            CONF.format(folder=folder, user=user, controller=controller, daemon=daemon, cpus=cpus).lstrip()
        )
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        self.environment = {**os.environ, "SLURM_CONF": str(self.conf), "PATH": path, MARK: str(folder)}

    def __enter__(self) -> "Cluster":
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        PLACE.parent.mkdir(exist_ok=True)
        if PLACE.exists():
            raise RuntimeError(f"{PLACE} belongs to another cluster, and jobs of this one would use it")
        PLACE.unlink(missing_ok=True)  # a dangling link left by a killed test
        PLACE.symlink_to(self.conf)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        munge = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self._start("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *munge)
        self._wait(lambda: (self.folder / "munge.socket").exists(), "munged")
        self._start("slurmctld", "-D", "-c")
        self._start("slurmd", "-D", "-N", "localhost")
        self._wait(lambda: "idle" in self.run("sinfo", "-h", "-o", "%T"), "slurmd")
        return self

    def __exit__(self, *error: object) -> None:
        PLACE.unlink(missing_ok=True)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in self.processes():  # with linuxproc, processes that have left the tree of their job outlive it
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Return the ids of running processes of the daemons, their jobs and the commands that submitted these."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"{MARK}={self.folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
        return found

    def run(self, *command: str) -> str:
        """Return the output of a SLURM command."""
        return subprocess.run(command, capture_output=True, text=True, env=self.environment).stdout

    def jobs(self, state: str = "RUNNING") -> list[str]:
        """Return the ids of the jobs in a state."""
        return self.run("squeue", "-h", "-o", "%i", "-t", state).split()

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-3_000:] for path in sorted(self.folder.glob("*.log")))

    def _start(self, name: str, *arguments: str) -> None:
        with open(self.folder / f"{name}.out.log", "w") as out:
            command = [program(name) or name, *arguments]
            self.daemons.append(subprocess.Popen(command, stdout=out, stderr=out, env=self.environment))

    def _wait(self, is_ready, name: str) -> None:
        end = time.monotonic() + 30
        while not is_ready():
            if time.monotonic() > end:
                self.__exit__()
                raise RuntimeError(f"{name} did not start:\n{self.logs()}")
            time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
