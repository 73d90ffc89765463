"""The partitions of a cluster, and whether a site's jobs fit them."""

import re
from dataclasses import dataclass

from conf.schema import SiteConfig
from lineage.errors import TactError
from slurm import client

MEBIBYTES = {"K": 2**-10, "M": 1.0, "": 1.0, "G": 2.0**10, "T": 2.0**20}
UNKNOWN_MIB = 1.0  # what Slurm tells of a node of which nobody said how much it has


@dataclass(frozen=True)
class Node:
    """What one kind of a partition's nodes has."""

    cpus: int
    memory_mib: float
    gpus: int

    def holds(self, cpus: int, memory_mib: float, gpus: int) -> bool:
        """Whether a job that asks for so much fits on it."""
        enough = self.memory_mib >= memory_mib or self.memory_mib <= UNKNOWN_MIB
        return enough and self.cpus >= cpus and self.gpus >= gpus

    def __str__(self) -> str:
        return _told(self.cpus, self.memory_mib, self.gpus)


@dataclass(frozen=True)
class Partition:
    """What a partition allows, and the kinds of nodes that it has."""

    name: str
    time: str  # the longest job, as Slurm writes it
    up: bool
    nodes: tuple[Node, ...]

    def refuses(self, site: SiteConfig, *, least_mib: float = 0.0) -> str | None:
        """Why it can't take the site's jobs, with the fix; None where it can.

        ``least_mib``: what a job needs where ``site.memory`` says nothing.
        """
        if not self.up:
            return f"site.partition={self.name} is down: choose another one, or wait"
        if client.minutes(site.time) > client.minutes(self.time):
            return (
                f"site.time={site.time} is more than partition {self.name} allows ({self.time}): "
                "ask for less; a job that needs more is requeued and goes on"
            )
        memory = mebibytes(site.memory) if site.memory else least_mib
        if not any(node.holds(site.cpus, memory, site.gpus) for node in self.nodes):
            there = "; ".join(str(node) for node in self.nodes) or "none"
            return (
                f"partition {self.name} has no node with {_told(site.cpus, memory, site.gpus)} "
                f"(there are: {there}): lower site.cpus, site.memory or site.gpus, or choose "
                "another site.partition"
            )
        return None


def there() -> dict[str, Partition]:
    """The partitions there are; the default one also stands under the empty name."""
    found: dict[str, Partition] = {}
    words = ["sinfo", "--exact", "--noheader", "--format=%P|%l|%a|%c|%m|%G"]
    for line in client.call(words).splitlines():
        name, time, state, cpus, memory, gres = line.strip().split("|")
        before = found[name].nodes if name in found else ()
        nodes = (*before, Node(int(cpus), float(memory), gpus(gres)))
        found[name] = Partition(name.rstrip("*"), time, state == "up", nodes)
    for name in [name for name in found if name.endswith("*")]:
        found[name.rstrip("*")] = found[""] = found.pop(name)
    return found


def check(site: SiteConfig, *, least_mib: float = 0.0) -> None:
    """TactError where the cluster has no such partition, or it can't take the site's jobs."""
    known = there()
    found = known.get(site.partition or "")
    if found is None:
        names = ", ".join(sorted(name for name in known if name)) or "none"
        raise TactError(f"site.partition={site.partition}: no such partition; there are: {names}")
    if why := found.refuses(site, least_mib=least_mib):
        raise TactError(why)
    _check_account(site, found.name)


def _check_account(site: SiteConfig, partition: str) -> None:
    """TactError where Slurm would refuse the account, or let its jobs wait for ever."""
    mine = client.accounts()
    if site.account is not None and mine is not None and site.account not in mine:
        known = ", ".join(sorted(mine)) or "none"
        raise TactError(f"site.account={site.account}: it isn't yours; you have: {known}")
    words = client.call(["scontrol", "--oneliner", "show", "partition", partition]).split()
    allowed = next((w.partition("=")[2] for w in words if w.startswith("AllowAccounts=")), "ALL")
    own = mine or set() if site.account is None else {site.account}
    if allowed != "ALL" and not own & set(allowed.split(",")):
        raise TactError(
            f"site.account={site.account}: partition {partition} takes jobs of {allowed} alone: "
            "give one that you may use, or choose another site.partition"
        )


def fitting(site: SiteConfig, *, least_mib: float = 0.0) -> list[str]:
    """The names of the partitions that can take the site's jobs."""
    known = {name: each for name, each in there().items() if name}
    return sorted(n for n, each in known.items() if each.refuses(site, least_mib=least_mib) is None)


def mebibytes(memory: str) -> float:
    """Slurm's ``32G``, ``4000`` (MiB) and so on; 0 is all that a node has. Raises ValueError."""
    found = re.fullmatch(r"(\d+)([KMGT]?)B?", memory.upper())
    if found is None:
        raise ValueError(memory)
    return int(found[1]) * MEBIBYTES[found[2]]


def gpus(gres: str) -> int:
    """How many GPUs are in Slurm's ``gpu:a100:4(S:0-1),shard:8``."""
    counts = re.findall(r"\bgpu(?::[^:,()]+)??:(\d+)(?=[,(]|$)", gres)
    return sum(map(int, counts))


def _told(cpus: int, memory_mib: float, gpus: int) -> str:
    parts = [f"{cpus} CPUs"]
    if memory_mib > UNKNOWN_MIB:
        parts.append(f"{memory_mib:.0f} MiB")
    if gpus:
        parts.append(f"{gpus} GPUs")
    return ", ".join(parts)
