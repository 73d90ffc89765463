"""``python -m train --multirun``: Hydra's own sweep, one run after the other in this process.

A launcher or sweeper of the user's own, such as ``hydra/launcher=joblib``, is Hydra's as well.
``python -m slurm sweep`` is the one that outlives its shell and goes on where it stopped.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig

from conf import compose
from lineage.door import told
from lineage.errors import TactError

FLAG = "--multirun"
LOGGING = ("hydra/job_logging=none", "hydra/hydra_logging=none")


def multirun(words: Sequence[str]) -> dict[str, Any]:
    """Run each point that ``words`` make; ends at the first that fails, with its status."""
    done: list[dict[str, Any]] = []

    def point(_: Any) -> None:
        done.append(_executed())

    compose.register()
    with tempfile.TemporaryDirectory() as folder:
        own = [f"hydra.sweep.dir={folder}", "hydra.sweep.subdir=.", *LOGGING]
        rest = [word for word in words if word != FLAG]
        given = {word.partition("=")[0] for word in rest}
        more = [word for word in own if word.partition("=")[0] not in given]
        with _argv(["train", FLAG, *rest, *more]):
            start = hydra.main(
                version_base="1.3", config_path=str(compose.ROOT), config_name="config"
            )
            start(point)()
    return {"runs": done}


def _executed() -> dict[str, Any]:
    """One point, composed from its words as any other run's config is."""
    from train.run import execute

    given = HydraConfig.get().overrides
    words = [*given.task, *(w for w in given.hydra if w.startswith("hydra.searchpath="))]
    try:
        return execute(compose.load(words))
    except Exception as error:
        said = told(error)
        if said is None:
            raise
        print(f"error: {' '.join(given.task)}: {said}", file=sys.stderr)
        raise SystemExit(error.status if isinstance(error, TactError) else 2) from None


@contextmanager
def _argv(words: list[str]) -> Iterator[None]:
    """Within, the command line that Hydra reads."""
    before, sys.argv = sys.argv, words
    try:
        yield
    finally:
        sys.argv = before
