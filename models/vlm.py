"""One VLM for all stages: tower → interface → language model, with its reader and heads.

P pictures, B rows, T positions, N features a picture of size D, K tokens a picture, H width.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from models import attention, lora
from models.adversary import Adversaries
from models.heads import AttributeHeads
from models.interface import Codes, PictureTokens
from models.parts import Parts

T = TypeVar("T")


class OpenInterface(nn.Module):
    """A pretrained model's own projector: features as they are, to the language model's width."""

    def __init__(self, projector: nn.Module, *, tokens: int, width: int) -> None:
        super().__init__()
        self.projector = projector
        self.tokens, self.width = tokens, width

    def forward(self, features: Tensor) -> PictureTokens:
        """Features (P, N, D) → projected tokens (P, K, width), which are what leaves the device."""
        embeds = self.projector(features)
        return PictureTokens(values=embeds, embeds=embeds)


class VLM(nn.Module):
    """The parts under one roof, with the names that stages train by.

    ``tower``, ``interface``, ``language_model`` (decoder and head; an adapter in it is ``lora``),
    ``reader`` (all attributes, from tower features: what is shown to the user on the device),
    ``facts`` (free attributes, from interface tokens), ``token_adversary`` and
    ``answer_adversary`` (sensitive attributes; training only).
    """

    interface: Codes | OpenInterface

    def __init__(
        self,
        parts: Parts,
        *,
        interface: Codes | OpenInterface,
        sensitive: Mapping[str, Sequence[str]],
        free: Mapping[str, Sequence[str]],
        readable: Mapping[str, Sequence[str]],
        adversaries: Sequence[str],
        pairs: str = "one_sequence",
    ) -> None:
        super().__init__()
        self.parts, self.pairs = parts, pairs
        self.tower = parts.tower
        self.interface = interface
        self.language_model = parts.language_model
        self.head = parts.head
        token_shape = (interface.tokens, interface.width)
        self.reader = AttributeHeads(parts.feature_shape, readable, normalise=True)
        self.facts = AttributeHeads(token_shape, free, width=128)
        self.token_adversary = Adversaries(adversaries, token_shape, sensitive)
        answer_kinds = [kind for kind in adversaries if kind != "attention"]
        self.answer_adversary = Adversaries(answer_kinds, (1, parts.hidden_size), sensitive)

    def features(self, pixel_values: Tensor) -> Tensor:
        """Pixels (P, 3, h, w) → the tower's features (P, N, D)."""
        features: Tensor = self.tower(pixel_values)
        return features

    def tokens(self, features: Tensor) -> PictureTokens:
        """Features (P, N, D) → what the language model gets of each picture."""
        result: PictureTokens = self.interface(features)
        return result

    def inputs(self, input_ids: Tensor, segments: Tensor, embeds: Tensor) -> dict[str, Any]:
        """What the language model is given: embeddings, mask (None if it needs none), positions.

        ``input_ids`` (B, T), picture tokens ``embeds`` (P, K, W) in reading order; what they hold
        past H goes to deeper layers. Raises ValueError where the image tokens in the text aren't
        as many as the pictures'.
        """
        reading, size = self.parts.reading, self.parts.hidden_size
        places = input_ids == self.parts.encoder.image_token_id  # (B, T)
        flat = embeds.flatten(0, 1)  # (P · K, W)
        if int(places.sum()) != len(flat):
            raise ValueError(
                f"{int(places.sum())} image tokens in the text, "
                f"{embeds.shape[0]} pictures of {embeds.shape[1]} tokens"
            )
        blocks = reading.blocks(input_ids, segments)
        config: Any = self.language_model.config
        text = self.language_model.get_input_embeddings()(  # type: ignore[operator]
            input_ids.masked_fill(places, 0)  # the image token may lie past the vocabulary
        )
        mask = None
        if blocks or attention.has_pairs(segments) or not attention.causal_unaided(config):
            mask = attention.mask(config, segments, text.dtype, blocks=blocks)
        return {
            "inputs_embeds": text.masked_scatter(places[..., None], flat[:, :size].to(text.dtype)),
            "attention_mask": mask,
            "position_ids": reading.positions(input_ids, segments),
            **reading.deeper(places, flat[:, size:].to(text.dtype)),
        }

    def hidden(self, input_ids: Tensor, segments: Tensor, embeds: Tensor) -> Tensor:
        """The decoder's last hidden states (B, T, H) of rows right-padded by ``segments``.

        ValueError where pairs are to be one sequence and the language model can't read them so.
        """
        if attention.has_pairs(segments):
            if self.pairs == "two_rows":
                return self._hidden_apart(input_ids, segments, embeds)
            attention.one_sequence(self.language_model)
        out = self.language_model(**self.inputs(input_ids, segments, embeds), use_cache=False)
        hidden: Tensor = out.last_hidden_state
        return hidden

    def _hidden_apart(self, input_ids: Tensor, segments: Tensor, embeds: Tensor) -> Tensor:
        """The same, each pair read as two rows."""
        ids, apart, order = attention.two_rows(input_ids, segments)
        first, second = self.hidden(ids, apart, torch.cat([embeds, embeds])).chunk(2)
        back = order.argsort(dim=1)[..., None].expand_as(second)
        late = (segments == attention.SECOND)[..., None]
        return torch.where(late, second.gather(1, back), first)

    def named_parts(self) -> dict[str, list[tuple[str, nn.Parameter]]]:
        """Part → its parameters by their full name; the adapter's are ``lora``.

        What of the adapter never trains is ``lora_frozen``.
        """
        frozen = {id(parameter) for parameter in lora.frozen(self.language_model)}
        parts: dict[str, list[tuple[str, nn.Parameter]]] = {}
        for name, parameter in self.named_parameters():
            if any(unused in name for unused in self.parts.unused):
                continue
            part = name.split(".")[0]
            if lora.is_adapter(name):
                part = "lora_frozen" if id(parameter) in frozen else "lora"
            elif part == "head":
                part = "language_model"
            parts.setdefault(part, []).append((name, parameter))
        return parts

    def train_only(self, parts: Sequence[str]) -> dict[str, nn.Parameter]:
        """Let just these parts train; returns their parameters by name. ValueError if none."""
        by_part = self.named_parts()
        chosen: dict[str, nn.Parameter] = {}
        for part, parameters in by_part.items():
            for name, parameter in parameters:
                parameter.requires_grad_(part in parts)
                if part in parts:
                    chosen[name] = parameter
        missing = [part for part in parts if part not in by_part]
        if missing:
            raise ValueError(f"the model has no part {missing}; it has {sorted(by_part)}")
        return chosen

    def within(self, work: Callable[[], T]) -> T:
        """What ``work`` returns; all that reads weights goes through here or a layer's forward.

        So a strategy that shards them knows when they are wanted.
        """
        return work()

    @contextmanager
    def adapter_off(self) -> Iterator[None]:
        """Within, the language model is the reference: no gradient, adapter off."""
        with torch.no_grad(), lora.off(self.language_model):
            yield
