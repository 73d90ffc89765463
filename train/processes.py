"""Several processes of one run, one a device: the first decides and writes, all compute.

They are torchrun's (``RANK``, ``WORLD_SIZE`` and ``MASTER_ADDR`` are set), tasks of one srun, or
children that the first one starts on its own machine. What one of them fails of ends all of them.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed as dist
from torch import Tensor

from conf import devices
from conf.schema import TrainerConfig
from lineage.errors import TactError
from lineage.place import CHECKOUT
from lineage.run import RunFolder

T = TypeVar("T")
HOST = "127.0.0.1"
WAIT = timedelta(days=30)  # a report stands between two stages, and the others wait for its end


GONE = (
    "another process of this run has ended; what it said stands above. The same command goes on "
    "from the last checkpoint"
)


class Elsewhere(TactError):
    """Another process of the run failed, and said of what."""


def rank() -> int:
    """This process's number; 0 is the first, or the only one."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def device(trainer: TrainerConfig) -> int | list[int]:
    """What of the machine is this process's own, as Lightning's ``devices``."""
    if trainer.accelerator == "cpu" or not dist.is_initialized():
        return 1
    return [rank() % trainer.devices]


def is_started_beside(trainer: TrainerConfig) -> bool:
    """Whether torchrun or srun started this process, and not as the first."""
    _name_tasks()
    return devices.world(trainer) > 1 and int(os.environ.get("RANK", 0)) > 0


def _name_tasks() -> None:
    """Give srun's tasks the names that torchrun gives its processes."""
    if "RANK" not in os.environ and int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        os.environ["RANK"] = os.environ["SLURM_PROCID"]
        os.environ["WORLD_SIZE"] = os.environ["SLURM_STEP_NUM_TASKS"]


@contextmanager
def group(trainer: TrainerConfig, run: RunFolder) -> Iterator[None]:
    """The first process's: within, the processes of all devices and nodes are one group.

    TactError where one of them can't begin.
    """
    if devices.world(trainer) == 1:
        yield
        return
    _name_tasks()
    children: list[subprocess.Popen[bytes]] = []
    try:
        if "RANK" in os.environ:
            join(trainer)
        elif trainer.nodes > 1:
            raise TactError(
                f"trainer.nodes={trainer.nodes}: one process starts none on other nodes. Use "
                "python -m slurm submit, or srun or torchrun with a process for each device"
            )
        else:
            _start(trainer, run, children)
        yield
        tell(None)
        for child in children:
            child.wait()
    finally:
        for child in children:
            assert child.stdin is not None
            child.stdin.close()  # a child ends with it
        leave()


def join(trainer: TrainerConfig, store: Any = None) -> None:
    """Enter the group: torchrun's, or that of a ``store``. TactError where it has another size."""
    wanted = devices.world(trainer)
    there = int(os.environ.get("WORLD_SIZE", wanted))
    if there != wanted:
        raise TactError(
            f"trainer.devices={trainer.devices} trainer.nodes={trainer.nodes}: {there} processes "
            f"were started; start {wanted}, or one alone on one node"
        )
    if store is None and not os.environ.keys() >= {"MASTER_ADDR", "MASTER_PORT"}:
        raise TactError("srun: export MASTER_ADDR (the first node's) and MASTER_PORT (a free one)")
    backend = "gloo" if trainer.accelerator == "cpu" else "cpu:gloo,cuda:nccl"
    if store is None:
        dist.init_process_group(backend, timeout=WAIT)
    else:
        number = int(os.environ.get("RANK", 0))
        dist.init_process_group(backend, store=store, rank=number, world_size=wanted, timeout=WAIT)


def meeting(port: int = 0) -> Any:
    """Where processes of one machine find each other: made at a free port, or that of ``port``."""
    made = dist.TCPStore  # type: ignore[attr-defined]
    return made(HOST, port, is_master=not port, wait_for_workers=False, timeout=WAIT)


def leave() -> None:
    """Leave the group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def tell(value: Any) -> None:
    """The first process's: have the others hear ``value``."""
    hear(value)


