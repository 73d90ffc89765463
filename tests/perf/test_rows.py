"""What ``perf rows`` reads off a process; one killed for real goes on to the same result."""

import numpy as np
import pytest

from data.preparing import CHUNK_ROWS
from perf.rows import Look, measure, memory


def looks(*, leak: float, peak: float = 0.0) -> list[Look]:
    """A process that takes ``leak`` MiB a row in the second half, with a peak in the first."""
    done = [1000 * i for i in range(101)]
    grown = [leak * max(0, n - 50_000) + peak * (n == 20_000) for n in done]
    return [Look(n / 1000, n, 300 + g, 200 + g / 2) for n, g in zip(done, grown, strict=True)]


def test_memory_is_read_above_the_start_and_its_slope_over_the_second_half() -> None:
    flat, rises = (
        memory(looks(leak=0, peak=70), rows=100_000),
        memory(looks(leak=0.01), rows=100_000),
    )
    assert flat["start_mib"] == 300 and flat["rss_mib"]["most_above_start"] == 70
    assert np.isclose(flat["rss_mib"]["slope_per_100_000_rows"], 0, atol=1e-6)
    assert np.isclose(rises["rss_mib"]["slope_per_100_000_rows"], 1000)
    assert np.isclose(rises["anon_mib"]["slope_per_100_000_rows"], 500)


@pytest.mark.system
def test_rows_prepared_after_a_kill_are_those_of_an_undisturbed_process() -> None:
    rows = 12 * CHUNK_ROWS
    found = measure(rows=rows)
    assert found["resumed_equal"] and rows / 2 <= found["killed_at_rows"] < rows
    assert found["rss_mib"]["most_above_start"] < 500
