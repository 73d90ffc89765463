"""Files that are whole or not there: atomic writes, checked reads, hashes."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from lineage.errors import TactError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFull(TactError):
    """No space is left; what stood there before is untouched."""


def write_with(path: Path, write: Callable[[BinaryIO], None], *, mode: int = 0o644) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to disk, put it in place.

    Whatever happens, ``path`` holds the old content or the new one, whole. A device or pipe, such
    as ``/dev/null``, is written to and never replaced. Raises DiskFull.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            return write(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if is_full(error):
            raise DiskFull(
                f"no space left to write {path.name} in {path.parent.name}/; what was saved before "
                "is whole. Free space and run the same command again: it resumes"
            ) from error
        raise


def is_full(error: BaseException) -> bool:
    """Whether a full disk is behind ``error``: writers such as ``torch.save`` raise their own."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.errno in FULL:
            return True
        inner = inner.__cause__ or inner.__context__
    return False


def write_bytes(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Atomic write of bytes."""
    write_with(path, lambda file: _all(file, content), mode=mode)


def write_text(path: Path, content: str, *, mode: int = 0o644) -> None:
    """Atomic write of UTF-8 text."""
    write_bytes(path, content.encode(), mode=mode)


def write_json(path: Path, content: Any, *, mode: int = 0o644) -> None:
    """Atomic write of JSON, indented, with a closing newline."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n", mode=mode)


def read_json(path: Path) -> Any:
    """JSON of a file; TactError where it is missing or cut off."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise TactError(f"{path.name} is missing in {path.parent.name}/: is it a run?") from None
    except ValueError as error:  # cut off inside a character is a UnicodeDecodeError
        raise TactError(f"{path.name} in {path.parent.name}/ is no whole JSON: {error}") from None


def sha256(path: Path) -> str:
    """Hex digest of a file's content; read once as long as the file's state stays the same.

    The state is what the system notes of a change: device, inode, size and both times.
    """
    now = path.stat()
    state = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
    return _sha256(path, state)


@lru_cache(maxsize=256)
def _sha256(path: Path, state: tuple[int, ...]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest(paths: Iterable[Path]) -> bytes:
    """SHA-256 of small files' bytes one after the other, such as a cache's own code."""
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.digest()


def content_sha256(content: Any) -> str:
    """Hex digest of what is to be written as JSON, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def link_or_copy(source: Path, path: Path, *, mode: int = 0o644) -> None:
    """Put ``source``'s content at ``path``, sharing the disk's blocks where that is possible.

    ``mode`` is a copy's; a link has that of ``source``.

    Safe as long as both are only ever replaced, never written in place. Raises DiskFull.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:  # another file system, or one without links
        with source.open("rb") as file:
            write_with(path, lambda out: shutil.copyfileobj(file, out, 1 << 20), mode=mode)
    else:
        os.replace(part, path)
        part.unlink(missing_ok=True)  # rename leaves it where both names are one file already


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that are dead left half-written anywhere below ``folder``."""
    for part in folder.rglob(".*.part"):
        process = part.name.split(".")[-2]
        if process.isdigit() and not alive(int(process)):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)


def _all(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
