"""LLaVA's training sets (Liu et al. 2023): a JSON list of ``id``, ``image``, ``conversations``.

A picture stands before the first question, as LLaVA's own training puts it, wherever ``<image>``
is written. Rows of text alone (in the 665k mix) are left out. Nobody is named, so each picture is
its own person; nothing is labelled, so a stage takes rows by ``data.sources.own_rows``.
"""

import json
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image

from data.dialogues.features import TEXT, TURNS
from data.errors import DataError
from data.picture_files import whole
from data.sets import terms
from data.sets.chunks import built
from data.sets.labelled import there

FEATURES = Features(
    {"row_id": TEXT, "picture_id": TEXT, "subject_id": TEXT, "image": Image(), "messages": TURNS}
)
ROLES = {"human": "user", "gpt": "assistant"}
READ_CHARACTERS = 1 << 20  # at once; a row is shorter


def llava_pretrain(
    *,
    path: str,
    table: str = "blip_laion_cc_sbu_558k.json",
    images: str | None = None,
    cache: str | Path = "",
) -> Dataset:
    """LLaVA-Pretrain: a caption a picture. ``images``: where they lie, else ``path/images``.

    Raises DataError.
    """
    return _conversations("llava_pretrain", path, table, images, cache)


def llava_instruct(
    *,
    path: str,
    table: str = "llava_instruct_150k.json",
    images: str | None = None,
    accept_terms: bool = False,
    cache: str | Path = "",
) -> Dataset:
    """LLaVA-Instruct-150K, or the 665k mix by ``table``: conversations of several turns.

    ``images``: the folder that their names are relative to, else ``path/images`` or ``path``.
    Raises DataError.
    """
    terms.need("llava_instruct", accepted=accept_terms)
    return _conversations("llava_instruct", path, table, images, cache)


def _conversations(
    name: str, path: str, table: str, images: str | None, cache: str | Path
) -> Dataset:
    folder = Path(path).expanduser()
    file = there(folder, table, of=terms.TERMS[name].name)
    inside = folder / "images"
    where = Path(images).expanduser() if images else inside if inside.is_dir() else folder
    return built(
        lambda out: _rows(file, where, out),
        features=FEATURES,
        cache=cache,
        known_by=[name, file, str(where)],
    )


def _rows(file: Path, where: Path, out: Set[str]) -> Iterator[dict[str, Any]]:
    for number, raw in enumerate(objects(file)):
        if missing := [name for name in ("id", "conversations") if name not in raw]:
            raise DataError(
                f"{file.name} row {number}: it lacks {', '.join(missing)} (it has "
                f"{', '.join(raw)}): take LLaVA's file as published, or data=conversations"
            )
        if not raw.get("image"):
            continue
        picture = str(where / raw["image"])
        list(whole([(picture, raw["image"])], out=out))  # raises
        yield {
            "row_id": f"r{number:07d}",
            "picture_id": raw["image"],
            "subject_id": raw["image"],
            "image": {"path": picture, "bytes": None},
            "messages": _messages(raw["conversations"], f"{file.name} row {number}"),
        }


def _messages(turns: list[Mapping[str, str]], where: str) -> list[dict[str, str]]:
    said = [(ROLES.get(turn.get("from", "")), turn.get("value")) for turn in turns]
    wanted = [("user", "assistant")[i % 2] for i in range(len(said))]
    if not said or [role for role, _ in said] != wanted or any(text is None for _, text in said):
        raise DataError(
            f"{where}: its conversation is not human and gpt in turn, each with a value: take "
            "LLaVA's file as published, or data=conversations"
        )
    return [
        {"role": role, "content": str(text).replace("<image>", "").strip()}
        for role, (_, text) in zip(wanted, said, strict=True)
    ]


def objects(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list, one after the other; the file is never held whole.

    DataError where it is no list of objects, or is cut off.
    """
    decoder = json.JSONDecoder()
    with file.open(encoding="utf-8-sig") as text:
        left = text.read(READ_CHARACTERS).lstrip()
        if not left.startswith("["):
            raise DataError(f"{file.name}: it is no JSON list; take the file as published")
        at = 1
        while True:
            left = left[at:].lstrip(" \r\n\t,")
            if left.startswith("]"):
                return
            try:
                if not left.startswith("{"):
                    raise ValueError
                found, at = decoder.raw_decode(left)
            except ValueError:
                more = text.read(READ_CHARACTERS)
                if not more:
                    raise DataError(f"{file.name}: cut off, or no list of objects") from None
                left, at = left + more, 0
                continue
            yield found
