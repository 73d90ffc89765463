"""The run's key: sampler and noise are functions of it and of (stage, step, attempt).

Who knows the key subtracts the noise. It comes from the operating system, lies in the run's
``private/`` for the owner alone, is written nowhere else, and is removed when the run ends.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

import numpy as np

from lineage import files
from lineage.errors import TactError

NAME = "dp.key"
BYTES = 32


class Key:
    """Random streams of one run; ``known`` where somebody else has the key (tests)."""

    def __init__(self, secret: bytes, *, known: bool) -> None:
        self._secret, self.known = secret, known

    def __repr__(self) -> str:
        return "Key(known)" if self.known else "Key(hidden)"

    def stream(self, purpose: str, stage: str, step: int, attempt: int) -> np.random.Generator:
        """A generator for one purpose at one step: others' numbers say nothing of its own."""
        words = "\x1f".join((purpose, stage, str(step), str(attempt))).encode()
        digest = hmac.new(self._secret, words, hashlib.sha256).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


def open_key(private: Path, *, fixed: str | None = None) -> Key:
    """The run's key, made at its first use. ``fixed`` is one that is known: no ε holds with it.

    TactError where the file is not whole.
    """
    if fixed is not None:
        return Key(hashlib.sha256(fixed.encode()).digest(), known=True)
    path = private / NAME
    if not path.exists():
        files.write_bytes(path, secrets.token_bytes(BYTES), mode=0o600)
    secret = path.read_bytes()
    if len(secret) != BYTES:
        raise TactError(f"{NAME}: it is not whole; the run's steps can't go on: begin another run")
    return Key(secret, known=False)


def forget(private: Path) -> None:
    """Remove the key: nobody subtracts the noise of a run that has ended."""
    (private / NAME).unlink(missing_ok=True)
