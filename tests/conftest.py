"""Small things that tests share: rendered people, models, a short experiment."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from filelock import FileLock

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parents[1]
SHORT = [
    "experiment=demo",
    "data.source.people=150",
    "data.source.pictures_per_person=2",
    "data.people={public: 60, private: 30, validation: 10, attack: 25, test: 25}",
    "stage.base_tower.rows.count=200",
    "stage.align.rows.count=200",
    "stage.base_tower.batch_size_rows=16",
    "stage.align.batch_size_rows=32",
    "stage.base_language.batch_size_rows=8",
    "stage.instruct.batch_size_rows=8",
    "stage.prefer.batch_size_rows=8",
    "stage.base_language.rows.count=200",
    "stage.instruct.rows.count=200",
    "stage.prefer.rows.count=200",
    "report.people=20",
    "export.allow=[leak_rate,attacker_auc]",
    "trainer.progress=false",
    "trainer.threads=1",
    "trainer.validation_rows=8",
    "trainer.checkpoint_every_steps=5",
    *[f"stage.{s}.steps=20" for s in
      ("base_tower", "align", "base_language", "instruct", "prefer")],
]  # fmt: skip


@pytest.fixture(scope="session")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pytest-xdist's workers share, for what is made once by whoever needs it."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def cache(together: Path) -> Path:
    """Where rendered people are kept for the whole session."""
    return together / "cache"


@pytest.fixture(scope="session")
def pictures(cache: Path, together: Path) -> Any:
    """A pictures table of 150 people, two pictures each: that of the short experiment."""
    from data.portraits.table import portraits

    with FileLock(together / "pictures.lock"):
        return portraits(people=150, pictures_per_person=2, cache=cache, progress=False)


@pytest.fixture(scope="session")
def healthcare() -> Any:
    """The policy that the demo uses."""
    from conf.compose import load
    from data.policy import policy

    return policy(load(["experiment=demo"]).policy)


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Any]:
    """Makes the tiny VLM, open or private."""

    def make(kind: str = "private", *, policy: Any, bits: int = 16, **options: Any) -> Any:
        from conf.compose import load
        from models import configured

        words = ["experiment=demo", f"model.interface.kind={kind}", f"model.interface.bits={bits}"]
        words += [f"{k}={v}" for k, v in options.items()]
        return configured.model(load(words).model, policy, seed=0)

    return make


@pytest.fixture(scope="session")
def shortest(cache: Path) -> list[str]:
    """The words of a short experiment, less where its run folders lie."""
    return [*SHORT, f"cache={cache}"]


@pytest.fixture(scope="session")
def short_in(cache: Path) -> Callable[..., list[str]]:
    """The words of a short experiment whose run folders lie in a folder."""

    def words(folder: Path, *more: str) -> list[str]:
        return [*SHORT, f"cache={cache}", f"checkpoints={folder}", *more]

    return words


@pytest.fixture
def short(short_in: Callable[..., list[str]], tmp_path: Path) -> Callable[..., list[str]]:
    """The words of a short experiment whose run folders lie in the test's own folder."""
    return partial(short_in, tmp_path)


@pytest.fixture(scope="session")
def finished(cache: Path, pictures: Any, together: Path) -> Callable[[str], Path]:
    """The run folder of a short experiment with all its steps, ``private`` or ``open``."""
    folder = together / "finished"

    def run(kind: str) -> Path:
        with FileLock(together / f"{kind}.lock"):
            make(kind)
        return folder / kind

    def make(kind: str) -> None:
        if not (folder / kind / "export").exists():
            words = [*SHORT, f"cache={cache}", f"checkpoints={folder}", f"run={kind}"]
            words += [f"model.interface.kind={kind}"]
            if kind == "open":
                words += ["stage.align.losses.adversarial_tokens.weight=0.1"]
            command = [sys.executable, "-m", "train", *words]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            subprocess.run(command, cwd=ROOT, env=environment, check=True)

    return run


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real Slurm of two nodes, for the whole session; it fetches Debian's packages."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.install()
    try:
        made.start()
        yield made
    finally:
        made.stop()
