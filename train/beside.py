"""``python -m train.beside``: a process that a run's first one starts, and tells what to train."""

import os
import sys
import threading
from pathlib import Path
from typing import Any

from conf import compose
from conf.schema import Config
from data import prepared
from data.policy import policy
from lineage import door
from lineage.errors import TactError
from lineage.place import place
from lineage.run import RunFolder
from train import processes
from train.fit import fit
from train.stopping import Interrupted


def follow(config: Config, store: Any = None) -> None:
    """Train the stages that the first process tells, until it tells no more."""
    processes.join(config.trainer, store)
    try:
        while (name := processes.hear()) is not None:
            run = RunFolder.existing(config.run, checkpoints=place(config.checkpoints))
            fit(config, name, run, prepared.prepared(config), policy(config.policy))
    finally:
        processes.leave()


def main(words: list[str]) -> int:
    """Follow the run whose first process started this one; its exit status."""
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    given = door.options(words, ["run", "checkpoints"])
    run = RunFolder.existing(given["run"], checkpoints=Path(given["checkpoints"]))
    port = int(os.environ["MASTER_PORT"])
    store = processes.meeting(port)
    store.add("there", 1)
    try:
        follow(compose.from_yaml(run.path / "config.yaml"), store)
    except (processes.Elsewhere, Interrupted):
        return 2  # the first one says it
    except TactError as error:
        print(f"process {os.environ['RANK']}: {error}", file=sys.stderr)
        return 2
    return 0


def _end_with_the_first() -> None:
    while os.read(0, 1):  # it says nothing, and its end closes this
        pass
    os._exit(2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
