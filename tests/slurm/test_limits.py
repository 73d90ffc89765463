"""Which partitions fit, and which jobs would never get on."""

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from conf.compose import ConfigError, load
from conf.schema import Config, SiteConfig
from lineage.errors import TactError
from slurm import limits, manifest, partitions
from slurm.partitions import Node, Partition
from train import pace
from train.pace import Pace

Words = Callable[..., list[str]]
SEEN = Pace("before", "2026-01-01", {"cpu": "some", "cores": 2}, 200, 0.0, 40, 30.0, 2.0)
GPU = Partition("gpu", "1-00:00:00", True, (Node(64, 250_000, 4), Node(8, 500_000, 0)))


@pytest.fixture
def config(short: Words, tmp_path: Path) -> Config:
    """A config for a cluster, with jobs of ten minutes and a cache of its own."""
    own = [f"cache={tmp_path / 'cache'}", "site=slurm", "site.time=10", "steps=[instruct,report]"]
    return load(short("run=x", *own))


@pytest.mark.parametrize(
    ("site", "said"),
    [
        (SiteConfig(time="24:00:00", cpus=64, gpus=4, memory="200G"), None),
        (SiteConfig(time="1-00:00:01"), "more than partition gpu allows"),
        (SiteConfig(cpus=65), "no node with 65 CPUs"),
        (SiteConfig(gpus=5), "no node with 2 CPUs, 5 GPUs"),
        (SiteConfig(gpus=1, memory="300G"), "no node with 2 CPUs, 307200 MiB, 1 GPUs"),
    ],
)
def test_a_partition_fits_where_one_of_its_nodes_does(site: SiteConfig, said: str | None) -> None:
    found = GPU.refuses(site)
    assert found is None if said is None else said in str(found)
    assert "is down" in str(replace(GPU, up=False).refuses(site))


def test_memory_that_nobody_told_slurm_of_refuses_nothing() -> None:
    bare = Partition("p", "infinite", True, (Node(4, 1.0, 0),))
    assert bare.refuses(SiteConfig(memory="64G")) is None
    assert bare.refuses(SiteConfig(), least_mib=9000) is None
    known = replace(bare, nodes=(Node(4, 8000, 0),))
    assert "9000 MiB" in str(known.refuses(SiteConfig(), least_mib=9000))


@pytest.mark.parametrize(
    ("gres", "count"),
    [("(null)", 0), ("gpu:2", 2), ("gpu:a100:4(S:0-1),shard:8", 4), ("gpu:a100:4,gpu:v100:2", 6)],
)
def test_gpus_are_counted(gres: str, count: int) -> None:
    assert partitions.gpus(gres) == count


def test_memory_is_read_as_slurm_reads_it(short: Words) -> None:
    assert [partitions.mebibytes(m) for m in ("4000", "32G", "1t", "512MB")] == [
        4000, 32 * 1024, 2**20, 512,
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="site.memory=lots"):
        load(short("run=x", "site=slurm", "site.memory=lots"))


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (replace(SEEN, step_s=130.0), "one step takes 130 s.*raise site.signal_s"),
        (replace(SEEN, around_s=479.0), "481 s are needed.*leaves a job 480 s"),
    ],
)
def test_jobs_that_would_never_get_on_are_refused(config: Config, seen: Pace, said: str) -> None:
    assert list(limits.stuck(config)) == []
    pace.keep(config, "instruct", SEEN)
    assert list(limits.stuck(config)) == []
    pace.keep(config, "instruct", seen)
    with pytest.raises(TactError, match=said):
        raise TactError(*limits.stuck(config))


def test_a_long_stage_is_several_jobs(config: Config) -> None:
    assert limits.jobs(config.site, SEEN, 200) == 1
    assert limits.jobs(config.site, SEEN, 1000) == 5  # 450 s of steps in a job of 480


def test_a_budget_that_no_noise_meets_is_refused_before_anything_is_written(
    short: Words, tmp_path: Path
) -> None:
    dp = ["privacy.units=30", "privacy.expected_batch_units=6", "privacy.delta=1e-9",
          "stage.instruct.gradient_clip_norm=0", "+stage.instruct.rows.rows_per_subject=2",
          "steps=[instruct]"]  # fmt: skip
    words = [w for w in short(*dp, "privacy.epsilon=8,1e-6") if not w.startswith("checkpoints=")]
    made = manifest.made("s", words, limit=1)
    assert made.tightest.words == ("privacy.epsilon=1e-06",)
    limits.check_budget(made.config(made.points[0], checkpoints=tmp_path))
    with pytest.raises(TactError, match=r"privacy.epsilon=1e-06.*take fewer steps"):
        limits.check_budget(made.config(made.tightest, checkpoints=tmp_path))


def test_a_pace_is_kept_by_what_decides_it(short: Words, tmp_path: Path) -> None:
    words = short("run=x", f"cache={tmp_path / 'own'}", "steps=[instruct]")
    pace.keep(load(words), "instruct", SEEN)
    same = ["seed=3", "stage.instruct.steps=7", "stage.instruct.learning_rate=1", "run=y"]
    assert pace.known(load([*words, *same]), "instruct") == SEEN
    for word in ("stage.instruct.batch_size_rows=4", "trainer.threads=2", "model.lora.rank=2",
                 "privacy.epsilon=8 privacy.units=30 privacy.expected_batch_units=6 "
                 "privacy.delta=1e-3 stage.instruct.gradient_clip_norm=0 "
                 "+stage.instruct.rows.rows_per_subject=2"):  # fmt: skip
        assert pace.known(load([*words, *word.split()]), "instruct") is None, word
    files = list((tmp_path / "own" / "pace").iterdir())
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600]
