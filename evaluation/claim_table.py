"""README's table of results, made of ``docs/results/*.json`` alone and of what the tree composes.

A result whose config hash is no longer that of the tree is marked stale.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation import claim_file, claim_runs
from evaluation.claim_figures import NONE
from lineage import files
from lineage.errors import TactError

BEGIN, END = "<!-- results -->", "<!-- /results -->"
EMPTY = "No claim has been run yet: `make claims` does it and fills this in."
STALE = "(stale: the config has changed since)"


def rewrite(readme: Path, results: Path, claims: Path) -> bool:
    """Put the present results between README's markers; returns whether that changed it."""
    text = readme.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise TactError(f"{readme.name}: must hold {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    made = section(results, claims)
    new = f"{before}{BEGIN}\n{made}\n{END}{after}"
    if new != text:
        files.write_text(readme, new)
    return new != text


def section(results: Path, claims: Path) -> str:
    """Markdown of every result that there is; TactError or ConfigError from what is composed."""
    every = [files.read_json(path) for path in sorted(results.glob("*.json"))]
    made = [markdown(result, stale=is_stale(result, claims)) for result in every]
    return "\n\n".join(made) or EMPTY


def is_stale(result: dict[str, Any], claims: Path) -> bool:
    """Whether the claim's config now composes to another hash, or is no longer there."""
    if result["claim"] not in claim_file.names(claims):
        return True
    claim = claim_file.load(result["claim"], claims)
    return bool(claim_runs.config_sha256(claim) != result["config_sha256"])


def markdown(result: dict[str, Any], *, stale: bool) -> str:
    mark = f" **{STALE}**" if stale else ""
    head = f"**{result['question']}** `{result['command']}`{mark}"
    rows: dict[str, list[dict[str, Any]]] = {}
    for figure in result["figures"]:
        rows.setdefault(figure["label"], []).append(figure)
    lines = [_row(label, found) for label, found in rows.items() if _is_shown(found)]
    table = "\n".join(["| | found | claimed | |", "|---|---|---|---|", *lines])
    return f"{head}\n\n{table}\n\n{_foot(result)}"


def _is_shown(figures: Sequence[dict[str, Any]]) -> bool:
    """What is asked for, and in any case what misses its bound."""
    return any(figure["shown"] or figure["met"] is False for figure in figures)


def _row(label: str, figures: Sequence[dict[str, Any]]) -> str:
    """Figures of one label share a row, such as the same question in two phrasings."""
    claimed = list(dict.fromkeys(_bounds(figure) for figure in figures))
    verdicts = [figure["met"] for figure in figures if figure["met"] is not None]
    verdict = "" if not verdicts else "met" if all(verdicts) else "**missed**"
    found = " / ".join(_value(figure) for figure in figures)
    return f"| {label}{_points(figures)} | {found} | {' / '.join(claimed)} | {verdict} |"


def _points(figures: Sequence[dict[str, Any]]) -> str:
    """What tells the figures of a row apart: the points of the grid that differ."""
    axes = [axis for axis in figures[0]["at"] if len({f["at"].get(axis) for f in figures}) > 1]
    each = [" ".join(figure["at"][axis] for axis in axes) for figure in figures]
    return f" ({' / '.join(each).replace('_', ' ')})" if axes else ""


def _value(figure: dict[str, Any]) -> str:
    low, high = figure["low"], figure["high"]
    said = number(figure["value"])
    if low is not None and high is not None:
        said += f" ({number(low)} to {number(high)})"
    gain = figure["minus"] and figure["met"] is None and figure["note"].startswith(NONE)
    return f"none: {said}" if gain else said


def _bounds(figure: dict[str, Any]) -> str:
    most, least = figure["at_most"], figure["at_least"]
    said = [f"at least {number(least, 2)}"] if least is not None else []
    return " and ".join(said + ([f"at most {number(most, 2)}"] if most is not None else []))


def number(value: float, digits: int = 3) -> str:
    """As prose writes it: .973, −.012, 1.000, 12.4."""
    text = f"{abs(value):.{digits if abs(value) < 10 else 1}f}"
    sign = "−" if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0.") else text)


def _foot(result: dict[str, Any]) -> str:
    seeds, claimed = result["seeds"], result["seeds_claimed"]
    people = sorted({f["n_people"] for f in result["figures"] if f["unit"] == "person"})
    said = f"Mean of {len(seeds)} seeds, 95 % t interval over them"
    if len(seeds) == 1:
        said = "One seed, 95 % interval over people"
    if set(seeds) != set(claimed):
        said += f" (seeds {_listed(seeds)} of {_listed(claimed)} so far)"
    if people:
        said += f"; {' to '.join(f'{n:,}' for n in dict.fromkeys((people[0], people[-1])))} people"
    machine, hours = result["machine"], result["seconds"] / 3600
    changed = " with changes" if result["dirty"] else ""
    revisions = ", ".join(one[:12] for one in result["revision"].split(", "))
    return (
        f"{said}; {hours:.1f} h on {machine['cores']} cores ({machine['cpu']}); "
        f"revision {revisions or 'unknown'}{changed}; all of it: "
        f"`docs/results/{result['claim']}.json`."
    )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(n) for n in numbers)
