"""A real Slurm of two nodes on this machine, without root or systemd, from Debian's packages.

It lies in one folder and leaves ``PATH`` alone: who wants it runs commands with ``environment``.
"""

import getpass
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PACKAGES = (
    "slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge libmunge2 libhwloc15 liblua5.1-0"
)
NODES = ("n1", "n2")
START_S, STOP_S = 30.0, 60.0
PATIENCE_S = 900.0  # of a busy machine; an idle one takes seconds
MOST_JOBS = 10_000  # in the queue, tasks of arrays one by one; Slurm's own default
CONF = """
ClusterName=t
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
PluginDir={library}/slurm-wlm
PlugStackConfig=/dev/null
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={desk}/run/munge.sock,cred_expire=5
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={desk}/state
SlurmdSpoolDir={desk}/spool/%n
SlurmctldPidFile={desk}/run/slurmctld.pid
SlurmdPidFile={desk}/run/slurmd-%n.pid
SlurmctldLogFile={desk}/log/slurmctld.log
SlurmdLogFile={desk}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
{accounting}
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
SlurmctldParameters=preempt_send_user_signal
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
KillWait=5
MaxJobCount={most_jobs}
SlurmctldTimeout=30
SlurmdTimeout=30
{nodes}
PartitionName=main Nodes=ALL Default=YES DefaultTime=10 MaxTime=60 PriorityTier=1 \
PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes=ALL DefaultTime=10 MaxTime=60 PriorityTier=10 PreemptMode=OFF
PartitionName=lab Nodes={first} DefaultTime=10 MaxTime=30 PriorityTier=1 AllowAccounts=lab
"""


