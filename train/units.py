"""Units of a stage's rows, and that one unit's rows don't depend on who else is there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from data.encode import EncodedRow
from data.policy import Policy
from lineage.errors import TactError
from train.rows import stage_rows

CHECKED = 16  # units whose rows are made again without the others


def units_of(rows: Sequence[EncodedRow], unit: str) -> dict[int, list[int]]:
    """Unit's number → its rows' numbers. Units are numbered by their names' order.

    TactError where rows have no subject.
    """
    if unit == "row":
        return {i: [i] for i in range(len(rows))}
    if any(not row.subject for row in rows):
        raise TactError(
            "privacy.unit=subject: a row has no subject_id; name who is in it, or privacy.unit=row"
        )
    number = {name: i for i, name in enumerate(sorted({row.subject for row in rows}))}
    found: dict[int, list[int]] = {i: [] for i in number.values()}
    for i, row in enumerate(rows):
        found[number[row.subject]].append(i)
    return found


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


def _told(rows: Dataset) -> list[Any]:
    told = [c for c in ("row_id", "messages", "prompt", "chosen", "rejected")
            if c in rows.column_names]  # fmt: skip
    return sorted(str([row[c] for c in told]) for row in rows.select_columns(told))
