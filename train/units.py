"""Units of a stage's rows, and that one unit's rows don't depend on who else is there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from conf.schema import Config, StageConfig
from data.pictures import key_of, shown_in, undecoded
from data.policy import Policy
from lineage.errors import TactError
from train.rows import stage_rows

CHECKED = 16  # units whose rows are made again without the others


def units_of(subjects: Sequence[str], unit: str) -> dict[int, list[int]]:
    """Unit's number → its rows' numbers, for rows of ``subjects``. Units are numbered by name.

    TactError where rows have no subject.
    """
    if unit == "row":
        return {i: [i] for i in range(len(subjects))}
    if not all(subjects):
        raise TactError(
            "privacy.unit=subject: a row has no subject_id; name who is in it, or privacy.unit=row"
        )
    number = {name: i for i, name in enumerate(sorted(set(subjects)))}
    found: dict[int, list[int]] = {i: [] for i in number.values()}
    for i, name in enumerate(subjects):
        found[number[name]].append(i)
    return found


def check_bounded(
    config: Config, stage: StageConfig, pictures: Dataset, rows: Dataset, policy: Policy
) -> None:
    """TactError where a unit has a part in more than its own of a private stage's ``rows``.

    Rows of a stage that drew them were looked at there.
    """
    if stage.rows_from is None:
        check_apart(stage.rows, pictures, rows, seed=config.seed, policy=policy)
    if config.privacy.unit == "subject":
        check_one_person(pictures, rows)


def check_named(pictures: Dataset, *, split: str) -> None:
    """TactError where the source names nobody, so that its pictures stand for people."""
    both = zip(pictures["picture_id"], pictures["subject_id"], strict=True)
    if any(picture == subject for picture, subject in both):
        raise TactError(
            f"privacy.unit=subject: pictures of data.people.{split} have no subject of their own, "
            "each stands for a person. Name who is in them (data.source.subject_column), or "
            "privacy.unit=row, which bounds what one row tells and nothing of a person with several"
        )


def check_one_person(pictures: Dataset, rows: Dataset) -> None:
    """TactError where a row shows two people, or a picture is of two."""
    whose: dict[bytes, str] = {}
    for table in (pictures, rows):
        for row in _shown(table):
            for picture in shown_in(row):
                if whose.setdefault(key_of(picture), row["subject_id"]) != row["subject_id"]:
                    raise TactError(
                        "privacy.unit=subject: a row shows two people, or a picture is in rows of "
                        "two; no one unit has it. Part such rows by person, or privacy.unit=row"
                    )


def check_apart(
    settings: Mapping[str, Any], pictures: Dataset, rows: Dataset, *, seed: int, policy: Policy
) -> None:
    """TactError unless some people's rows are the same when nobody else is there.

    Rows that are drawn from all pictures together change for everyone when one person leaves: then
    no bound on one unit's gradient bounds what that person changes.
    """
    subjects = np.array(pictures["subject_id"])
    some = set(sorted(set(subjects.tolist()))[:CHECKED])
    few = pictures.select([i for i, who in enumerate(subjects) if who in some])
    alone = stage_rows(settings, few, seed=seed, policy=policy)
    whose = np.array(rows["subject_id"])
    among = rows.select([i for i, who in enumerate(whose) if who in some])
    if _told(alone) != _told(among):
        raise TactError(
            "stage.rows: a person's rows depend on who else is in the split, so adding a person "
            "changes everybody's; give rows_per_subject, or a source that makes each person's "
            "rows from their own pictures"
        )


def _told(rows: Dataset) -> list[str]:
    """All that the rows say, weights and scores too."""
    return sorted(str(sorted(row.items())) for row in undecoded(rows))


def _shown(table: Dataset) -> Dataset:
    """Who is shown where, pictures left undecoded."""
    columns = [c for c in ("subject_id", "image", "images") if c in table.column_names]
    return undecoded(table.select_columns(columns))
