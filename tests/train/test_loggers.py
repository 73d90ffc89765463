"""Loggers write where the run lies, and tell its stages apart."""

from pathlib import Path

import pytest

from conf.compose import load
from train.loggers import defaults, keep_metrics, loggers


def of(name: str, folder: Path) -> dict[str, str]:
    settings = load([f"logger={name}", "run=x"], check=False).logger[name]
    return defaults(settings, folder)


def test_each_stage_has_a_name_and_a_place_with_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "first" / "stages" / "1-align"
    assert of("wandb", folder) == {"save_dir": str(folder), "name": "first-1-align"}
    assert of("mlflow", folder) == {
        "run_name": "first-1-align", "tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}",
    }  # fmt: skip


def test_the_users_own_mlflow_server_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example")
    given = of("mlflow", tmp_path / "first" / "stages" / "1-align")
    assert given["tracking_uri"] == "http://tracking.example"


def test_the_console_is_not_sent_to_wandb(tmp_path: Path) -> None:
    own = load(["logger=wandb", "run=x"], check=False).logger["wandb"]
    kept = {"wandb": {**own, "_target_": "builtins.dict"}}  # W&B ignores what is no dict
    [made] = loggers(kept, tmp_path / "first" / "stages" / "1-align")
    given: dict[str, object] = dict(made)  # type: ignore[call-overload]
    assert type(given["settings"]) is dict and given["settings"]["console"] == "off"


def test_what_was_logged_before_a_break_is_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        (tmp_path / "metrics.csv").write_text(text)
        keep_metrics(tmp_path)
    assert not (tmp_path / "metrics.csv").exists()
    assert [(tmp_path / f"metrics-{n}.csv").read_text() for n in (1, 2)] == ["first", "second"]