def hear(value: Any = None) -> Any:
    """What the first process tells."""
    said = [value]
    with _collective():
        dist.broadcast_object_list(said, src=0)
    return said[0]


def by_first(work: Callable[[], T]) -> T:
    """What ``work`` returns on the first process, which alone does it; its error too."""
    if world() == 1:
        return work()
    found: tuple[Any, str | None] = (None, None)
    try:
        if rank() == 0:
            found = (work(), None)
    except Exception as error:
        tell((None, _reason(error)))
        raise
    made, reason = hear(found)
    if reason is not None:
        raise Elsewhere(reason)
    result: T = made
    return result


def first_before_others(work: Callable[[], T]) -> T:
    """What ``work`` returns on each process; the first does it before all others begin.

    So they find in a cache what it has left there. Its error is theirs too.
    """
    made: list[T] = []
    by_first(lambda: made.append(work()))
    return made[0] if made else work()


def by_all(work: Callable[[], T]) -> list[T]:
    """What ``work`` returns on each process, by rank; what one fails of is raised on all."""
    if world() == 1:
        return [work()]
    made, failed = None, None
    try:
        made = work()
    except Exception as error:
        failed = error
    every: list[Any] = [None] * world()
    with _collective():
        dist.all_gather_object(every, (made, failed and _reason(failed)))
    if failed is not None:
        raise failed
    for number, (_, reason) in enumerate(every):
        if reason is not None:
            raise Elsewhere(f"process {number}: {reason}")
    return [each for each, _ in every]


def add_up(tensors: Mapping[str, Tensor]) -> None:
    """Each tensor's sum over the processes, in place; whole on the first one alone."""
    if world() > 1:
        with _collective():
            for _, tensor in sorted(tensors.items()):
                dist.reduce(tensor, dst=0)


def spread(tensors: Mapping[str, Tensor]) -> None:
    """The first process's tensors, in place on all."""
    if world() > 1:
        with _collective():
            for _, tensor in sorted(tensors.items()):
                dist.broadcast(tensor, src=0)


def mean(tensor: Tensor) -> Tensor:
    """Its mean over the processes, each counting as much; without gradient."""
    if world() == 1:
        return tensor.detach()
    total = tensor.detach().clone()
    with _collective():
        dist.all_reduce(total)
    return total / world()


@contextmanager
def connected() -> Iterator[None]:
    """Within, an error of a connection whose other end has gone is told as what it is."""
    try:
        yield
    except RuntimeError as error:
        if not is_gone(error):
            raise
        raise Elsewhere(GONE) from error


def is_gone(error: BaseException) -> bool:
    """Whether an error is that of a connection whose other end has gone."""
    lost = isinstance(error, dist.DistError) or "gloo/" in str(error)  # gloo has no error type
    return world() > 1 and lost


def _start(trainer: TrainerConfig, run: RunFolder, children: list[subprocess.Popen[bytes]]) -> None:
    store = meeting()
    path = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]  # a user's own source
    for number in range(1, trainer.devices):
        own = {"RANK": str(number), "LOCAL_RANK": str(number), "MASTER_PORT": str(store.port),
               "WORLD_SIZE": str(trainer.devices), "PYTHONPATH": os.pathsep.join(path)}  # fmt: skip
        words = [f"run={run.name}", f"checkpoints={run.path.parent}"]
        children.append(
            subprocess.Popen(
                [sys.executable, "-m", "train.beside", *words],
                env={**os.environ, **own},
                stdin=subprocess.PIPE,
                start_new_session=True,  # a signal of the terminal is the first one's to take
            )
        )
    while store.add("there", 0) < len(children):
        _all_live(children)
        time.sleep(0.05)
    join(trainer, store)


def _all_live(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for number, child in enumerate(children, start=1):
        if child.poll() is not None:
            raise TactError(f"process {number} ended as it began; what it said stands above")


@contextmanager
def _collective() -> Iterator[None]:
    """``connected`` around a collective alone, where no other RuntimeError can be."""
    try:
        yield
    except RuntimeError as error:
        raise Elsewhere(GONE) from error


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, TactError) else repr(error)
