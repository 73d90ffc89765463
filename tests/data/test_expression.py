"""Expressions can be seen: a small network tells them on people that it was not trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from data.attributes import CLASSES
from data.portraits.table import portraits

TRAINED, HELD_OUT, EPOCHS, BATCH = 600, 100, 12, 32  # people, people


def tensors(table: Any) -> tuple[Tensor, Tensor]:
    """Pictures (N, 3, 96, 96) and the number of each one's expression (N,)."""
    seen = np.stack([np.asarray(picture) for picture in table["image"]])
    x = torch.from_numpy(seen).permute(0, 3, 1, 2).float() / 255 - 0.5
    names = [row["expression"] for row in table["attributes"]]
    return x, torch.tensor([CLASSES["expression"].index(name) for name in names])


def network() -> nn.Sequential:
    """Four convolutions, each halving the side: 96 px to 6."""
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 48), (48, 64)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after)]
        layers += [nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.LazyLinear(4))


def trained(x: Tensor, y: Tensor) -> nn.Sequential:
    torch.manual_seed(0)
    model = network()
    model(x[:2])
    steps = EPOCHS * (len(x) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    for step in range(steps):
        if step % (len(x) // BATCH) == 0:
            order = torch.randperm(len(x))
        rows = order[(step * BATCH) % (len(x) // BATCH * BATCH) :][:BATCH]
        seen = x[rows].flip(-1) if step % 2 else x[rows]
        loss = nn.functional.cross_entropy(model(seen), y[rows], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    return model.eval()


@pytest.mark.system
def test_a_small_network_tells_expressions_of_other_people(cache: Path) -> None:
    options = {"pictures_per_person": 2, "cache": cache, "progress": False}
    model = trained(*tensors(portraits(people=TRAINED, **options)))
    x, y = tensors(portraits(people=HELD_OUT, first_person=TRAINED, **options))
    with torch.no_grad():
        right = model(x).argmax(1) == y
    assert len(y) == 2 * HELD_OUT and float(right.float().mean()) >= 0.70