def wait(
    condition: Callable[[], object], *, why: Callable[[], object], seconds: float = PATIENCE_S
) -> None:
    """Wait until ``condition`` holds; fail with what ``why`` gives."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, why()
        time.sleep(0.1)


class Cluster:
    """The daemons and their folder; ``start`` and ``stop`` them."""

    accounting = "AccountingStorageType=accounting_storage/none"
    variables = ("PATH", "SLURM_CONF", "LD_LIBRARY_PATH")  # what its commands are found by

    def __init__(self, folder: Path, *, most_jobs: int = MOST_JOBS) -> None:
        self.root, self.desk = folder / "root", folder / "desk"
        self.most_jobs = most_jobs
        self.library = self.root / "usr/lib/x86_64-linux-gnu"

    @property
    def environment(self) -> dict[str, str]:
        """This process' environment with the cluster's commands, and no trace of another job."""
        bare = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
        path = [f"{self.root}/usr/bin", f"{self.root}/usr/sbin", bare["PATH"]]
        more = {
            "PATH": os.pathsep.join(path),
            "SLURM_CONF": f"{self.desk}/slurm.conf",
            "LD_LIBRARY_PATH": f"{self.library}:{self.library}/slurm-wlm",
        }
        return {**bare, **more}

    @contextmanager
    def on_path(self) -> Iterator[pytest.MonkeyPatch]:
        """Within, this process finds the cluster's commands."""
        with pytest.MonkeyPatch.context() as here:
            for name in self.variables:
                here.setenv(name, self.environment[name])
            yield here

    def run(self, *words: str) -> str:
        """What a command of the cluster prints; CalledProcessError where it fails."""
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def install(self, packages: str = PACKAGES) -> None:
        """Unpack the packages into the folder; nothing of the system is changed."""
        self.root.mkdir(parents=True, exist_ok=True)
        fetch = ["apt-get", "download", *packages.split()]
        got = subprocess.run(fetch, cwd=self.root, capture_output=True, check=False)
        if got.returncode:  # a fresh machine has no lists of packages yet
            subprocess.run(["apt-get", "update"], check=True, capture_output=True)
            subprocess.run(fetch, cwd=self.root, check=True, capture_output=True)
        for package in self.root.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, self.root], check=True)
            package.unlink()
        for program in self.root.glob("usr/*bin/*-wlm"):  # a daemon asks by its name what it is
            plain = program.with_name(program.name.removesuffix("-wlm"))
            if not plain.exists():
                plain.symlink_to(program.name)

    def start(self) -> None:
        """Start munge, the controller and both nodes; wait until these are idle."""
        for name in ("state", "log", "run", *(f"spool/{node}" for node in NODES)):
            (self.desk / name).mkdir(parents=True)
        port, *own = free_ports(1 + len(NODES))
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={_host()} NodeAddr=127.0.0.1 Port={port} CPUs=2 "
            "RealMemory=4000 State=UNKNOWN"
            for node, port in zip(NODES, own, strict=True)
        )
        (self.desk / "slurm.conf").write_text(
            CONF.format(host=_host(), port=port, library=self.library, desk=self.desk,
                        user=getpass.getuser(), nodes=nodes, first=NODES[0],
                        most_jobs=self.most_jobs, accounting=self.accounting)
        )  # fmt: skip
        if not any(Path("/sys/fs/cgroup").glob("*")):
            (self.desk / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        key = self.desk / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        run = self.desk / "run"
        self.run(  # forced: nobody else may enter the folder that its socket lies in
            "munged", "--force", f"--key-file={key}", f"--socket={run}/munge.sock",
            f"--pid-file={run}/munged.pid", f"--log-file={self.desk}/log/munged.log",
            f"--seed-file={run}/munged.seed",
        )  # fmt: skip
        self.start_accounts()
        self.start_controller()
        for node in NODES:
            self.run("slurmd", "-d", f"{self.root}/usr/sbin/slurmstepd", "-N", node)
        self.wait_idle()

    def start_accounts(self) -> None:
        """Start what keeps accounts: nothing does."""

    def start_controller(self) -> None:
        """Start ``slurmctld``; it goes on from its state folder."""
        self.run("slurmctld")

    def stop_controller(self) -> None:
        """Stop ``slurmctld``; jobs go on."""
        self._end("slurmctld")

    def wait_idle(self) -> None:
        """Wait until both nodes are idle and known."""
        end = time.monotonic() + START_S
        while True:
            states = subprocess.run(
                ["sinfo", "-hN", "-p", "main", "-o", "%T"],
                env=self.environment, capture_output=True, text=True, check=False,
            ).stdout.split()  # fmt: skip
            if states == ["idle"] * len(NODES):
                return
            assert time.monotonic() < end, f"{states}\n{self.log()}"
            time.sleep(0.1)

    def set_down(self, node: str) -> None:
        """Take a node from its jobs, and let it come back; by itself it may be there before."""
        change = ["scontrol", "update", f"nodename={node}"]
        self.run(*change, "state=down", "reason=test")
        subprocess.run([*change, "state=resume"], env=self.environment, check=False)

    def listens(self, job: str) -> bool:
        """Whether the job's script has a trap for USR1: a signal before is lost, or ends it."""
        script = f"job{int(job):05d}/slurm_script"
        return any(_catches(pid, signal.SIGUSR1) for pid in _pids() if script in _command(pid))

    def log(self) -> str:
        """The ends of the daemons' logs."""
        logs = sorted((self.desk / "log").glob("*.log"))
        return "\n".join(f"{p.name}:\n{p.read_text(errors='replace')[-2000:]}" for p in logs)

    def stop(self) -> None:
        """End all daemons at once and wait for them."""
        self._end("*")

    def _end(self, name: str) -> None:
        pids = [int(path.read_text()) for path in (self.desk / "run").glob(f"{name}.pid")]
        for pid in pids:
            if _alive(pid):
                os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + STOP_S
        while any(_alive(pid) for pid in pids) and time.monotonic() < end:
            time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _host() -> str:
    return platform.node().partition(".")[0]


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _catches(pid: int, number: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = int(status.partition("\nSigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


def _alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
