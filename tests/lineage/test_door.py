"""A door: what the user can mend is one line and status 2, all else is raised."""

import errno
import sys
from typing import NoReturn

import pytest

from lineage.door import run_door


def run(monkeypatch: pytest.MonkeyPatch, error: Exception) -> int:
    def main(words: list[str]) -> NoReturn:
        try:
            raise error
        except OSError as inner:  # as torch.save does
            raise RuntimeError("unexpected pos") from inner

    monkeypatch.setattr(sys, "argv", ["room", "run=x"])
    return run_door(main, "help")


def test_a_log_that_finds_the_disk_full_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, OSError(errno.ENOSPC, "No space left on device")) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: no space left") and "Free space" in said


def test_an_error_that_is_ours_to_mend_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(RuntimeError, match="unexpected pos"):
        run(monkeypatch, OSError(errno.EIO, "broken"))
