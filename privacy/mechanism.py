"""The release of a step: one draw of noise on the sum of clipped gradients.

(sum + C·σ·z) / expected, z ~ N(0, 1) (Abadi et al. 2016, algorithm 1, with the public expected
batch as denominator). σ is the noise multiplier, C the clipping norm; the sum of at most C a unit
changes by at most C when one unit comes or goes.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def release(
    sums: Mapping[str, Tensor],
    *,
    noise_multiplier: float,
    max_grad_norm: float,
    expected_units: float,
    stream: np.random.Generator,
) -> dict[str, Tensor]:
    """The noisy mean gradient of each parameter, float32; noise is drawn in order of names.

    ValueError unless all three numbers are above 0.
    """
    if min(noise_multiplier, max_grad_norm, expected_units) <= 0:
        raise ValueError("noise_multiplier, max_grad_norm and expected_units must be above 0")
    released = {}
    for name, total in sorted(sums.items()):
        noise = stream.standard_normal(tuple(total.shape))
        drawn = torch.from_numpy(np.asarray(noise)).to(total.device, torch.float32)
        released[name] = (total + noise_multiplier * max_grad_norm * drawn) / expected_units
    return released
