"""A contact sheet: each row's picture with its dialogue beside it, as one PNG.

It shows pictures and texts as they are, so it is as private as its rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from datasets import Dataset
from PIL import Image, ImageDraw, ImageFont

from data.errors import DataError

PICTURE_PX: Final = 160
TEXT_PX: Final = 300
GAP_PX: Final = 12
LINE_PX: Final = 17
FONT_PX: Final = 13
INK: Final = {
    "title": "#000000", "system": "#6b7280", "user": "#1d4ed8", "assistant": "#111827",
    "chosen": "#15803d", "rejected": "#b91c1c",
}  # fmt: skip


@dataclass(frozen=True)
class _Line:
    text: str
    ink: str


@dataclass(frozen=True)
class _Cell:
    picture: Image.Image
    lines: tuple[_Line, ...]

    @property
    def height(self) -> int:
        return max(PICTURE_PX, LINE_PX * len(self.lines)) + GAP_PX


def contact_sheet(rows: Dataset, path: str | Path, *, columns: int = 4) -> None:
    """Draw ``rows`` to the PNG ``path``, ``columns`` of them side by side.

    ``rows`` hold ``images`` (the first is drawn) or ``image``, and ``messages`` or
    ``prompt``/``chosen``/``rejected``; one without a dialogue shows its attributes. All are drawn,
    so choose some first: ``rows.select(range(20))``. DataError where there is nothing to draw.
    """
    if columns < 1 or not len(rows):
        raise DataError(f"contact sheet: {len(rows)} rows in {columns} columns; give one at least")
    font = _font()
    cells = [_cell(row, font) for row in rows]
    bands = [cells[at : at + columns] for at in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in band) for band in bands]
    width = PICTURE_PX + TEXT_PX + 3 * GAP_PX
    size = (width * min(columns, len(cells)), sum(heights) + GAP_PX)
    sheet = Image.new("RGB", size, "white")
    top = GAP_PX
    for band, height in zip(bands, heights, strict=True):
        for number, cell in enumerate(band):
            _draw(sheet, cell, (number * width + GAP_PX, top), font=font)
        top += height
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, format="PNG")


def _draw(
    sheet: Image.Image, cell: _Cell, at: tuple[int, int], *, font: ImageFont.FreeTypeFont
) -> None:
    left, top = at
    sheet.paste(cell.picture, at)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(cell.lines):
        where = (left + PICTURE_PX + GAP_PX, top + number * LINE_PX)
        draw.text(where, line.text, fill=line.ink, font=font)


def _cell(row: Mapping[str, Any], font: ImageFont.FreeTypeFont) -> _Cell:
    lines = [
        _Line(text, INK[kind])
        for kind, said in _texts(row)
        for text in _wrapped(said, font)
    ]  # fmt: skip
    return _Cell(_picture(row), tuple(lines))


def _picture(row: Mapping[str, Any]) -> Image.Image:
    pictures = row.get("images") or [row.get("image")]
    box = Image.new("RGB", (PICTURE_PX, PICTURE_PX), "#e5e7eb")
    if pictures[0] is not None:
        shown = pictures[0].convert("RGB")
        scale = PICTURE_PX / max(shown.size)
        fitted = [max(1, round(side * scale)) for side in shown.size]
        box.paste(shown.resize((fitted[0], fitted[1]), Image.Resampling.LANCZOS))
    return box


def _texts(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(kind, text) for all that is written beside the picture."""
    title = [str(row[name]) for name in ("row_id", "picture_id") if row.get(name)]
    yield "title", " · ".join(dict.fromkeys(title))
    turns = row.get("messages") or row.get("prompt")
    if not turns:
        known = {name: value for name, value in (row.get("attributes") or {}).items() if value}
        yield "assistant", ", ".join(f"{name} {value}" for name, value in known.items())
        return
    yield from _turns(turns)
    for side in ("chosen", "rejected"):
        for _, said in _turns(row.get(side) or ()):
            yield side, f"{side}{_scores(row.get(f'{side}_scores'))}: {said.split(': ', 1)[1]}"


def _turns(turns: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for turn in turns:
        role, content = turn["role"], turn["content"]
        if not isinstance(content, str):  # TRL's list of parts
            content = " ".join(part.get("text") or f"[{part['type']}]" for part in content)
        yield (role if role in INK else "assistant"), f"{role}: {content}"


def _scores(scores: Mapping[str, float] | None) -> str:
    if not scores:
        return ""
    return f" ({', '.join(f'{name} {value:.2g}' for name, value in scores.items())})"


def _wrapped(text: str, font: ImageFont.FreeTypeFont) -> Iterator[str]:
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > TEXT_PX:
            yield line
            line = word
        else:
            line = longer
    yield line


def _font() -> ImageFont.FreeTypeFont:
    import matplotlib  # it ships DejaVu; Pillow alone has no face with λ and ε

    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), FONT_PX
    )
