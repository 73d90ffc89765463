"""The device half of a Tact model: a picture in, a few words of a stated number of bits out.

This one file travels with the export and needs torch and transformers only. ``encode`` gives the
ids of the words that the server half reads, ``words`` the same as text. ``read`` gives what the
reader makes of a picture, for its user to see and correct; it stays on the device.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel


class TactDeviceConfig(PretrainedConfig):
    """Sizes of the tower and the codes, and the classes that the reader knows."""

    model_type = "tact_device"

    def __init__(
        self,
        vision_config=None,
        tower=None,
        picture_shape=(3, 96, 96),
        positions=16,
        feature_size=128,
        bits=16,
        tokens=4,
        queries=4,
        value_width=64,
        sharpness=4.0,
        first_word_id=0,
        classes=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vision_config = vision_config or {}
        self.tower = tower or {"layer": -1, "strategy": "full"}
        self.picture_shape = list(picture_shape)
        self.positions, self.feature_size = positions, feature_size
        self.bits, self.tokens, self.queries = bits, tokens, queries
        self.value_width, self.sharpness = value_width, sharpness
        self.first_word_id = first_word_id
        self.classes = classes or {}


class TactDevice(PreTrainedModel):
    """Vision tower, codes and attribute reader."""

    config_class = TactDeviceConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        vision = dict(config.vision_config)
        self.tower = AutoModel.from_config(AutoConfig.for_model(vision.pop("model_type"), **vision))
        for name in config.tower.get("mergers", ()):  # the projector's, which stays behind
            self.tower.set_submodule(name, nn.Identity())
        size = config.feature_size
        self.query = nn.Parameter(torch.zeros(config.queries, size))
        self.place = nn.Parameter(torch.zeros(config.positions, size))
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, config.value_width)
        self.out = nn.Linear(config.queries * config.value_width, config.bits)
        flat = config.positions * size
        self.reader = nn.ModuleDict(
            {name: nn.Linear(flat, len(names)) for name, names in config.classes.items()}
        )
        self.post_init()

    def features(self, pixel_values: Tensor) -> Tensor:
        """Pixels of P pictures, as the image processor gives them → (P, N, D)."""
        pixels = pixel_values.reshape(-1, *self.config.picture_shape)
        call = self._of_patches if "grid" in self.config.tower else self._of_pictures
        return call(pixels, **self.config.tower)

    def _of_pictures(self, pixels: Tensor, layer=None, strategy="full") -> Tensor:
        flat = pixels.flatten(0, -4)  # crops one after the other
        out = self.tower(pixel_values=flat, output_hidden_states=layer is not None)
        features = out.last_hidden_state if layer is None else out.hidden_states[layer]
        features = features[:, 1:] if strategy == "default" else features
        return features.reshape(len(pixels), -1, features.shape[-1])

    def _of_patches(self, pixels: Tensor, grid, layers=(), mergers=()) -> Tensor:
        grids = torch.tensor([[1, *grid]] * len(pixels), device=pixels.device)
        flat = pixels.flatten(0, 1)
        out = self.tower(flat, grid_thw=grids, output_hidden_states=bool(layers))
        states = [out.last_hidden_state, *(out.hidden_states[i + 1] for i in layers)]
        return torch.cat(states, dim=-1).unflatten(0, (len(pixels), -1))

    @torch.no_grad()
    def encode(self, pixel_values: Tensor) -> Tensor:
        """Pixels of P pictures → ids of the words in the server's vocabulary, (P, K)."""
        features = self.features(pixel_values)
        placed = F.layer_norm(features, features.shape[-1:]) + self.place
        scale = self.config.feature_size**-0.5 * self.config.sharpness
        scores = self.query @ self.key(placed).transpose(1, 2) * scale
        pooled = torch.softmax(scores, dim=-1) @ self.value(placed)
        raised = (torch.tanh(self.out(F.gelu(pooled).flatten(1))) >= 0).long()  # (P, bits)
        width = self.config.bits // self.config.tokens
        values = (raised.unflatten(1, (-1, width)) * 2 ** torch.arange(width)).sum(-1)  # (P, K)
        first = self.config.first_word_id + torch.arange(self.config.tokens) * 2**width
        return values + first

    def words(self, pixel_values: Tensor) -> list[str]:
        """The same as text, one string a picture: ``<pic0_5><pic1_12>…``."""
        width = self.config.bits // self.config.tokens
        numbers = (self.encode(pixel_values) - self.config.first_word_id) % 2**width
        return ["".join(f"<pic{k}_{v}>" for k, v in enumerate(row)) for row in numbers.tolist()]

    @torch.no_grad()
    def read(self, pixel_values: Tensor) -> list[dict[str, dict[str, float]]]:
        """What the reader makes of each picture: attribute → class → probability."""
        features = self.features(pixel_values)
        flat = F.layer_norm(features, features.shape[-1:]).flatten(1)
        read = {name: torch.softmax(head(flat), -1).tolist() for name, head in self.reader.items()}
        classes = self.config.classes
        return [
            {name: dict(zip(classes[name], rows[i], strict=True)) for name, rows in read.items()}
            for i in range(len(features))
        ]
