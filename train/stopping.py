"""Signals that ask a run to stop: noted, and heeded where what is done is saved."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lineage.errors import TactError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Interrupted(TactError):
    """Stopped on a signal after saving; the same command goes on."""

    status = 75  # that of "try again" (EX_TEMPFAIL)


def interrupted(number: int, where: str) -> Interrupted:
    """The error that signal ``number`` ends with."""
    return Interrupted(
        f"stopped by {signal.Signals(number).name} {where}; "
        "the same command with run= goes on from there"
    )


@contextmanager
def handled(note: Callable[[int, FrameType | None], None]) -> Iterator[tuple[int, ...]]:
    """Within, ``note`` is called on each of SIGNALS; after, however it ends, they are as before.

    Yields those it is called on: none beside the main thread, where Python takes no handlers.
    """
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, note) for number in SIGNALS} if main else {}
    try:
        yield tuple(before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def noted() -> Iterator[Callable[[], int]]:
    """Within, a signal does nothing but be told: its number, 0 where none came."""
    caught = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal caught
        caught = number

    with handled(note):
        yield lambda: caught
