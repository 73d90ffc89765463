"""Fresh attackers: classifiers fitted on other people's pictures, that the model never met.

Logistic regression and boosted trees are scikit-learn's; the two networks read all attributes at
once, each with a head and the weights of its own best epoch. None of them knows the training's
adversaries. A label of -1 is unknown and counts nothing.

n rows, K tokens, w numbers a token, C classes.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from evaluation.scores import Floats, Ints

MANY = 500  # rows from which trees hold some back to stop early
WIDE = 256  # columns past which trees see principal components
COMPONENTS = 64
WIDTH = 128  # of the MLP
ATTENDING = 64  # width of the attention
BATCH = (32, 256)  # at least and at most; a sixteenth of the rows between
EPOCHS = 30
PATIENCE = 4  # epochs without a better held-back loss


Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Read:
    """What an attacker gets of n pictures: by view, (n, columns), and ``tokens`` (n, K, w)."""

    views: Mapping[str, NDArray[Any]]

    def rows(self, which: Ints | Bools) -> "Read":
        """Some of the rows."""
        return Read({name: values[which] for name, values in self.views.items()})


Labels = Mapping[str, Ints]  # attribute → class of each row
Guess = dict[str, Floats]  # attribute → (n, C)
Fit = Callable[[Read, Labels, Read, Labels, Mapping[str, int], int], Callable[[Read], Guess]]


@dataclass(frozen=True)
class Attacker:
    """A kind of classifier and the view of the tokens that it reads."""

    name: str
    view: str
    fit: Fit


def attackers(views: Sequence[str]) -> list[Attacker]:
    """The attackers that these views allow."""
    made = []
    for view in ("bits", "one-hot", "numbers"):
        if view in views:
            made.append(Attacker(f"logistic regression, {view}", view, separate(_logistic, view)))
            made.append(Attacker(f"MLP, {view}", view, _network(_mlp, view)))
            if view != "one-hot":
                made.append(Attacker(f"boosted trees, {view}", view, separate(_trees, view)))
    made.append(Attacker("attention over tokens", "tokens", _network(_attention, "tokens")))
    return made


def separate(make: Callable[[Any, Ints, int], Any], view: str) -> Fit:
    """One scikit-learn classifier an attribute, made by ``make(x, y, seed)``."""

    def fit(
        own: Read, labels: Labels, held: Read, _: Labels, classes: Mapping[str, int], seed: int
    ) -> Callable[[Read], Guess]:
        del held
        columns = own.views[view]
        known = {name: labels[name] >= 0 for name in classes}
        fitted = {}
        for name, some in known.items():
            x, y = columns[some], labels[name][some]
            with warnings.catch_warnings():  # what has not converged is regularised the more
                warnings.simplefilter("ignore", ConvergenceWarning)
                fitted[name] = make(x, y, seed).fit(x, y)

        def guess(read: Read) -> Guess:
            found: Guess = {}
            for name, model in fitted.items():
                found[name] = np.zeros((len(read.views[view]), classes[name]))
                found[name][:, model.classes_] = model.predict_proba(read.views[view])
            return found

        return guess

    return fit


def _logistic(x: Floats, y: Ints, seed: int) -> Any:
    del x, y
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, max_iter=200, tol=1e-3, random_state=seed)
    )


def _trees(x: Floats, y: Ints, seed: int) -> Any:
    counts = np.bincount(y)
    enough = len(y) >= MANY and counts[counts > 0].min() >= MANY // 50
    trees = HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.1,
        max_leaf_nodes=15,
        early_stopping=bool(enough),
        random_state=seed,
    )
    rows, columns = x.shape
    if columns <= WIDE:
        return trees
    few = min(COMPONENTS, rows // 4)
    return make_pipeline(StandardScaler(), PCA(few, random_state=seed), trees)


def _network(make: Callable[[tuple[int, ...], Mapping[str, int]], nn.Module], view: str) -> Fit:
    """A small network with a head an attribute, on standardised columns."""

    def fit(
        own: Read, labels: Labels, held: Read, held_labels: Labels, classes: Mapping[str, int],
        seed: int,
    ) -> Callable[[Read], Guess]:  # fmt: skip
        x = torch.from_numpy(own.views[view]).float()
        mean, deviation = x.mean(0), x.std(0).clamp(min=1e-6)

        def scaled(read: Read) -> Tensor:
            return (torch.from_numpy(read.views[view]).float() - mean) / deviation

        return trained(
            lambda: make(tuple(x.shape[1:]), classes), scaled, own, labels, held, held_labels,
            seed=seed,
        )  # fmt: skip

    return fit


def trained(
    make: Callable[[], nn.Module],
    inputs: Callable[[Read], Tensor],
    own: Read,
    labels: Labels,
    held: Read,
    held_labels: Labels,
    *,
    seed: int,
) -> Callable[[Read], Guess]:
    """Fit a network of ``Heads`` on ``inputs(own)``, stopped by the loss on people held back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make()
        wanted = {name: labels[name] for name in net.heads}  # type: ignore[union-attr]
        held_wanted = {name: held_labels[name] for name in wanted}
        best = _train(net, inputs(own), _tensors(wanted), inputs(held), _tensors(held_wanted))

    def guess(read: Read) -> Guess:
        found: Guess = {}
        for name, weights in best.items():
            net.load_state_dict(weights)
            with torch.no_grad():
                found[name] = torch.softmax(net(inputs(read))[name], 1).double().numpy()
        return found

    return guess


