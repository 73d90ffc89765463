"""What is handed in: the script's text, the code's copy, and what is refused before anything is."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.compose import ConfigError, load
from conf.schema import SiteConfig
from lineage.errors import TactError
from lineage.place import CHECKOUT
from lineage.run import RunFolder
from slurm import client, code, script
from slurm.submit import submit
from train.run import execute

Words = Callable[..., list[str]]


def made(site: SiteConfig, **more: Any) -> str:
    where = {"name": "x.1-align", "log": Path("/r/x y/100%.log"), "code": Path("/r/code")}
    return script.text(site, words=["job", "run=x", "step=1"], **{**where, **more})


def test_a_site_is_in_the_script() -> None:
    site = SiteConfig(
        name="mine", scheduler="slurm", partition="gpu", account="lab", time="4:00:00", cpus=8,
        memory="32G", gpus=1, options=["--qos=long"], signal_s=60, modules=["cuda/12"],
        environment={"NOTE": "it's $HOME"}, python="python3",
        wrap="apptainer exec --nv tact.sif {command}",
    )  # fmt: skip
    lines = made(site).splitlines()
    assert lines[0] == "#!/bin/bash"
    for option in (
        "job-name=x.1-align", "partition=gpu", "account=lab", "time=4:00:00", "cpus-per-task=8",
        "mem=32G", "gres=gpu:1", "qos=long", "signal=B:USR1@60", "requeue",
        'output="/r/x y/100%%.log"',
    ):  # fmt: skip
        assert f"#SBATCH --{option}" in lines
    assert "module load cuda/12" in lines
    assert "export NOTE='it'\"'\"'s $HOME'" in lines
    command = "apptainer exec --nv tact.sif python3 -m slurm job run=x step=1 & job=$!"
    assert command in lines


def test_the_script_is_one_that_bash_reads() -> None:
    done = subprocess.run(["bash", "-n"], input=made(SiteConfig()), text=True, check=False)
    assert done.returncode == 0


def test_a_dry_run_prints_what_would_be_and_writes_nothing(
    short: Words, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = short("run=dry", "site=slurm", "dry_run=true", "steps=[align,report,prefer]")
    scripts = submit(load(words))["scripts"]
    assert list(scripts) == ["1-align", "2-report", "3-prefer"]
    said = capsys.readouterr().out
    assert all(text in said for text in scripts.values())
    assert "# 2-report, once 1-align has ended well" in said
    assert list(tmp_path.iterdir()) == []


def test_without_slurm_it_is_one_clear_error(
    short: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TactError, match=r"site=local has no Slurm: give site=NAME"):
        submit(load(short("run=x")))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent) + os.pathsep + "/usr/bin")
    with pytest.raises(TactError, match="no Slurm on this machine"):
        submit(load(short("run=x", "site=slurm")), dirty=True)
    assert not (tmp_path / "x").exists()


def test_a_time_that_is_all_for_saving_is_refused(short: Words) -> None:
    with pytest.raises(TactError, match="leaves a job no time"):
        submit(load(short("run=x", "site=slurm", "site.time=4", "dry_run=true")))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("site.scheduler=pbs", "choose local or slurm"),
        ("site.wrap=apptainer exec x", "where the job's {command} goes"),
        ("site.gpus=-1", "at least 0"),
        ("+site.environment={a b: c}", "no name of a variable"),
        ("site.signal_s=0", "at least 1"),
        ("site.time=soon", "site.time=soon"),
        ("site.partitoin=x", "site.partition"),
    ],
)
def test_a_site_that_cannot_be_is_refused(short: Words, word: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(short("run=x", "site=slurm", word))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("time", "minutes"),
    [("30", 30), ("30:30", 30.5), ("4:00:00", 240), ("2-0", 2880), ("1-12:30", 2190),
     ("1-00:00:30", 1440.5), ("infinite", float("inf"))],
)  # fmt: skip
def test_times_are_read_as_slurm_reads_them(time: str, minutes: float) -> None:
    assert client.minutes(time) == minutes


def test_jobs_run_a_copy_that_knows_what_it_is_of(tmp_path: Path) -> None:
    found = code.Revision("a" * 40, True)
    copy = code.keep(tmp_path, found)
    asked = (
        "import json, sys; from lineage import place, provenance\n"
        "print(json.dumps([place.__file__, provenance.git_revision(), str(place.place('runs'))]))"
    )
    environment = {
        **os.environ, "PYTHONPATH": str(copy), "PYTHONSAFEPATH": "1", "TACT_CHECKOUT": "/there",
    }  # fmt: skip
    told = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    where, revision, place = json.loads(told.stdout)
    assert Path(where).is_relative_to(copy)
    assert revision == ["a" * 40, True] and place == "/there/runs"
    assert not (copy / ".cache").exists() and not (copy / ".git").exists()


def test_changes_are_refused_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code.provenance, "git_revision", lambda: ("b" * 40, True))
    with pytest.raises(TactError, match="give dirty=true"):
        code.revision(dirty=False)
    assert code.revision(dirty=True).dirty


def test_one_step_of_a_run_needs_those_before_it(
    short: Words, pictures: Any, tmp_path: Path
) -> None:
    config = load(short("run=x", "steps=[base_tower,align]"))
    with pytest.raises(TactError, match="base_tower must be done before this step"):
        execute(config, only=2)
    assert not RunFolder.existing("x", checkpoints=tmp_path).read().finished
