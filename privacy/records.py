"""Which sum each released step was of, so that noise never meets two different sums.

A step that is replayed after a crash is free where its sum is the same to the last bit: then the
same noise gives the same release. Where it is another, the step takes a fresh attempt: other noise,
other units, and one more charge. The records are as private as the sums; they lie in ``private/``.
"""

import json
import os
from pathlib import Path

from lineage.errors import TactError


class Records:
    """The attempts of one stage, on disk before their noise is drawn."""

    def __init__(self, private: Path, stage: str) -> None:
        self.path = private / f"steps-{stage}.jsonl"
        self._known: dict[tuple[int, int], str] = {}
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            try:
                step, attempt, digest = json.loads(line)
            except ValueError:
                continue  # cut off as it was written: nothing had been released
            self._known[step, attempt] = digest

    @property
    def charged(self) -> int:
        """Attempts of all steps: what the ledger must have charged at least."""
        return len(self._known)

    def admit(self, step: int, attempt: int, digest: str) -> bool:
        """Whether noise may be drawn for that attempt: it is new, or its sum is the same."""
        known = self._known.get((step, attempt))
        if known is not None:
            return known == digest
        new = not self.path.exists()
        with self.path.open("a") as file:
            if new:
                os.chmod(self.path, 0o600)
            file.write("\n" * (not new) + json.dumps([step, attempt, digest]))
            file.flush()
            os.fsync(file.fileno())
        self._known[step, attempt] = digest
        return True

    def forget(self) -> None:
        """Remove them: the stage is done."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise TactError(f"{self.path.name} can't be removed: {error}") from error
