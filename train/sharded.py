"""FSDP2: each process holds a shard of all weights, gradients and optimiser state.

Zhao et al. 2023, "PyTorch FSDP"; PyTorch's ``fully_shard``. A block of the language model or tower
is whole only while it computes. What is saved is whole: the file of any other strategy.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from models.vlm import VLM
from train.checkpoint import WholeFile


class Sharded(WholeFile, ModelParallelStrategy):
    """Lightning's FSDP2, for a Stage; checkpoints are plain and whole."""

    def __init__(self, world: int) -> None:
        super().__init__(data_parallel_size=world, tensor_parallel_size=1)

    def setup(self, trainer: pl.Trainer) -> None:
        """Shard the model block by block, then give the shards an optimiser."""
        assert self.accelerator is not None and self.model is not None
        assert self.lightning_module is not None
        self.accelerator.setup(trainer)
        self.model = self.precision_plugin.convert_module(self.model)
        shard(self.lightning_module.model, self.device_mesh["data_parallel"])  # type: ignore[arg-type]
        self.model_to_device()
        self.barrier()
        self.setup_optimizers(trainer)
        self.setup_precision_plugin()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """What is kept, whole; all processes take part."""
        assert self.lightning_module is not None
        stage: Any = self.lightning_module
        return {f"model.{name}": tensor for name, tensor in whole(stage).items()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """As a plain optimiser would give it; all processes take part."""
        state = optimizer.state_dict()
        own = {i: {k: _full(v) for k, v in s.items()} for i, s in state["state"].items()}
        return {**state, "state": own}

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Each process keeps its shard."""
        stage: Any = self.lightning_module
        for name, parameter in stage.trainable.items():
            stored = checkpoint["state_dict"][f"model.{name}"]
            with torch.no_grad():
                parameter.copy_(_shard(stored, parameter))

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Each process keeps its shard."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            own = {
                i: {k: _shard(v, parameters[i]) for k, v in each.items()}
                for i, each in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": own})


def shard(model: VLM, mesh: Any) -> None:
    """Shard ``model`` in place over ``mesh``; ``model.within`` counts as its forward."""
    for part in (*_blocks(model), model):
        made = fully_shard(part, mesh=mesh)
        if mesh.device_type == "cpu":
            made.set_force_sum_reduction_for_comms(True)  # gloo has no mean
    register_fsdp_forward_method(model, "within")


def whole(stage: Any) -> dict[str, Tensor]:
    """``stage.kept`` on the CPU, gathered where it is sharded; all processes take part."""
    for module in stage.model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    return {name: _full(parameter.detach()) for name, parameter in stage.kept.items()}


def _blocks(model: VLM) -> Iterator[nn.Module]:
    """The layers of tower and language model: what their outermost lists hold."""
    for part in (model.tower, model.language_model):
        lists = [n for n, child in part.named_modules() if isinstance(child, nn.ModuleList)]
        for name in lists:
            if not any(name.startswith(f"{other}.") for other in lists):
                yield from part.get_submodule(name)  # type: ignore[misc]


def _full(value: Any) -> Any:
    if isinstance(value, DTensor):
        return value.full_tensor().cpu()
    return value.cpu() if isinstance(value, Tensor) else value


def _shard(value: Any, like: Tensor) -> Any:
    """This process's shard of a whole tensor of the shape of ``like``."""
    if not isinstance(value, Tensor) or value.shape != like.shape or not isinstance(like, DTensor):
        return value
    given = value.to(like.device, like.dtype)
    return distribute_tensor(given, like.device_mesh, like.placements, src_data_rank=None)
