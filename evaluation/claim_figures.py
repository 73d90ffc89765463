"""A claim's figures: records read from reports, their mean over seeds, and what was claimed.

Each seed gives one value. Over several seeds the interval is Student's t of the seeds' values (of
their paired differences, where one number is taken from another). It says how far another seed
may fall; what another draw of test people would do is in each record's own interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from evaluation.claim_file import Figure, Reading
from evaluation.measure import LEVEL
from lineage.errors import TactError

Record = dict[str, Any]
Reports = Mapping[str, Mapping[int, Mapping[str, Any]]]  # run -> seed -> stage -> report
CHANCE = 0.5  # of an AUC
NONE = "none: the interval contains 0"


def figure(asked: Figure, reports: Reports, seeds: Sequence[int]) -> dict[str, Any]:
    """The figure as a result file holds it; TactError where a record is not there."""
    here = {seed: _records(asked.reading, reports, seed, label=asked.label) for seed in seeds}
    values = [_mean(records) for records in here.values()]
    if asked.minus:
        other = [_mean(_records(asked.minus, reports, s, label=asked.label)) for s in seeds]
        values = [a - b for a, b in zip(values, other, strict=True)]
    value = float(np.mean(values))
    low, high, interval = _interval(asked, values, [r for some in here.values() for r in some])
    records = [record for some in here.values() for record in some]
    attackers = sorted({r["attacker"] for r in records if r["attacker"]})
    notes = [*sorted({r["note"] for r in records if r["note"]})]
    if asked.minus and low is not None and high is not None and low <= 0 <= high:
        notes.insert(0, NONE)
    return {
        "label": asked.label,
        "at": dict(asked.at),
        **asdict(asked.reading),
        "minus": asdict(asked.minus) if asked.minus else None,
        "unit": records[0]["unit"],
        "n_people": min(r["n"] for r in records),
        "seeds": list(seeds),
        "values": values,
        "value": value,
        "low": low,
        "high": high,
        "interval": interval,
        "at_most": asked.at_most,
        "at_least": asked.at_least,
        "met": met(value, at_most=asked.at_most, at_least=asked.at_least),
        "attacker": "; ".join(attackers) or None,
        "note": "; ".join(notes),
        "shown": asked.shown,
    }


def records_used(figures: Sequence[Figure], reports: Reports, seeds: Sequence[int]) -> list[Record]:
    """Every record that a figure stands on, once, with the run that it is of."""
    found: list[Record] = []
    for reading in dict.fromkeys(r for asked in figures for r in asked.readings()):
        for seed in seeds:
            for record in _records(reading, reports, seed, label=reading.name):
                one = {"run": reading.run, **record}
                if one not in found:
                    found.append(one)
    return found


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's t interval of the mean of at least two values, at ``LEVEL``."""
    from scipy import stats

    if len(values) < 2:
        raise ValueError("an interval over seeds needs at least two of them")
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return float(np.mean(values)) - reach, float(np.mean(values)) + reach


def met(value: float, *, at_most: float | None, at_least: float | None) -> bool | None:
    """Whether the mean holds its bounds; None where none is claimed."""
    if at_most is None and at_least is None:
        return None
    return (at_most is None or value <= at_most) and (at_least is None or value >= at_least)


def _interval(
    asked: Figure, values: Sequence[float], records: Sequence[Record]
) -> tuple[float | None, float | None, str]:
    if len(values) > 1:
        return *t_interval(values), f"t over {len(values)} seeds"
    if len(records) > 1 or asked.minus:
        return None, None, "none: one seed, and no record of this number itself"
    return records[0]["low"], records[0]["high"], "of people, within the one seed there is"


def _mean(records: Sequence[Record]) -> float:
    """The records' mean; a floor below chance is chance, which knowing nothing reaches."""
    least = {"attacker_floor": CHANCE}
    values = [max(record["value"], least.get(record["name"], -np.inf)) for record in records]
    return float(np.mean(values))


def _records(reading: Reading, reports: Reports, seed: int, *, label: str) -> list[Record]:
    """One record for each group of the reading."""
    report = reports[reading.run][seed][reading.stage]
    return [_record(reading, group, report, label=label) for group in reading.groups]


def _record(reading: Reading, group: str, report: Mapping[str, Any], *, label: str) -> Record:
    named = [
        r for r in report["measures"]
        if (r["suite"], r["name"]) == (reading.suite, reading.name)
    ]  # fmt: skip
    found = [r for r in named if r["group"] == group]
    chosen = [r for r in found if r["chosen_on"]] if reading.best else found
    if len(chosen) == 1:
        record: Record = chosen[0]
        return record
    where = f"figure ({label}): run {report['run']} after {reading.stage}: "
    what = f"{reading.suite} {reading.name} of {group}"
    if not found:
        there = ", ".join(sorted({r["group"] for r in named})) or "nothing of that measure"
        raise TactError(f"{where}no {what}; its report has: {there}")
    if reading.best:
        raise TactError(f"{where}{len(chosen)} of {len(found)} records of {what} are the chosen")
    raise TactError(f"{where}{len(found)} records of {what}, by attacker: say best: true")
