"""USER-VLM 360's three sets (Rahimi et al. 2025) as the Hub gives them: Parquet files of columns.

pt: image, text; instruct: image, question, answer; dpo: prompt, chosen, rejected, image, category.
Pictures lie in the files; they are laid beside the table, each once. Nobody is named: rows that
show the same picture are of one person. Stages take rows by ``data.sources.own_rows``.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset, Features, Image, concatenate_datasets

from data.dialogues.features import TEXT, TURNS
from data.dialogues.phrasings import CAPTION
from data.errors import DataError
from data.sets import terms
from data.sets.chunks import FOLDER, built
from data.sets.labelled import columns
from lineage.files import write_bytes

PICTURES = "pictures"  # below the cache's folder of sets
BATCH_ROWS = 64
PARTS = ("pt", "instruct", "dpo")
FEATURES = Features(
    {
        "row_id": TEXT, "picture_id": TEXT, "subject_id": TEXT, "part": TEXT, "image": Image(),
        "messages": TURNS, "prompt": TURNS, "chosen": TURNS, "rejected": TURNS, "category": TEXT,
    }
)  # fmt: skip


def user_vlm_pt(*, path: str, question: str = CAPTION[1], cache: str | Path = "") -> Dataset:
    """Descriptions of faces as answers to ``question``. Raises DataError."""
    return _read("pt", path, cache, ("image", "text"),
                 lambda row: {"messages": _turns(question, row["text"])})  # fmt: skip


def user_vlm_instruct(*, path: str, cache: str | Path = "") -> Dataset:
    """A question and its answer a row. Raises DataError."""
    return _read("instruct", path, cache, ("image", "question", "answer"),
                 lambda row: {"messages": _turns(row["question"], row["answer"])})  # fmt: skip


def user_vlm_dpo(*, path: str, cache: str | Path = "") -> Dataset:
    """A preference pair a row. Raises DataError."""
    wanted = ("prompt", "chosen", "rejected", "image", "category")
    return _read("dpo", path, cache, wanted, _pair)


def user_vlm(*, path: str, question: str = CAPTION[1], cache: str | Path = "") -> Dataset:
    """All three, from ``path/pt``, ``path/instruct`` and ``path/dpo``, as one source.

    Its stages' rows come by ``part_rows``. Raises DataError.
    """
    tables = [
        user_vlm_pt(path=f"{path}/pt", question=question, cache=cache),
        user_vlm_instruct(path=f"{path}/instruct", cache=cache),
        user_vlm_dpo(path=f"{path}/dpo", cache=cache),
    ]
    return concatenate_datasets(tables)


def part_rows(
    pictures: Dataset, *, seed: int, policy: Any, part: str, count: int | None = None
) -> Dataset:
    """A stage's rows from one of the three sets of ``user_vlm``, at most ``count``."""
    del seed, policy
    if part not in PARTS:
        raise DataError(f"stage.rows.part={part}: choose one of {', '.join(PARTS)}")
    own = [i for i, name in enumerate(pictures["part"]) if name == part]
    return pictures.select(own if count is None else own[:count])


def _turns(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _pair(row: Mapping[str, Any]) -> dict[str, Any]:
    asked, chosen = _turns(row["prompt"], row["chosen"])
    rejected = _turns("", row["rejected"])[1]
    return {"prompt": [asked], "chosen": [chosen], "rejected": [rejected],
            "category": row["category"]}  # fmt: skip


def _read(
    part: str,
    path: str,
    cache: str | Path,
    wanted: tuple[str, ...],
    said: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Dataset:
    of = terms.TERMS[f"user_vlm_{part}"].name
    folder = Path(path).expanduser()
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise DataError(
            f"data.source.path={folder.name}: it holds no .parquet; give the folder that "
            f"{of} was fetched into"
        )
    laid = Path(cache).expanduser() / FOLDER / PICTURES

    def rows(out: Set[str]) -> Iterator[dict[str, Any]]:
        for number, (file, row) in enumerate(_raw(files, wanted, of=of)):
            if any(row[column] is None for column in wanted if column != "category"):
                raise DataError(f"{file.name} row {number}: an empty cell; fetch the set again")
            picture = _laid(row["image"], laid, f"{file.name} row {number}", out=out)
            yield {
                "row_id": f"{part}{number:07d}",
                "part": part,
                "picture_id": picture.stem,
                "subject_id": picture.stem,
                "image": {"path": str(picture), "bytes": None},
                **dict.fromkeys(("messages", "prompt", "chosen", "rejected", "category")),
                **said(row),
            }

    known_by = [part, *files, wanted, said(dict.fromkeys(wanted, ""))]
    return built(rows, features=FEATURES, cache=cache, known_by=known_by)


def _raw(
    files: list[Path], wanted: tuple[str, ...], *, of: str
) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in files:
        try:
            table = pq.ParquetFile(file)
        except (OSError, ValueError) as error:  # a file of 0 bytes too
            first = str(error).splitlines()[0]
            raise DataError(f"{file.name}: it can't be read ({first}); fetch it again") from error
        columns(table.schema_arrow.names, wanted, file=file, of=of)
        for batch in table.iter_batches(BATCH_ROWS, columns=list(wanted)):
            yield from ((file, row) for row in batch.to_pylist())


def _laid(image: Any, folder: Path, where: str, *, out: Set[str]) -> Path:
    """The picture as a file named by its hash; of those in ``out`` the name alone."""
    content = image.get("bytes") if isinstance(image, Mapping) else None
    if not content:
        raise DataError(f"{where}: its picture has 0 bytes; fetch the set again")
    kind = Path(image.get("path") or "").suffix
    path = folder / f"{hashlib.sha256(content).hexdigest()[:24]}{kind}"
    if path.stem not in out and not path.exists():
        write_bytes(path, content, mode=0o600)
    return path
