"""Chunks of people on disk: drawn by worker processes, each chunk written whole or not at all."""

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import cv2

from data.errors import DataError
from data.portraits.person import attributes, sample_person, sample_picture
from lineage.files import write_bytes, write_json

CHUNK = 25  # people
STALE_S = 3600  # a chunk takes seconds, so a part this old is of a process that died


def chunk_folder(folder: Path, chunk: int) -> Path:
    """Where a chunk lies; it is there only when whole."""
    return folder / f"{chunk:05d}"


def read_chunk(folder: Path, chunk: int, *, people: range) -> list[dict[str, Any]]:
    """Rows of the ``people`` who are in this chunk, pictures by path.

    DataError, naming the folder to remove, where its list can't be read.
    """
    where = chunk_folder(folder, chunk)
    try:
        rows: list[dict[str, Any]] = json.loads((where / "rows.json").read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"cached pictures {where} can't be read ({error}): remove it") from error
    rows = [row for row in rows if int(row["subject_id"][1:]) in people]
    for row in rows:
        row["image"] = {"path": str(where / f"{row['picture_id']}.png"), "bytes": None}
    return rows


def draw_chunks(
    folder: Path, chunks: Sequence[int], *, settings: dict[str, Any], workers: int, progress: bool
) -> None:
    """Draw ``chunks``; what is whole stays when it is interrupted."""
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    draw = partial(_draw_chunk, folder, settings=settings)
    with _progress(len(chunks), shown=progress) as step:
        if workers == 1 or len(chunks) == 1:
            for chunk in chunks:
                draw(chunk)
                step()
            return
        _compile()
        with _pool(min(workers, len(chunks))) as pool:
            jobs: list[Future[None]] = [pool.submit(draw, chunk) for chunk in chunks]
            for job in as_completed(jobs):
                job.result()
                step()


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_prepare)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise DataError(
            "a process that draws people was killed (out of memory?): run the same command again, "
            "it goes on; with data.source.workers=1 it takes less memory"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare() -> None:
    """Make this worker end at once, without a word, on Ctrl-C or when its parent is no more."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _compile() -> None:
    """Fill numba's cache once, so that workers don't each compile."""
    from data.portraits.render import render

    person = sample_person(0, 0, proxy_strength=0.0)
    render(person, sample_picture(person, 0), size=32)


@contextmanager
def _progress(chunks: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if shown and not console.is_terminal:
        print(f"drawing {chunks * CHUNK} people", file=sys.stderr, flush=True)
    with Progress(console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task("drawing people", total=chunks * CHUNK)
        yield lambda: bar.advance(task, CHUNK)


def _draw_chunk(folder: Path, chunk: int, *, settings: dict[str, Any]) -> None:
    part = folder / f"{chunk:05d}.{os.getpid()}.part"
    part.mkdir()
    try:
        rows = []
        for index in range(chunk * CHUNK, (chunk + 1) * CHUNK):
            rows += _draw_person(part, index, settings)
        write_json(part / "rows.json", rows)
        _keep(part, chunk_folder(folder, chunk))
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _draw_person(part: Path, index: int, settings: dict[str, Any]) -> list[dict[str, Any]]:
    from data.portraits.render import render  # numba takes a second, and kept people need none

    person = sample_person(settings["seed"], index, proxy_strength=settings["proxy_strength"])
    rows = []
    for number in range(settings["pictures_per_person"]):
        picture = sample_picture(person, number)
        pixels = render(person, picture, size=settings["size_px"])
        name = f"s{index:06d}-{number}"
        _, png = cv2.imencode(".png", pixels[..., ::-1])
        write_bytes(part / f"{name}.png", png.tobytes())
        rows.append({"picture_id": name, "subject_id": f"s{index:06d}",
                     "attributes": attributes(person, picture)})  # fmt: skip
    return rows


def _keep(part: Path, target: Path) -> None:
    try:
        part.rename(target)
    except OSError:
        if not target.exists():  # else another process drew the same chunk first
            raise


def _sweep(folder: Path) -> None:
    for part in folder.glob("*.part"):
        if time.time() - part.stat().st_mtime > STALE_S:
            shutil.rmtree(part, ignore_errors=True)
