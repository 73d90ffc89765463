"""The terms of a stage's loss: each turns a ``Step`` into one value a row, (B,).

A config names them by ``_target_``; a user's own is a function of the same signature. What
several terms need (features, log-probabilities, references) is computed once a step, and only
if a term asks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from conf import target
from conf.schema import StageConfig
from data.collate import Batch
from losses import attributes, leakage, preference
from losses import language as lm
from losses import rate as cost
from models.interface import Codes, PictureTokens
from models.vlm import VLM
from train import processes


@dataclass
class Step:
    """One step's model, batch and what is computed of them on demand."""

    model: VLM
    batch: Batch
    words: Tensor  # (A, V): each sensitive attribute's words in the vocabulary
    progress: float  # share of the stage's steps that are done, [0, 1)
    cached_features: Tensor | None = None  # (P, N, D)
    chunk: int = 4096
    train_tower: bool = False
    cached_references: Tensor | None = None  # (2B,)

    @cached_property
    def features(self) -> Tensor:
        """The tower's features (P, N, D); without gradient where the tower doesn't train."""
        if self.cached_features is not None:
            return self.cached_features
        assert self.batch.pixel_values is not None
        with torch.set_grad_enabled(self.train_tower and torch.is_grad_enabled()):
            return self.model.features(self.batch.pixel_values)

    @cached_property
    def tokens(self) -> PictureTokens:
        """What the language model gets of each picture."""
        return self.model.tokens(self.features)

    @cached_property
    def hidden(self) -> Tensor:
        """States at supervised positions, (N, H)."""
        batch = self.batch
        states = self.model.hidden(batch.input_ids, batch.segments, self.tokens.embeds)
        return states.flatten(0, 1)[batch.source]

    @cached_property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Log-probabilities (N,) and mass of each attribute's words (N, A)."""
        return lm.supervised(
            self.model.head, self.hidden, self.batch.targets, words=self.words, chunk=self.chunk
        )

    @cached_property
    def answers(self) -> int:
        """Number of owners: 2B where rows are pairs, else B."""
        return self.batch.rows * (2 if bool((self.batch.segments == 2).any()) else 1)

    @cached_property
    def logps(self) -> Tensor:
        """Summed log-probability of each answer, (2B,) for pairs."""
        return lm.sum_by(self.statistics[0], self.batch.owner, self.answers)

    @cached_property
    def references(self) -> Tensor:
        """The same under the model that the stage started from, (2B,)."""
        if self.cached_references is not None:
            return self.cached_references
        with self.model.adapter_off():
            return self.reference_logps()

    def reference_logps(self) -> Tensor:
        """Summed log-probabilities under the language model as it is now, (2B,)."""
        batch = self.batch
        with torch.no_grad():
            embeds = self.tokens.embeds.detach()
            states = self.model.hidden(batch.input_ids, batch.segments, embeds)
            hidden = states.flatten(0, 1)[batch.source]
            logps, _ = lm.supervised(self.model.head, hidden, batch.targets, chunk=self.chunk)
        return lm.sum_by(logps, batch.owner, self.answers)

    def by_picture(self, values: Tensor) -> Tensor:
        """Mean of pictures' values (P,) by row, (B,)."""
        return lm.mean_by(values, self.batch.picture_row, self.batch.rows)

    def picture_labels(self) -> dict[str, Tensor]:
        """Labels of each picture, attribute → (P,)."""
        return {k: v[self.batch.picture_row] for k, v in self.batch.labels.items()}


Term = Callable[[Step], Tensor]


def of_stage(stage: StageConfig) -> dict[str, Term]:
    """The stage's losses that have a weight, as functions of a Step; TactError on a bad one."""
    return {
        name: target.function(settings, where=f"losses.{name}", without=("weight",))
        for name, settings in stage.losses.items()
        if weight(settings)
    }


def weight(settings: Mapping[str, Any]) -> float:
    """What a loss is multiplied by; 1 where nothing is said."""
    return float(settings.get("weight", 1.0))


def adversaries(stage: StageConfig) -> list[str]:
    """The adversaries that train beside the stage's parts, by the losses that weigh them."""
    wanted = {"adversarial_tokens": "token_adversary", "adversarial_answers": "answer_adversary"}
    given = stage.losses
    return [part for loss, part in wanted.items() if loss in given and weight(given[loss])]


def language(step: Step, *, emphasis: float = 1.0) -> Tensor:
    """Language loss of each row's answer (the chosen one of a pair), (B,).

    ``emphasis``: weight of words that carry a class or fact.
    """
    batch = step.batch
    first = batch.owner < batch.rows
    weight = torch.where(batch.emphasis, emphasis, 1.0)[first]
    logps = step.statistics[0][first]
    return lm.language(logps, batch.owner[first], batch.rows, weight=weight)


