"""Files are whole or not there, whatever happens to who writes them."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import pytest

from lineage import files
from lineage.errors import TactError

ROOT = Path(__file__).resolve().parents[2]
LOOP = """
import sys
from pathlib import Path
from lineage.files import write_json
path, number = Path(sys.argv[1]), 0
while True:
    number += 1
    write_json(path, {"number": number, "same": [number] * 20_000})
"""
LIMITED = """
import resource, sys
from pathlib import Path
from lineage import files
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    files.write_bytes(Path(sys.argv[1]), bytes(1 << 20))
except files.DiskFull as error:
    print(error)
"""


def start(code: str, *words: str, **options: Any) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], env=environment, text=True, **options
    )


def test_killed_while_writing_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for attempt in range(8):
        writer = start(LOOP, str(path))
        end = time.monotonic() + 60
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(0.003 + 0.0071 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        state = files.read_json(path)
        assert state["same"] == [state["number"]] * 20_000
        path.unlink()
    files.remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_the_living_stay(tmp_path: Path) -> None:
    own = tmp_path / "stages" / f".last.ckpt.{os.getpid()}.part"
    own.parent.mkdir()
    own.write_bytes(b"half")
    gone = start("")
    gone.wait()
    (tmp_path / f".export.{gone.pid}.part").mkdir()
    (tmp_path / f".manifest.json.{gone.pid}.part").write_bytes(b"half")
    files.remove_leftovers(tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.name.endswith(".part")] == [own]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_one_clear_error_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    path = tmp_path / "manifest.json"
    files.write_json(path, {"kept": 1})

    def full(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(files.DiskFull, match=r"manifest\.json.*Free space.*resumes"):
        files.write_json(path, {"kept": 2})
    assert json.loads(path.read_text()) == {"kept": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]


def test_a_file_that_the_system_refuses_to_let_grow(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"before")
    said, _ = start(LIMITED, str(path), stdout=subprocess.PIPE).communicate()
    assert "no space left to write last.ckpt" in said
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_writer_that_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted(file: BinaryIO) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_with(tmp_path / "x", interrupted)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_ordinary_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = start(f"print(open({str(pipe)!r}).read())", stdout=subprocess.PIPE)
    files.write_text(pipe, "rejects")
    assert reader.communicate()[0] == "rejects\n"
    assert pipe.is_fifo()


def test_private_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    files.write_text(tmp_path / "rejects.jsonl", "{}", mode=0o600)
    assert (tmp_path / "rejects.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [None, b"", b'{"stages": [', '{"a": "é'.encode()[:-1]])
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TactError, match=r"manifest\.json"):
        files.read_json(path)


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_survives_the_replacement_of_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refused(*_: object) -> NoReturn:
        raise OSError(errno.EXDEV, "another file system")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    source, path = tmp_path / "a", tmp_path / "child" / "a"
    files.write_bytes(source, b"parent")
    for _ in range(2):  # the second time both names may be one file already
        files.link_or_copy(source, path)
    files.write_bytes(source, b"trained on")
    assert path.read_bytes() == b"parent"
    assert [p.name for p in path.parent.iterdir()] == ["a"]
