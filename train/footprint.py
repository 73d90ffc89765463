"""How much memory a stage takes, without taking it: its own step on tensors that have no storage.

A model on torch's meta device runs the stage's terms, their backward pass, per-unit clipping where
the stage is private, and the optimiser; every tensor that would be made is counted for as long as
it would live. Numbers of words are real, so that what is read by them has its true shape.
"""

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode

from conf import devices, rules
from conf.schema import Config, StageConfig
from data.collate import Batch, Collator
from data.encode import EncodedRow
from data.lexicon import WORDS
from data.policy import Policy
from models import configured, lora
from models.features import BATCH_PICTURES
from models.vlm import VLM
from models.words import word_mask
from privacy.clipping import PerUnit
from train import terms
from train.optimizer import made
from train.terms import Step

CHOOSING = ("aten::index", "aten::index_put", "aten::index_put_")  # a mask's size is its values'


@dataclass(frozen=True)
class Footprint:
    """Bytes of a process's tensors at a stage's fullest moment, and what they are of."""

    weights: int
    optimizer: int
    features: int  # of pictures that are encoded once a stage
    step: int  # gradients, activations and what an operation needs while it runs
    private: int  # what per-unit clipping adds to that

    @property
    def peak(self) -> int:
        """All of it."""
        return self.weights + self.optimizer + self.features + self.step + self.private


class Counted(TorchDispatchMode):
    """Within, tensors on the meta device are counted while they live; ``most`` is the peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = self.most = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run ``func`` on shapes alone; a decision that needs a value is taken as true."""
        given = (args, kwargs or {})
        tensors = [x for x in tree.tree_leaves(given) if isinstance(x, Tensor)]
        if func is torch.ops.aten._local_scalar_dense.default and tensors[0].is_meta:
            return True if tensors[0].dtype == torch.bool else 1.0
        if func is torch.ops.aten._to_copy.default and tensors[0].dtype == torch.bool:
            return tensors[0]  # a mask keeps its values: what is chosen by it has its true size
        some = any(x.is_meta for x in tensors)
        if some and func._schema.name not in CHOOSING and not all(x.is_meta for x in tensors):
            given = tree.tree_map_only(Tensor, lambda x: x.to("meta"), given)
        made = func(*given[0], **given[1])
        for tensor in tree.tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.is_meta:
                self.count(tensor)
        return made

    def phase(self) -> int:
        """The peak since this was last asked."""
        most, self.most = self.most, self.held
        return most

    def hold(self, tensors: Iterable[Tensor]) -> int:
        """Count tensors that are there already; returns what is held."""
        for tensor in tensors:
            self.count(tensor)
        return self.held

    def count(self, tensor: Tensor) -> None:
        """Hold a tensor's storage until it is gone."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self.held += storage.nbytes()
        self.most = max(self.most, self.held)
        weakref.finalize(storage, self._gone, key)

    def _gone(self, key: int) -> None:
        self.held -= self._sizes.pop(key)


class Fused(TorchFunctionMode):
    """Within, attention is a fused kernel, as on a CPU or a GPU: no weight for each two positions.

    On the meta device torch would write it out.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func``, or the kernel in its place."""
        more = dict(kwargs or {})
        if func is not F.scaled_dot_product_attention or not args[0].is_meta:
            return func(*args, **more)
        query, key, value = args
        groups = query.shape[-3] // key.shape[-3]
        if groups > 1:
            key, value = (x.repeat_interleave(groups, -3) for x in (key, value))
        mask = more.get("attn_mask")
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, more.get("is_causal", False),
            attn_mask=mask if mask is None else mask.to("meta"), scale=more.get("scale"),
        )[0]  # fmt: skip


def footprint(
    config: Config, name: str, model: VLM, rows: Sequence[EncodedRow], *, pictures: int
) -> Footprint:
    """Of stage ``name`` on rows such as these, with ``pictures`` different ones, in one process.

    ``model`` is an ``empty_model``; the batch is of the longest rows. Raises TactError as training
    would.
    """
    stage = config.stage[name]
    if not rules.is_private(config, stage):
        parts = devices.world(config.trainer) * config.trainer.accumulate
        batch = Batches(rows, stage.batch_size_rows // parts)
        return _measured(config, stage, model, batch, pictures)
    batch = Batches(rows, config.privacy.physical_batch_rows)
    plain = _measured(config, stage, model, batch, pictures)
    whole = _measured(config, stage, model, batch, pictures, bound=config.privacy.max_grad_norm)
    return replace(whole, step=plain.step, private=whole.step - plain.step)


def empty_model(config: Config, policy: Policy, *, adapter: bool) -> VLM:
    """The config's model on the meta device; with a fresh ``adapter``, no weight read or drawn."""
    with torch.device("meta"):
        model = configured.model(config.model, policy, seed=config.seed)
        if adapter:
            lora.attach(model.language_model, **configured.lora_settings(config.model))
    return model


