"""A SLURM cluster of several nodes on this one machine: a controller and node daemons in a folder of their own.

`python -m tests.slurm.cluster` starts one for work by hand and says how to talk to it; Ctrl-C ends it.
"""

import contextlib
import fcntl
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
# One folder for all sessions, so that what an unclean end has left is found by the next.
FOLDER = Path(tempfile.gettempdir()) / f"slurm-for-tests-{getpass.getuser()}"
NODES = 4
GPU_NODE = "n4"
os.environ["PATH"] += ":/usr/sbin:/sbin"

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.sock,cred_expire=10
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/pid/slurmctld.pid
SlurmdPidFile={folder}/pid/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
# Memory is enforced by looking once a second: cgroups are not to be had everywhere that tests run.
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# Nodes have more CPUs and memory than the machine: jobs ask for what real videos need.
SlurmdParameters=config_overrides
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
# squeue shows ended jobs for so many seconds.
MinJobAge=600
KillWait=2
SlurmctldTimeout=30
SlurmdTimeout=30
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
DefMemPerCPU=100
AccountingStorageType=accounting_storage/none
GresTypes=gpu
{nodes}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=n[1-{nodes_without_gpu}] Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={gpu_node} MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=n[1-{nodes_without_gpu}] PriorityTier=10 MaxTime=INFINITE State=UP
"""


class NotInstalled(Exception):
    """SLURM is not there and cannot be installed; the message says why."""


def install() -> None:
    """Install Debian's packages where they are missing."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not missing:
        return
    if os.geteuid() or shutil.which("apt-get") is None:
        raise NotInstalled(f"{', '.join(missing)} missing, and only root on Debian can install them")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise NotInstalled(f"apt-get {command[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    folder: Path
    environment: dict[str, str]

    @property
    def nodes(self) -> list[str]:
        return [f"n{number}" for number in range(1, NODES + 1)]

    def call(self, *command: str, check: bool = True) -> str:
        """What a SLURM client program prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def jobs(self, *states: str) -> list[str]:
        """Numbers of the jobs in these states; without one, of those that are not over."""
        wanted = ["--states", ",".join(states)] if states else []
        return self.call("squeue", "--noheader", "--format", "%i", *wanted).split()

    def job(self, number: str) -> dict[str, str]:
        """Everything that SLURM knows about a job."""
        words = self.call("scontrol", "--oneliner", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def all_jobs(self) -> list[dict[str, str]]:
        return [self.job(number) for number in self.jobs("all")]

    def cancel_all(self) -> None:
        """Cancel what is not over, and wait until it is."""
        wait_until(60, "jobs are gone", lambda: not self._cancelled())

    def _cancelled(self) -> list[str]:
        left = self.jobs()
        if left:
            self.call("scancel", *left, check=False)
        return left

    def start_node(self, node: str) -> None:
        # The daemon goes to the background by itself.
        self.call("slurmd", "-f", str(self.folder / "slurm.conf"), "-N", node)

    def kill_node(self, node: str) -> None:
        """As if the machine lost power: the daemon and whatever it runs are gone without a word."""
        pid = int((self.folder / "pid" / f"slurmd-{node}.pid").read_text())
        for victim in [pid, *self.steps_of(node)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)

    def steps_of(self, node: str) -> list[int]:
        """Processes of the jobs on a node: those whose environment names it, with the daemons that look after them."""
        found = []
        for pid, environment, command in processes():
            inside = f"SLURMD_NODENAME={node}\0" in environment and f"SLURM_CONF={self.folder}" in environment
            if inside or (command.startswith("slurmstepd") and self._runs_on(command, node)):
                found.append(pid)
        return found

    def _runs_on(self, command: str, node: str) -> bool:
        """Whether a `slurmstepd: [12.batch]` looks after a job on a node."""
        number = command.partition("[")[2].partition(".")[0]
        return number in self.call("squeue", "--noheader", "--format", "%i", "--nodelist", node).split()

    def wait_for_idle(self) -> None:
        wait_until(60, "nodes are idle", lambda: self._states() == {"idle"})

    def _states(self) -> set[str]:
        return set(self.call("sinfo", "--noheader", "--Node", "--format", "%T", check=False).split())


def processes() -> Iterator[tuple[int, str, str]]:
    """Number, environment and command line of every process that may be read."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (folder / "environ").read_bytes().decode(errors="replace")
            command = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            yield int(folder.name), environment + "\0", command


def wait_until(seconds: float, what: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s in vain until {what}")
        time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def configure(folder: Path) -> None:
    host = socket.gethostname().split(".")[0]
    port, *node_ports = free_ports(NODES + 1)
    nodes = []
    for number, node_port in enumerate(node_ports, 1):
        gpu = " Gres=gpu:1" if f"n{number}" == GPU_NODE else ""
        address = f"NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port}"
        nodes.append(f"NodeName=n{number} {address} CPUs=16 RealMemory=64000{gpu} State=UNKNOWN")
    text = CONFIGURATION.format(
        host=host,
        port=port,
        folder=folder,
        user=getpass.getuser(),
        nodes="\n".join(nodes),
        nodes_without_gpu=NODES - 1,
        gpu_node=GPU_NODE,
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    # A GPU for the scheduler's eyes only.
    (folder / "gres.conf").write_text(f"NodeName={GPU_NODE} Name=gpu File=/dev/null\n")
    # Jobs lose SLURM_CONF on their way to srun.
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)


def start_munge(folder: Path) -> None:
    key = folder / "munge" / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    names = {"socket": "munge/munge.sock", "pid-file": "pid/munged.pid", "log-file": "log/munged.log"}
    names |= {"seed-file": "munge/munge.seed", "key-file": "munge/munge.key"}
    options = [f"--{option}={folder / name}" for option, name in names.items()]
    subprocess.run(["munged", "--force", "--num-threads=4", *options], check=True, capture_output=True, timeout=60)


def stop(folder: Path) -> None:
    """End the daemons of a cluster, and what its jobs still run, by their numbers; also those of an earlier session."""
    conf = f"SLURM_CONF={folder}/slurm.conf\0"
    ours = [pid for pid, environment, _ in processes() if conf in environment and pid != os.getpid()]
    daemons = [int(file.read_text()) for file in (folder / "pid").glob("*.pid") if file.read_text().strip()]
    # A number may have been given to somebody else's process since: ours name the folder.
    running = {pid for pid, environment, command in processes() if str(folder) in environment + command}
    victims = [pid for pid in {*daemons, *ours} if pid in running]
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        with contextlib.suppress(TimeoutError):
            wait_until(10, "daemons have ended", lambda: not any(Path(f"/proc/{pid}").exists() for pid in victims))
            break
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster whose nodes are idle.

    Raises:
        NotInstalled: SLURM cannot be installed here.
        RuntimeError: its daemons do not come up.
    """
    install()
    with open(FOLDER.with_suffix(".lock"), "w") as lock:
        # A second session waits for the first: there is one folder. The lock ends with its holder, however that ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        stop(FOLDER)
        for name in ("bin", "log", "munge", "pid", "spool", "state"):
            (FOLDER / name).mkdir(parents=True, mode=0o755)
        configure(FOLDER)
        path = f"{FOLDER / 'bin'}{os.pathsep}{os.environ['PATH']}"
        cluster = Cluster(FOLDER, {**os.environ, "PATH": path, "SLURM_CONF": str(FOLDER / "slurm.conf")})
        try:
            try:
                start_munge(FOLDER)
                cluster.call("slurmctld", "-f", str(FOLDER / "slurm.conf"))
                for node in cluster.nodes:
                    cluster.start_node(node)
                cluster.wait_for_idle()
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                logs = "".join(path.read_text()[-500:] for path in sorted((FOLDER / "log").glob("*.log")))
                raise RuntimeError(f"{error}\n{logs}") from error
            yield cluster
        finally:
            stop(FOLDER)


if __name__ == "__main__":
    with running_cluster() as by_hand, contextlib.suppress(KeyboardInterrupt):
        print(f"export SLURM_CONF={by_hand.environment['SLURM_CONF']} PATH={by_hand.folder}/bin:$PATH")
        signal.pause()
