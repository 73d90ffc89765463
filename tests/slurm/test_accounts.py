"""Accounts on a Slurm that keeps them: what sacctmgr says, and who is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import PACKAGES, Accounting
from cluster import Cluster

from conf.compose import load
from lineage.errors import TactError
from lineage.run import RunFolder
from slurm import client, submit
from slurm.plan import planned

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("slurm")]


@pytest.fixture
def accounting(on_cluster: Cluster, tmp_path: Path) -> Iterator[Accounting]:
    """Another cluster beside the session's, of the same packages and some more."""
    made = Accounting(tmp_path / "cluster")
    made.root.parent.mkdir()
    made.root.symlink_to(on_cluster.root)
    made.install(PACKAGES)
    try:
        made.start()
        with made.on_path():
            yield made
    finally:
        made.stop()


def test_an_account_that_isnt_yours_is_refused_and_leaves_nothing_behind(
    accounting: Accounting, private: list[str], tmp_path: Path
) -> None:
    accounting.add_account("lab")
    mine = client.accounts()
    assert mine is not None and "lab" in mine and "none" not in mine
    words = [*private, "site=slurm", "site.time=30", "site.cpus=1", "site.options=['--hold']",
             "run=x", f"checkpoints={tmp_path}", "json=true"]  # fmt: skip
    other = load([*words, "site.account=none"])
    said = "site.account=none: it isn't yours; you have: .*lab"
    with pytest.raises(TactError, match=said):
        submit.submit(other, dirty=True)
    assert not client.queue() and not (tmp_path / "x").exists()
    assert any("it isn't yours" in each for each in planned(other)["refused"])
    submit.submit(load([*words, "site.account=lab"]), dirty=True)
    jobs = client.queue()
    assert len(jobs) == 2
    asked = accounting.run("squeue", "--noheader", "--format=%a").split()
    assert asked == ["lab", "lab"]
    submit.cancel(RunFolder.existing("x", checkpoints=tmp_path))