def _measured(
    config: Config,
    stage: StageConfig,
    model: VLM,
    asked: "Batches",
    pictures: int,
    *,
    bound: float | None = None,
) -> Footprint:
    """``bound`` clips by row; without it the step is a plain one."""
    trainable = model.train_only([*stage.train, *terms.adversaries(stage)])
    model.zero_grad()
    cached = config.trainer.cache_features and "tower" not in stage.train
    batch = asked.made(model, pixels=not cached)
    size = int(model.language_model.get_input_embeddings().weight.shape[0])  # type: ignore
    words = word_mask(model.parts.encoder.tokenizer, WORDS, size).to("meta")
    optimizer = made(stage, trainable)
    losses = {n: (term, terms.weight(stage.losses[n])) for n, term in terms.of_stage(stage).items()}
    with Fused(), Counted() as seen, _clipping(model, trainable, bound) as engine:
        weights = seen.hold([*model.parameters(), *model.buffers()])
        features, encoded = None, 0
        if cached:
            features, encoded = _features(model, seen, pictures)
        step = partial(Step, model, batch, words, 0.0, chunk=config.trainer.lm_head_chunk_positions,
                       train_tower="tower" in stage.train)  # fmt: skip
        if engine is not None:
            engine.begin(batch.rows, torch.arange(batch.rows), pictures=batch.picture_row,
                         doubled=model.pairs == "two_rows")  # fmt: skip
        given = None if features is None else features[batch.pictures]
        values = step(cached_features=given)
        total = sum(weight * term(values).sum() for term, weight in losses.values())
        del given, values
        forward = seen.phase()
        total.backward()  # type: ignore[union-attr]
        if engine is not None and bound is not None:
            for name, gradient in engine.clip(bound).sums.items():
                engine.weights[name].grad = gradient
        del total
        backward, gradients = seen.phase(), _bytes(p.grad for p in trainable.values())
        optimizer.step()
        state = _bytes(x for each in optimizer.state.values() for x in each.values() if x.is_meta)
        # a later step goes forward with the last one's gradients, and with the optimiser's state
        most = max(forward + gradients + state, backward + state, seen.phase())
        return Footprint(weights, state, encoded, most - weights - state - encoded, 0)


def _bytes(tensors: Iterable[Tensor | None]) -> int:
    return sum(x.nbytes for x in tensors if x is not None)


@contextmanager
def _clipping(
    model: VLM, trainable: Mapping[str, Any], bound: float | None
) -> Iterator[PerUnit | None]:
    if bound is None:
        yield None
        return
    engine = PerUnit(model, trainable)
    try:
        yield engine
    finally:
        engine.close()


def _features(model: VLM, seen: Counted, pictures: int) -> tuple[Tensor, int]:
    """The stage's table of features, after a pass of the tower over some of its pictures."""
    shape = model.parts.encoder.picture_shape
    before = seen.held
    with torch.no_grad():
        one = model.features(torch.empty(min(BATCH_PICTURES, pictures), *shape, device="meta"))
    table = torch.empty(pictures, *one.shape[1:], dtype=one.dtype, device="meta")
    del one
    return table, seen.held - before


@dataclass(frozen=True)
class Batches:
    """``count`` rows, the longest first and as often as it takes."""

    rows: Sequence[EncodedRow]
    count: int

    def made(self, model: VLM, *, pixels: bool) -> Batch:
        """As tensors; pixels have no storage."""
        longest = sorted(self.rows, key=len, reverse=True)
        places: dict[int, int] = {}
        collator = Collator(
            model.parts.encoder, index=lambda p: places.setdefault(id(p), len(places)), pixels=False
        )
        batch = collator(list(islice(cycle(longest), self.count)))
        if not pixels:
            return batch
        shape = (len(batch.pictures), *model.parts.encoder.picture_shape)
        return replace(batch, pixel_values=torch.empty(shape, device="meta"))
