"""The door of ``perf``: what it measures of a small step, and what it says of bad words."""

from perf.cost import measure, peak
from perf.steps import KINDS, TRAINED, Size

SMALL = Size(width=32, layers=1, vocabulary=50, rows=4, positions=6, rank=2)


def test_every_kind_is_measured_beside_the_plain_step() -> None:
    found = measure(rounds=1, threads=1, size=SMALL, say=lambda _: None)
    for trained in TRAINED:
        assert set(found["figures"][trained]) == set(KINDS)
        plain = found["figures"][trained]["plain"]
        assert plain["time_ratio"] == plain["memory_ratio"] == 1.0


def test_memory_is_that_of_the_tensors() -> None:
    layers = 4 * 32 * 32 + 3 * 32 * 88 + 50 * 32
    held = 4 * (4 * layers + 50 * 32 + 3 * 32)  # weights, gradients, two moments; the words' frozen
    found = peak("plain", "linear", SMALL)
    assert 1.5 * held > found > held
    assert peak("plain", "linear", SMALL) == found
