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
from torch.nn import functional
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
        once = {name: value for name, value in first.items() if name not in shaped}
        if first:
            self._link()
        state: dict[int, dict[str, Any]] = {}
        numbers: list[list[int]] = []
        for group in self.groups:
            numbers.append(list(range(len(state), len(state) + len(group))))
            for parameter in group:
                own = {
                    n: _deepspeed().utils.safe_get_full_optimizer_state(parameter, n)
                    for n in shaped
                }
                # each its own copy: a plain optimiser counts steps in place
                state[len(state)] = {n: v.detach().cpu().clone() for n, v in (once | own).items()}
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
            self._set(parameter, stored)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Each process keeps its part."""
        (stored,) = checkpoint["optimizer_states"]
        for group, given in zip(self._plain.param_groups, stored["param_groups"], strict=True):
            group.update({k: v for k, v in given.items() if k != "params"})
        if not stored["state"]:
            return
        first = next(iter(stored["state"].values()))
        shaped = [name for name in first if name != "step"]
        for part in self._partitions:
            fresh = {n: torch.zeros_like(part) for n in shaped}
            self._plain.state[part] = {**{n: v.clone() for n, v in first.items()}, **fresh}
        self._link()
        parameters = [p for group in self.groups for p in group]
        for number, parameter in enumerate(parameters):
            own = stored["state"].get(number, {})  # none where no loss read it: zeros, as it is
            for name in filter(own.__contains__, shaped):
                self._set(parameter, own[name].to(self.root_device), name)

    def _link(self) -> None:
        """Let stage 2 find all groups' state: it looks but once, behind the first group's step."""
        zero: Any = self.optimizers[0]
        if hasattr(zero, "_hp_optimizer_states_linked"):
            zero._hp_optimizer_states_linked = False
            zero._lazy_init_hp_params_optimizer_state()

    def _set(self, parameter: nn.Parameter, value: Tensor, *key: str) -> None:
        """Put this process's part of ``value`` in: the weight's, or a state's by its ``key``."""
        utils = _deepspeed().utils
        if not hasattr(parameter, "ds_id"):
            put = utils.safe_set_full_optimizer_state if key else utils.safe_set_full_fp32_param
            put(parameter, value, *key)
            return
        # stage 3 pads the last part; DeepSpeed's setter of a whole tensor does not
        put = utils.safe_set_local_optimizer_state if key else utils.safe_set_local_fp32_param
        size = parameter.ds_tensor.numel()  # type: ignore[attr-defined]
        padded = functional.pad(value.flatten(), (0, size * self.world_size - value.numel()))
        put(parameter, padded.narrow(0, size * self.global_rank, size), *key)


def whole(stage: Any) -> dict[str, Tensor]:
    """``stage.kept`` on the CPU, gathered; all processes take part."""
    found = {
        name: _deepspeed().utils.safe_get_full_fp32_param(p) for name, p in stage.trainable.items()
    }
    still = {name: p for name, p in stage.kept.items() if name not in found}
    with _deepspeed().zero.GatheredParameters(list(still.values())):
        found |= {name: p.clone() for name, p in still.items()}
    return {name: tensor.detach().cpu() for name, tensor in found.items()}
