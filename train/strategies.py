"""How the processes of a public stage share a step: Lightning's strategies, on the group there is.

A private stage uses none: its processes add up clipped sums themselves.
"""

from importlib.util import find_spec
from typing import Any

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch import Tensor

from conf.schema import TrainerConfig
from lineage.errors import TactError
from train import precision, processes, sharded
from train.stage import Stage

ZERO = {"zero2": 2, "zero3": 3}


class Joined(ClusterEnvironment):
    """The group that ``processes`` made, as Lightning asks for it."""

    def __init__(self, devices: int) -> None:
        super().__init__()
        self.devices = devices  # of a node

    @property
    def creates_processes_externally(self) -> bool:
        """They are there already."""
        return True

    @property
    def main_address(self) -> str:
        """Nobody meets anybody anew."""
        raise NotImplementedError

    @property
    def main_port(self) -> int:
        """Nobody meets anybody anew."""
        raise NotImplementedError

    @staticmethod
    def detect() -> bool:
        """It is given, never looked for."""
        return False

    def world_size(self) -> int:
        """Processes of all nodes."""
        return processes.world()

    def set_world_size(self, size: int) -> None:
        """It is what it is."""

    def global_rank(self) -> int:
        """This process's number among all."""
        return processes.rank()

    def set_global_rank(self, rank: int) -> None:
        """It is what it is."""

    def local_rank(self) -> int:
        """This process's number on its node."""
        return processes.rank() % self.devices

    def node_rank(self) -> int:
        """Its node's number."""
        return processes.rank() // self.devices


def check(trainer: TrainerConfig) -> None:
    """TactError where the strategy's library is not there."""
    if trainer.strategy in ZERO and find_spec("deepspeed") is None:
        raise TactError(
            f"trainer.strategy={trainer.strategy}: DeepSpeed is not installed; "
            "pip install -c constraints.txt -e '.[deepspeed]', or use trainer.strategy=fsdp2"
        )


def chosen(trainer: TrainerConfig, *, private: bool) -> dict[str, Any]:
    """Arguments of a Trainer: which devices, how many nodes, which strategy and precision."""
    how = precision.chosen(trainer.precision)
    if private or processes.world() == 1:
        # Lightning's environment of Slurm would save inside a signal's handler
        how["plugins"].append(LightningEnvironment())
        return {**how, "devices": processes.device(trainer)}
    if trainer.strategy in ZERO:
        how = {"plugins": []}  # its own precision
    how["plugins"].append(Joined(trainer.devices))
    return {
        **how,
        "devices": trainer.devices,
        "num_nodes": trainer.nodes,
        "strategy": _strategy(trainer),
    }


def whole(stage: Stage, trainer: TrainerConfig, *, private: bool) -> dict[str, Tensor]:
    """What trained, by name, on the CPU; all processes take part, since each may hold a shard."""
    if trainer.strategy in ZERO and not private:
        from train import zero

        return zero.whole(stage)
    return sharded.whole(stage)


def _strategy(trainer: TrainerConfig) -> Strategy:
    if trainer.strategy == "fsdp2":
        return sharded.Sharded(processes.world())
    if trainer.strategy in ZERO:
        from train.zero import Zero

        return Zero(ZERO[trainer.strategy], half=trainer.precision != "32-true")
    # a part whose losses weigh nothing has no gradient, as on one process
    return DDPStrategy(
        find_unused_parameters=True, broadcast_buffers=False, gradient_as_bucket_view=True
    )
