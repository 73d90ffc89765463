"""The report as one page, drawn from ``report.json`` and the pictures beside it alone."""

import base64
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from evaluation.sections import sections
from evaluation.words import words
from lineage.errors import TactError

VERSION = 2
MARKS = {"proven": "■", "met": "✓", "missed": "✗", "measured": "–", "open": "?"}


def html(content: dict[str, Any], folder: Path) -> str:
    """The page; pictures are put into it, so that it opens from disk without network.

    Raises TactError on a report of another version, and on a picture that is not there.
    """
    if content["version"] != VERSION:
        raise TactError(
            f"report.json is of version {content['version']} and this page draws {VERSION}: "
            f"measure again: python -m evaluation run={content['run']}"
        )
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["words"] = words
    template = files("evaluation").joinpath("page.html.jinja").read_text(encoding="utf-8")
    examples = [{**e, "data": _inline(folder / e["picture"])} for e in content["examples"]]
    return environment.from_string(template).render(
        r=content, sections=sections(content), examples=examples, marks=MARKS
    )


def _inline(path: Path) -> str:
    if not path.exists():
        raise TactError(f"{path.name} is missing in {path.parent.name}/: measure again")
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