def facts(step: Step) -> Tensor:
    """Cross-entropy of the free attributes, read from the interface's tokens, (B,)."""
    logits = step.model.facts(step.tokens.values)
    return step.by_picture(attributes.cross_entropy(logits, step.picture_labels()))


def reader(step: Step) -> Tensor:
    """Cross-entropy of the attribute reader on the tower's features, (B,)."""
    logits = step.model.reader(step.features)
    return step.by_picture(attributes.cross_entropy(logits, step.picture_labels()))


def rate(step: Step, *, begin: float = 0.3, rise: float = 0.3) -> Tensor:
    """Bits that a row's pictures cost by their codes' entropy, (B,): spare bits fall silent.

    Its weight rises from 0 over a share ``rise`` of the steps, once a share ``begin`` is done: a
    code must tell the facts before it is made to tell no more. ValueError for open tokens.
    """
    if not isinstance(step.model.interface, Codes):
        raise ValueError(
            "the loss rate needs model.interface.kind=private: open tokens have no bits"
        )
    scale = min(1.0, max(0.0, (step.progress - begin) / rise))
    bits = step.tokens.values.flatten(1) + 0.5  # (P, M)
    count = processes.mean(torch.tensor(float(len(bits)), device=bits.device))
    share = processes.mean(bits.float().sum(0)) / count  # of all processes' pictures
    return step.by_picture(cost.rate(bits, share)) * scale


def adversarial_tokens(step: Step, *, strength: float = 1.0, ramp: bool = True) -> Tensor:
    """Adversaries on the picture's tokens, all sensitive attributes, behind reversal, (B,)."""
    reversed_ = attributes.reverse(step.tokens.values, _strength(step, strength, ramp))
    return step.by_picture(_adversaries(step.model.token_adversary(reversed_), step))


def adversarial_answers(step: Step, *, strength: float = 1.0, ramp: bool = True) -> Tensor:
    """Adversaries on the answer's mean state, attributes that the row keeps to itself, (B,)."""
    batch = step.batch
    first = batch.owner < batch.rows
    states, owner = step.hidden[first], batch.owner[first]
    total = states.new_zeros(batch.rows, states.shape[-1]).index_add(0, owner, states)
    count = lm.sum_by(torch.ones_like(owner, dtype=states.dtype), owner, batch.rows)
    mean = total / count.clamp(min=1)[:, None]
    reversed_ = attributes.reverse(mean[:, None], _strength(step, strength, ramp))
    logits = step.model.answer_adversary(reversed_)
    each = [
        attributes.cross_entropy(member, batch.labels, mask=batch.unshared)
        for member in logits.values()
    ]
    return torch.stack(each).mean(0)


def _adversaries(logits: dict[str, dict[str, Tensor]], step: Step) -> Tensor:
    labels = step.picture_labels()
    each = [attributes.cross_entropy(member, labels) for member in logits.values()]
    return torch.stack(each).mean(0)


def _strength(step: Step, strength: float, ramp: bool) -> float:
    return strength * (attributes.ramp(int(step.progress * 1000), 1000) if ramp else 1.0)


def prefer(
    step: Step,
    *,
    kind: str = "sigmoid",
    beta: float = 0.2,
    margin: float = 1.0,
    penalty: float = 1.0,
    flip: float = 0.0,
) -> Tensor:
    """Preference loss of each pair, (B,): ``kind`` is sigmoid, ipo, hinge or robust.

    The sigmoid's offset is ``margin`` times the pair's reward gap, with reward =
    personalization - ``penalty`` · leakage.
    """
    chosen, rejected = step.logps.chunk(2)
    ref_chosen, ref_rejected = step.references.chunk(2)
    gap = preference.logp_gap(chosen, rejected, ref_chosen, ref_rejected)
    if kind == "sigmoid":
        r = preference.reward(
            step.batch.scores[..., 0], step.batch.scores[..., 1], penalty=penalty
        )  # (B, 2)
        return preference.sigmoid(gap, beta=beta, margin=margin * (r[:, 0] - r[:, 1]))
    if kind == "ipo":
        return preference.ipo(gap, beta=beta)
    if kind == "hinge":
        return preference.hinge(gap, beta=beta)
    if kind == "robust":
        return preference.robust(gap, beta=beta, flip=flip)
    raise ValueError(f"kind={kind!r}: choose sigmoid, ipo, hinge or robust")


def leak(step: Step) -> Tensor:
    """Unlikelihood of words of attributes that the row keeps to itself, both answers, (B,)."""
    batch = step.batch
    row = batch.owner % batch.rows
    return leakage.unlikelihood(step.statistics[1], batch.unshared[row], row, batch.rows)
