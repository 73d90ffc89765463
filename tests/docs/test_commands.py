"""Every command of the pages runs, as it stands there, in a copy of the checkout.

The copy's ``demo`` is a small one, so that nothing in a command needs rewriting.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pages
import pytest
import yaml
from cluster import Cluster
from pages import Page

from lineage.place import CHECKOUT
from lineage.run import RunFolder

pytestmark = pytest.mark.system
NEEDS = {
    "docs/cluster.md": ["README.md"],
    "docs/export.md": ["README.md"],  # its runs
    "docs/on_policy.md": ["README.md"],  # its runs
    "docs/own_model.md": ["docs/own_data.md"],  # its pictures
    "docs/reading_the_report.md": ["README.md"],  # its runs
}
STAGES = ("base_tower", "align", "base_language", "instruct", "prefer")
LEFT = {"docs/cluster.md": ["night", "both", "wide"]}  # runs, some of them jobs, to their end
SMALL: dict[str, Any] = {
    "data": {
        "source": {"people": 110, "pictures_per_person": 2},
        "people": {"public": 40, "private": 20, "validation": 6, "attack": 22, "test": 22},
    },
    "stage": {
        name: {"steps": 10, "rows": {"count": 120}, "batch_size_rows": 16} for name in STAGES
    },
    "trainer": {"progress": False, "threads": 1, "validation_rows": 8},
    "report": {"people": 20, "flip_people": 4, "batch_size_rows": 64},
    "export": {"allow": ["leak_rate", "attacker_auc"]},
}


class Desk:
    """A copy of the checkout and a home, where pages are worked through, each once."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.cluster = cluster
        self.checkout, self.home, self.done = folder / "tact", folder / "home", set[str]()
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=CHECKOUT, capture_output=True, text=True, check=True)
        for name in names.stdout.splitlines():
            if (CHECKOUT / name).is_file():
                (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(CHECKOUT / name, self.checkout / name)
        self._shrink(self.checkout / "conf" / "experiment" / "demo.yaml")
        self._commit()

    def _shrink(self, experiment: Path) -> None:
        config = _laid_over(yaml.safe_load(experiment.read_text()), SMALL)
        experiment.write_text("# @package _global_\n" + yaml.safe_dump(config, sort_keys=False))

    def _commit(self) -> None:
        who = ["-c", "user.name=desk", "-c", "user.email=desk"]
        for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "desk"]):
            subprocess.run(["git", *words], cwd=self.checkout, check=True)

    def work_through(self, name: str) -> None:
        """Run a page's commands in order, those of the pages that it needs before."""
        for other in [*NEEDS.get(name, []), name]:
            if other not in self.done:
                self._run(Page(other))
                self.done.add(other)

    def _run(self, page: Page) -> None:
        page.write_files(self.home / "tact-mine")
        lines = [line for line in page.commands if line not in pages.NOT_RUN]
        base = dict(os.environ)
        if page.name == "docs/cluster.md":  # its nodes have one address
            base = {**self.cluster.environment, "MASTER_ADDR": "127.0.0.1"}
        environment = {
            **base,
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{base['PATH']}",
            "PYTHONPATH": str(self.checkout),
        }
        done = subprocess.run(
            ["bash", "-eux", "-c", "\n".join(lines)],
            cwd=self.checkout, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    made = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict):
            made[key] = _laid_over(below[key], above[key])
    return made


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"), cluster)


@pytest.mark.parametrize("name", pages.ALL)
def test_the_commands_of_a_page_run_in_order(desk: Desk, name: str) -> None:
    desk.work_through(name)
    for run in LEFT.get(name, []):
        made = RunFolder.existing(run, checkpoints=desk.checkout / "checkpoints")
        assert made.finished_stages()[-1].stage == "prefer", run
