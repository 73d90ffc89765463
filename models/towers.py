"""Vision towers as one thing: pixels of P pictures → features (P, N, D).

P pictures, C crops a picture, N positions a picture of size D.
"""

from typing import Any

import torch
from torch import Tensor, nn


class PictureTower(nn.Module):
    """A tower on whole pictures (P, 3, h, w) or on their crops (P, C, 3, h, w).

    ``layer`` is the hidden state that is read, None the last one as the tower gives it out;
    strategy ``default`` leaves its first position (the class token) out.
    """

    def __init__(self, tower: nn.Module, *, layer: int | None, strategy: str = "full") -> None:
        super().__init__()
        self.tower, self.layer, self.strategy = tower, layer, strategy

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Pixels → (P, N, D), crops one after the other."""
        flat = pixel_values.flatten(0, -4)
        out = self.tower(pixel_values=flat, output_hidden_states=self.layer is not None)
        features: Tensor
        features = out.last_hidden_state if self.layer is None else out.hidden_states[self.layer]
        if self.strategy == "default":
            features = features[:, 1:]
        return features.reshape(len(pixel_values), -1, features.shape[-1])

    @property
    def vision_config(self) -> Any:
        """The tower's own config."""
        return self.tower.config

    def weights(self) -> dict[str, Tensor]:
        """Name in the tower's own class → tensor."""
        return self.tower.state_dict()

    def settings(self) -> dict[str, Any]:
        """How an exported tower is called (``export/tact_device.py``)."""
        return {"layer": self.layer, "strategy": self.strategy}

    def unused(self) -> tuple[str, ...]:
        """Parts of names of parameters that ``forward`` does not read."""
        names = ["tower.tower.head.", "mask_token"]
        if self.layer is None:
            return tuple(names)
        count = self.vision_config.num_hidden_layers
        read = self.layer if self.layer >= 0 else count + 1 + self.layer
        for layer in range(read, count):
            names += [f"encoder.layers.{layer}.", f"encoder.layer.{layer}."]
        return (*names, "post_layernorm", "tower.tower.layernorm.")


class PatchTower(nn.Module):
    """A tower on flattened patches (P, N, d) of pictures of one size, as Qwen-VL has.

    The features are the last hidden state, and beside it those after ``layers``. ``mergers`` are
    children of the tower that make tokens of features: they are the projector's, not the tower's.
    """

    def __init__(
        self,
        visual: nn.Module,
        *,
        grid: tuple[int, int],
        mergers: tuple[str, ...],
        layers: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.grid, self.mergers, self.layers = grid, mergers, layers
        self._visual = [visual]  # in a list: registered by its parts, without the mergers
        for name, child in visual.named_children():
            if name not in mergers:
                self.add_module(name, child)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Patches (P, N, d) → (P, N, D · (1 + layers))."""
        device = "cpu" if pixel_values.is_meta else pixel_values.device  # on meta it has no values
        grid = torch.tensor([[1, *self.grid]] * len(pixel_values), device=device)
        out = self._visual[0](
            pixel_values.flatten(0, 1), grid_thw=grid, output_hidden_states=bool(self.layers)
        )
        states = [out.last_hidden_state, *(out.hidden_states[i + 1] for i in self.layers)]
        features: Tensor = torch.cat(states, dim=-1).unflatten(0, (len(pixel_values), -1))
        return features

    @property
    def vision_config(self) -> Any:
        """The tower's own config."""
        return self._visual[0].config

    def weights(self) -> dict[str, Tensor]:
        """Name in the tower's own class → tensor, without the mergers."""
        return self.state_dict()

    def settings(self) -> dict[str, Any]:
        """How an exported tower is called (``export/tact_device.py``)."""
        mergers: list[str] = []
        for name in self.mergers:
            child = self._visual[0].get_submodule(name)
            if isinstance(child, nn.ModuleList):
                mergers += [f"{name}.{i}" for i in range(len(child))]
            else:
                mergers.append(name)
        return {"grid": self.grid, "mergers": mergers, "layers": self.layers}

    def unused(self) -> tuple[str, ...]:
        """Parts of names of parameters that ``forward`` does not read: none."""
        return ()
