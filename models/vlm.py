"""One VLM for all stages: tower → interface → language model, with its reader and heads.

P pictures, B rows, T positions, N features a picture of size D, K tokens a picture, H width.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from models import attention, lora
from models.adversary import Adversaries
from models.heads import AttributeHeads
from models.interface import Codes, PictureTokens
from models.parts import Parts


class OpenInterface(nn.Module):
    """A pretrained model's own projector: features as they are, to the language model's width."""

    def __init__(self, projector: nn.Module, *, tokens: int, hidden_size: int) -> None:
        super().__init__()
        self.projector = projector
        self.tokens, self.width = tokens, hidden_size

    def forward(self, features: Tensor) -> PictureTokens:
        """Features (P, N, D) → projected tokens (P, K, H), which are what leaves the device."""
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
    ) -> None:
        super().__init__()
        self.parts = parts
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

    def embed(self, input_ids: Tensor, embeds: Tensor) -> Tensor:
        """Ids (B, T) and picture tokens (P, K, H) in reading order → (B, T, H).

        Raises ValueError where the image tokens in the text aren't as many as the pictures'.
        """
        text = self.language_model.get_input_embeddings()(input_ids)  # type: ignore[operator]
        places = input_ids == self.parts.encoder.image_token_id  # (B, T)
        if int(places.sum()) != embeds.shape[0] * embeds.shape[1]:
            raise ValueError(
                f"{int(places.sum())} image tokens in the text, "
                f"{embeds.shape[0]} pictures of {embeds.shape[1]} tokens"
            )
        filled: Tensor = text.masked_scatter(places[..., None], embeds.to(text.dtype))
        return filled

    def hidden(self, input_ids: Tensor, segments: Tensor, embeds: Tensor) -> Tensor:
        """The decoder's last hidden states (B, T, H) of rows right-padded by ``segments``."""
        inputs = self.embed(input_ids, embeds)
        pairs = attention.has_pairs(segments)
        out = self.language_model(
            inputs_embeds=inputs,
            attention_mask=attention.pair_mask(segments, inputs.dtype) if pairs else None,
            position_ids=attention.positions(segments),
            use_cache=False,
        )
        hidden: Tensor = out.last_hidden_state
        return hidden

    def named_parts(self) -> dict[str, list[tuple[str, nn.Parameter]]]:
        """Part → its parameters by their full name; the adapter's are ``lora``."""
        parts: dict[str, list[tuple[str, nn.Parameter]]] = {}
        for name, parameter in self.named_parameters():
            if any(unused in name for unused in self.parts.unused):
                continue
            part = name.split(".")[0]
            if lora.is_adapter(name):
                part = "lora"
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

    @contextmanager
    def adapter_off(self) -> Iterator[None]:
        """Within, the language model is the reference: no gradient, adapter off."""
        with torch.no_grad(), lora.off(self.language_model):
            yield
