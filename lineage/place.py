"""Where a folder that a config or a command names lies."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def place(folder: str) -> Path:
    """The folder's path; a relative one is the checkout's, wherever the command was given."""
    path = Path(folder).expanduser()
    return path if path.is_absolute() else CHECKOUT / path
