"""Loggers write where the run lies, and tell its stages apart."""

from pathlib import Path

import pytest

from conf.compose import load
from train.loggers import defaults


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
    assert "tracking_uri" not in of("mlflow", tmp_path / "first" / "stages" / "1-align")


def test_the_console_is_not_sent_to_wandb() -> None:
    settings = load(["logger=wandb", "run=x"], check=False).logger["wandb"]
    assert settings["settings"]["console"] == "off"
