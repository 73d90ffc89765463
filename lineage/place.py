"""Where a folder that a config or a command names lies."""

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
ELSEWHERE = "TACT_CHECKOUT"  # set for a copy of the checkout: a job's code


def place(folder: str) -> Path:
    """The folder's path; a relative one is the checkout's, wherever the command was given."""
    path = Path(folder).expanduser()
    return path if path.is_absolute() else Path(os.environ.get(ELSEWHERE, CHECKOUT)) / path
