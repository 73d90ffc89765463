"""ZeRO by DeepSpeed: optimiser state and gradients are sharded (2), weights as well (3).

Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models".
What is saved is whole: the file of any other strategy.
"""

import argparse
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import torch
from lightning_fabric.utilities.seed import reset_seed
from pytorch_lightning.plugins.precision import DeepSpeedPrecision
from pytorch_lightning.strategies import DDPStrategy, DeepSpeedStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from train.checkpoint import WholeFile

T = TypeVar("T")
SHARED_MEMORY = "deepspeed_shm_comm"  # an operator that is compiled, for processes of one machine


@cache
def _deepspeed() -> Any:
    """It prints which device it found when it is imported."""
    import deepspeed

    return deepspeed


class Precision(DeepSpeedPrecision):
    """Weights in float32; batches as they are: a stage's step converts what it reads."""

    def __init__(self) -> None:
        super().__init__("32-true")

    def convert_input(self, data: Any) -> Any:
        """The batch as it is."""
        return data


class Zero(WholeFile, DeepSpeedStrategy):
    """Lightning's DeepSpeed, for a Stage, on a CPU too; checkpoints are plain and whole."""

    def __init__(self, stage: int, *, half: bool) -> None:
        config = {
            "zero_optimization": {"stage": stage, "overlap_comm": False},
            "zero_allow_untested_optimizer": True,
            "train_micro_batch_size_per_gpu": 1,  # it times by it, and nothing else
            "torch_autocast": {"enabled": half, "dtype": "bfloat16"},
        }
        super().__init__(config=config, precision_plugin=Precision())
        self.groups: list[list[nn.Parameter]] = []  # as the stage's optimiser has them

    def setup_environment(self) -> None:
        """Lightning asks for CUDA; gloo does as well."""
        DDPStrategy.setup_environment(self)

    def setup_distributed(self) -> None:
        """On the group that is there."""
        reset_seed()
        self.set_world_ranks()
        os.environ["LOCAL_RANK"] = str(self.local_rank)  # DeepSpeed reads it there
        if self.root_device.type == "cpu":
            _deepspeed().ops.__compatible_ops__[SHARED_MEMORY] = False
        _deepspeed().init_distributed(auto_mpi_discovery=False, verbose=False)

    def _setup_model_and_optimizer(
        self, model: nn.Module, optimizer: Optimizer | None, lr_scheduler: Any = None
    ) -> tuple[Any, Optimizer]:
        assert optimizer is not None
        self.groups = [list(group["params"]) for group in optimizer.param_groups]
        engine, made, _, _ = _deepspeed().initialize(
            args=argparse.Namespace(device_rank=self.local_rank),
            config=self.config,
            model=model,
            model_parameters=[p for group in self.groups for p in group],
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            dist_init_required=False,
        )
        return engine, made

    @property
    def _plain(self) -> Optimizer:
        """The optimiser that steps this process's partitions."""
        return self.optimizers[0].optimizer  # type: ignore[attr-defined,no-any-return]

    @property
    def _partitions(self) -> list[Tensor]:
        """What of the weights this process steps, flat, in float32."""
        zero: Any = self.optimizers[0]
        stage3 = hasattr(zero, "fp32_partitioned_groups_flat")
        return zero.fp32_partitioned_groups_flat if stage3 else zero.single_partition_of_fp32_groups  # type: ignore[no-any-return]

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """What is kept, whole; all processes take part."""
        return {f"model.{name}": tensor for name, tensor in whole(self.lightning_module).items()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """As a plain optimiser would give it; all processes take part."""
        first = self._plain.state[self._partitions[0]]
        shaped = [name for name in first if name != "step"]
        once = {name: value.cpu() for name, value in first.items() if name not in shaped}
        state: dict[int, dict[str, Any]] = {}
        numbers: list[list[int]] = []
        for group in self.groups:
            numbers.append(list(range(len(state), len(state) + len(group))))
            for parameter in group:
                own = {
                    n: _deepspeed().utils.safe_get_full_optimizer_state(parameter, n)
                    for n in shaped
                }
                state[len(state)] = {**once, **{n: v.detach().cpu() for n, v in own.items()}}
        groups = [
            {**{k: v for k, v in group.items() if k != "params"}, "params": own}
            for group, own in zip(self._plain.param_groups, numbers, strict=True)
        ]
        return {"state": state if first else {}, "param_groups": groups}

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Each process keeps its part."""
        stage: Any = self.lightning_module
        for name, parameter in stage.trainable.items():
            stored = checkpoint["state_dict"][f"model.{name}"].to(self.root_device)
            with (
                torch.no_grad(),
                _deepspeed().zero.GatheredParameters([parameter], modifier_rank=0),
            ):
                parameter.copy_(stored)
            _deepspeed().utils.safe_set_full_fp32_param(parameter, stored)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Each process keeps its part."""
        (stored,) = checkpoint["optimizer_states"]
        for group, given in zip(self._plain.param_groups, stored["param_groups"], strict=True):
            group.update({k: v for k, v in given.items() if k != "params"})
        if not stored["state"]:
            return
        first = stored["state"][0]
        shaped = [name for name in first if name != "step"]
        for part in self._partitions:
            fresh = {n: torch.zeros_like(part) for n in shaped}
            self._plain.state[part] = {**{n: v.clone() for n, v in first.items()}, **fresh}
        zero: Any = self.optimizers[0]
        if hasattr(zero, "_lazy_init_hp_params_optimizer_state"):
            zero._lazy_init_hp_params_optimizer_state()
        parameters = [p for group in self.groups for p in group]
        for number, parameter in enumerate(parameters):
            for name in shaped:
                value = stored["state"][number][name].to(self.root_device)
                _deepspeed().utils.safe_set_full_optimizer_state(parameter, value, name)


def whole(stage: Any) -> dict[str, Tensor]:
    """``stage.kept`` on the CPU, gathered; all processes take part."""
    found = {
        name: _deepspeed().utils.safe_get_full_fp32_param(p) for name, p in stage.trainable.items()
    }
    still = {name: p for name, p in stage.kept.items() if name not in found}
    with _deepspeed().zero.GatheredParameters(list(still.values())):
        found |= {name: p.clone() for name, p in still.items()}
    return {name: tensor.detach().cpu() for name, tensor in found.items()}
