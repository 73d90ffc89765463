"""Dialogues that a report shows: a few of every condition, with their pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.collate import open_picture
from evaluation.behaviour import Answered

SIDE_PX = 160


def chosen(said: Sequence[Answered], *, count: int) -> list[Answered]:
    """``count`` answers to held-out phrasings, every condition in turn."""
    pools: dict[str, list[Answered]] = {}
    for one in said:
        if one.row["phrasing"] == "held_out":
            pools.setdefault(condition(one), []).append(one)
    spread = [pool[:: max(1, len(pool) // count)] for pool in pools.values()]
    return [one for some in zip(*spread, strict=False) for one in some][:count]


def shown(
    some: Sequence[Answered], before: tuple[str, list[str]] | None, *, folder: Path
) -> list[dict[str, Any]]:
    """As ``report.json`` holds them; pictures are copied into ``folder``."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    made = []
    for number, one in enumerate(some):
        row = one.row
        name = f"pictures/{row['picture_id'].replace('/', '_')}.png"
        open_picture(row["images"][0]).resize((SIDE_PX, SIDE_PX)).save(folder / name)
        made.append(
            {
                "picture": name,
                "condition": condition(one),
                "turns": [*row["prompt"], {"role": "assistant", "content": one.answer}],
                "before": before[1][number] if before else None,
                "before_stage": before[0] if before else None,
            }
        )
    return made


def condition(one: Answered) -> str:
    """What was shared of what is asked, or that the user insists."""
    return "insisting" if one.insisting else str(one.row["condition"])
