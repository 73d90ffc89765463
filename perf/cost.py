"""What per-unit clipping costs: each kind of step beside a plain one, in time and memory.

Times are taken in rounds of one step of each kind, so that what else the machine does meets all of
them alike; a ratio is the median over rounds of a kind's time to the plain step's of that round.
Processor time is the process's own; wall time also holds what it waited for others.
Memory is the most that tensors held at once, by torch's own record of each allocation, from the
empty process to the end of the second step.
"""

import gc
import os
import statistics
import time
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from perf.steps import KINDS, TRAINED, Size, build

MOST = {"lora": (1.05, 1.10), "linear": (1.30, None)}  # asked of ours: time, memory


def measure(
    *, rounds: int, threads: int, size: Size, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Every kind's figures by what trains."""
    torch.set_num_threads(threads)
    load = os.getloadavg()[0]
    figures = {}
    for trained in TRAINED:
        peaks = {kind: peak(kind, trained, size) for kind in KINDS}
        taken = times(trained, rounds, size, say)
        figures[trained] = {kind: _figures(kind, taken, peaks) for kind in KINDS}
    return {
        "size": vars(size), "threads": threads, "rounds": rounds,
        "machine": f"{os.cpu_count()} cores, torch {torch.__version__}",
        "load": [load, os.getloadavg()[0]], "figures": figures,
    }  # fmt: skip


def times(
    trained: str, rounds: int, size: Size, say: Callable[[str], None]
) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor time of each step, by kind."""
    steps = {kind: build(kind, trained, size) for kind in KINDS}
    taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for number in range(-1, rounds):
        for kind, step in steps.items():
            wall, own = time.perf_counter(), time.process_time()
            step.run()
            both = time.perf_counter() - wall, time.process_time() - own
            say(f"{trained} round {number} {kind}: {both[0]:.2f} s, processor {both[1]:.3f} s")
            if number >= 0:  # the first of each warms up
                taken[kind].append(both)
    return taken


def peak(kind: str, trained: str, size: Size) -> int:
    """Bytes of tensors at the most."""
    gc.collect()  # what an earlier one left must not be seen to go
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step = build(kind, trained, size)
        step.run()
        step.run()
    results: Any = seen.profiler.kineto_results  # type: ignore[union-attr]
    changes: list[tuple[int, int]]
    changes = [(e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]"]
    return max(accumulate(change for _, change in sorted(changes)))


def _figures(
    kind: str, taken: dict[str, list[tuple[float, float]]], peaks: dict[str, int]
) -> dict[str, float]:
    pairs = list(zip(taken[kind], taken["plain"], strict=True))
    return {
        "seconds": statistics.median(own for _, own in taken[kind]),
        "wall_ratio": statistics.median(mine[0] / plain[0] for mine, plain in pairs),
        "time_ratio": statistics.median(mine[1] / plain[1] for mine, plain in pairs),
        "least_ratio": min(own for _, own in taken[kind]) / min(own for _, own in taken["plain"]),
        "memory_mib": peaks[kind] / 2**20,
        "memory_ratio": peaks[kind] / peaks["plain"],
    }
