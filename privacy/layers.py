"""Layers that mix rows, whether they train or not: with them no unit has a gradient of its own."""

from collections.abc import Collection

from torch import nn

from lineage.errors import TactError

MIXING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def check(model: nn.Module, *, without: Collection[str] = ()) -> None:
    """TactError that names a layer whose output for a row depends on the others in its batch.

    Frozen ones too: in training they take the batch's mean and variance, and keep them. Parts that
    ``without`` names are not called in training.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, MIXING) and name.split(".")[0] not in without:
            raise TactError(
                f"{name}: {type(layer).__name__} mixes the rows of a batch, even where it is "
                "frozen; take a model with layer or RMS norm, or privacy.epsilon=null"
            )
