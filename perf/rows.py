"""What preparing many rows takes: rows a second, memory as it goes, and going on after a kill.

A process of its own reads conversations from a JSON-lines file, deals them by person and encodes
them into a fresh cache, as training does before a stage's first step. This one looks at its memory
and its chunks all the while. Then another is killed half-way, and a third goes on.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from data.preparing import CHUNK_ROWS, FOLDER
from lineage.errors import TactError
from lineage.place import CHECKOUT

ROWS_PER_PERSON, OTHERS = 5, 100  # people whose rows aren't prepared
LOOK_S = 0.1
READY = "ready"  # the process says so before its first row
WORDS = (
    "what colour is my hair and top in this picture please tell me where i am now do you think "
    "that these glasses suit me for the park beach office or kitchen i would like some advice"
).split()
Figures = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """The watched process at one moment."""

    seconds: float  # since it began with the rows
    rows: int  # that lie whole in the cache
    rss_mib: float
    anon_mib: float  # of it, what is not a file mapped from disk


def measure(*, rows: int) -> Figures:
    """Prepare so many rows undisturbed, then killed half-way and gone on with."""
    load = os.getloadavg()[0]
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, rows=rows)
        whole, looks = prepare(folder, folder / "whole")
        half = rows // CHUNK_ROWS // 2
        if not half:
            raise TactError(f"rows={rows}: give at least {2 * CHUNK_ROWS}, so that half are left")
        prepare(folder, folder / "killed", kill_at=half)
        kept = _chunks(folder / "killed")
        again, later = prepare(folder, folder / "killed")
    if kept * CHUNK_ROWS >= rows:
        raise TactError(f"rows={rows}: all were there before the kill; give more")
    news = (look.seconds for look in later if look.rows > kept * CHUNK_ROWS)
    first = next(news, again["seconds"])
    return {
        "rows": rows, "chunk_rows": CHUNK_ROWS,
        "machine": f"{os.cpu_count()} cores", "load": [load, os.getloadavg()[0]],
        "rows_per_second": rows / whole["seconds"],
        "rows_per_processor_second": rows / whole["processor_seconds"],
        "longest_tokens": whole["longest_tokens"],
        **memory(looks, rows=rows),
        "killed_at_rows": kept * CHUNK_ROWS,
        "seconds_to_first_new_chunk": first,
        "seconds_to_the_end": again["seconds"],
        "resumed_equal": again["sha256"] == whole["sha256"],
    }  # fmt: skip


def memory(looks: list[Look], *, rows: int) -> Figures:
    """The most above the start, and the slope over the second half of the rows."""
    second = [look for look in looks if look.rows >= rows / 2]
    found: Figures = {"start_mib": looks[0].rss_mib}
    for name in ("rss_mib", "anon_mib"):
        above = [getattr(look, name) - getattr(looks[0], name) for look in looks]
        x, y = [look.rows for look in second], [getattr(look, name) for look in second]
        slope = float(np.polyfit(x, y, 1)[0]) if len(set(x)) > 1 else 0.0
        found[name] = {"most_above_start": max(above), "slope_per_100_000_rows": slope * 100_000}
    return found


def write(folder: Path, *, rows: int) -> None:
    """``rows.jsonl`` of private people and some others, each row with a picture file of its own."""
    rng, people = np.random.default_rng(0), -(-rows // ROWS_PER_PERSON)
    drawn = io.BytesIO()  # none is decoded, so all have the same bytes
    Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(drawn, "PNG")
    picture = drawn.getvalue()
    with (folder / "rows.jsonl").open("w") as file:
        for number in range((people + OTHERS) * ROWS_PER_PERSON):
            shown = folder / f"pictures-{number // 1000:04d}" / f"{number}.png"
            shown.parent.mkdir(exist_ok=True)
            shown.write_bytes(picture)
            row = {"image": str(shown), "messages": list(_turns(rng)),
                   "subject_id": f"p{number // ROWS_PER_PERSON:06d}"}  # fmt: skip
            file.write(json.dumps(row) + "\n")
    (folder / "people.json").write_text(json.dumps({"private": people, "test": OTHERS}))


def _turns(rng: np.random.Generator) -> Iterator[dict[str, str]]:
    for role in ("system", "user", "assistant", "user", "assistant"):
        said = rng.choice(WORDS, size=int(rng.integers(6, 18)))
        yield {"role": role, "content": " ".join(said)}


def prepare(folder: Path, cache: Path, *, kill_at: int | None = None) -> tuple[Figures, list[Look]]:
    """What the process told at its end, and how it looked; nothing where it was killed."""
    words = [f"folder={folder}", f"cache={cache}"]
    child = subprocess.Popen(
        [sys.executable, "-m", "perf.prepare", *words],
        cwd=CHECKOUT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
    )  # fmt: skip
    assert child.stdout is not None
    if child.stdout.readline().strip() != READY:
        raise TactError("the process that prepares rows ended; what it said stands above")
    started, looks = time.perf_counter(), []
    while child.poll() is None:
        done = _chunks(cache)
        if looked := _memory(child.pid):
            looks.append(Look(time.perf_counter() - started, done * CHUNK_ROWS, *looked))
        if kill_at is not None and done >= kill_at:
            child.send_signal(signal.SIGKILL)
        time.sleep(LOOK_S)
    told = child.stdout.read()
    if child.wait() not in (0, -signal.SIGKILL):
        raise TactError("the process that prepares rows failed; what it said stands above")
    return json.loads(told) if told else {}, looks


def _chunks(cache: Path) -> int:
    return len(list((cache / FOLDER).glob("*.arrow")))


def _memory(process: int) -> tuple[float, float] | None:
    """RSS and what of it is anonymous, in MiB; None where it has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:
        return None
    found = {name: value for name, _, value in (line.partition(":") for line in lines)}
    if "VmRSS" not in found:
        return None
    return int(found["VmRSS"].split()[0]) / 1024, int(found["RssAnon"].split()[0]) / 1024