def _tensors(labels: Labels) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in labels.items()}


def _train(
    net: nn.Module, x: Tensor, y: Mapping[str, Tensor], held: Tensor, held_y: Mapping[str, Tensor]
) -> dict[str, dict[str, Tensor]]:
    """Fit all attributes together; for each one the weights that were best on ``held``."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    best = dict.fromkeys(y, float("inf"))
    kept: dict[str, dict[str, Tensor]] = {}
    waited, batch = 0, min(max(len(x) // 16, BATCH[0]), BATCH[1])
    for _ in range(EPOCHS):
        net.train()
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            losses = _losses(net(x[rows]), {k: v[rows] for k, v in y.items()})
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        net.eval()
        with torch.no_grad():
            now = {k: float(v) for k, v in _losses(net(held), held_y).items()}
        better = [name for name in y if now[name] < best[name] - 1e-4]
        for name in better:
            best[name] = now[name]
            kept[name] = {k: v.clone() for k, v in net.state_dict().items()}
        waited = 0 if better else waited + 1
        if waited == PATIENCE:
            break
    return kept


def _losses(logits: Mapping[str, Tensor], y: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: F.cross_entropy(logits[name], y[name], ignore_index=-1) for name in logits}


class Heads(nn.Module):
    """A trunk and a linear head an attribute: (n, …) → {attribute: (n, C)}."""

    def __init__(self, trunk: nn.Module, width: int, classes: Mapping[str, int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleDict({k: nn.Linear(width, c) for k, c in classes.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        hidden = self.trunk(x)
        return {name: head(hidden) for name, head in self.heads.items()}


class Attention(nn.Module):
    """Tokens (n, K, w) with their places, attended to by each other, pooled: (n, ATTENDING)."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width, ATTENDING)
        self.place = nn.Parameter(torch.randn(tokens, ATTENDING) * 0.02)
        self.layer = nn.TransformerEncoderLayer(
            ATTENDING, 4, 2 * ATTENDING, dropout=0.1, batch_first=True, norm_first=True
        )
        self.pool = nn.Linear(ATTENDING, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layer(self.enter(x) + self.place)
        pooled: Tensor = (torch.softmax(self.pool(hidden), 1) * hidden).sum(1)
        return pooled


def _mlp(shape: tuple[int, ...], classes: Mapping[str, int]) -> nn.Module:
    trunk = nn.Sequential(
        nn.Linear(shape[0], WIDTH), nn.GELU(), nn.Dropout(0.2), nn.Linear(WIDTH, WIDTH), nn.GELU()
    )
    return Heads(trunk, WIDTH, classes)


def _attention(shape: tuple[int, ...], classes: Mapping[str, int]) -> nn.Module:
    return Heads(Attention(shape[0], shape[1]), ATTENDING, classes)
