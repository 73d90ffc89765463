"""A source in figures and pictures: who is in it, how attributes meet, what is said."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset
from rich.console import Console
from rich.table import Table

from conf import target
from conf.schema import Config
from data.attributes import FREE, SENSITIVE
from data.collate import open_picture
from data.errors import DataError
from data.pictures import listed
from data.policy import policy
from data.prepared import cache_folder, prepared
from data.sets import terms
from data.sheet import contact_sheet

SHOWN = 12  # rows of the contact sheet


def show(config: Config) -> dict[str, Any]:
    """Print counts, write the contact sheet and the rejects; returns what was counted."""
    splits = prepared(config)
    rows = {name: listed(table) for name, table in splits.items()}
    everyone = [row for table in rows.values() for row in table]
    console = Console()
    told = terms.told(config.data.source)
    if not config.json:
        if told:
            console.print(f"terms: {told}", highlight=False)
        console.print(_people(rows))
        console.print(_classes(everyone))
        console.print(_meetings(everyone, "gender", "age"))
    folder = cache_folder(config) / "show"
    folder.mkdir(parents=True, exist_ok=True)
    rejects = _rejects(everyone)
    sheet = _sheet(config, splits, folder, without={name for name, _ in rejects})
    if not config.json:
        for name, reason in rejects[:10]:
            console.print(f"reject {name}: {reason}")
        console.print(f"rejects: {len(rejects)} of {len(everyone)} pictures")
        console.print(f"contact sheet: {sheet}", soft_wrap=True)
    return {
        "pictures": len(everyone),
        "people": {k: len({r["subject_id"] for r in v}) for k, v in rows.items()},
        "rejects": rejects,
        "sheet": str(sheet),
        "terms": told,
    }


def _people(rows: Mapping[str, list[dict[str, Any]]]) -> Table:
    table = Table(title="splits, by person", title_justify="left")
    for column in ("split", "people", "pictures"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for name, own in rows.items():
        table.add_row(name, str(len({r["subject_id"] for r in own})), str(len(own)))
    return table


def _classes(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="pictures by attribute", title_justify="left")
    table.add_column("attribute")
    table.add_column("classes")
    for name in (*SENSITIVE, *FREE):
        counts = Counter(_labels(r).get(name) or "unknown" for r in rows)
        table.add_row(name, "  ".join(f"{k} {v}" for k, v in sorted(counts.items())))
    return table


def _labels(row: dict[str, Any]) -> dict[str, str | None]:
    return row.get("attributes") or {}


def _meetings(rows: list[dict[str, Any]], first: str, second: str) -> Table:
    counts = Counter((_labels(r).get(first), _labels(r).get(second)) for r in rows)
    table = Table(title=f"{first} by {second}", title_justify="left")
    table.add_column(first)
    for value in SENSITIVE[second]:
        table.add_column(value, justify="right")
    for value in SENSITIVE[first]:
        table.add_row(value, *[str(counts[value, other]) for other in SENSITIVE[second]])
    return table


def _sheet(
    config: Config, splits: Mapping[str, Dataset], folder: Path, *, without: set[str]
) -> Path | None:
    stage = config.stage["prefer" if "prefer" in config.stage else next(iter(config.stage))]
    readable = {name: _readable(table, without) for name, table in splits.items()}
    full = [name for name, table in readable.items() if len(table)]
    if not full:
        return None
    pictures = readable[stage.people if stage.people in full else full[0]]
    settings = {**stage.rows}
    if "count" in settings:
        settings["count"] = SHOWN
    try:
        make = target.function(settings, where="stage.rows")
        rows = make(pictures, seed=config.seed, policy=policy(config.policy))
    except (DataError, TypeError, KeyError):  # a source whose labels do not make dialogues
        rows = pictures
    path = folder / "sheet.png"
    contact_sheet(rows.select(range(min(SHOWN, len(rows)))), path)
    return path


def _readable(table: Dataset, without: set[str]) -> Dataset:
    names = table["picture_id"]
    return table.select([i for i, name in enumerate(names) if name not in without])


def _rejects(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    found = []
    for row in rows:
        try:
            for picture in row.get("images") or [row["image"]]:
                open_picture(picture)
        except DataError as error:
            found.append((str(row["picture_id"]), str(error)))
    return found
