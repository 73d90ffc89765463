"""Whether the files of an export are only what they should be: no path, no secret, no row.

Weights are safetensors, of which the header is read; every other file is text and is read whole.
A vocabulary is not searched for names or paths: these are words like others.
"""

import os
import re
import struct
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from conf.schema import Config
from data.prepared import dealt
from export.usage import ASKED, PLAIN, PRIVATE
from lineage.errors import TactError
from lineage.place import CHECKOUT
from lineage.run import RunFolder

KINDS = (".json", ".jinja", ".md", ".model", ".png", ".py", ".safetensors", ".txt")
VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt")
PICTURE = "frontier.png"  # the card's own, the only one
PATH = re.compile(
    r"(?<![\w.:/}-])/(?:home|Users|root|mnt|scratch|tmp|work|data|media|gpfs|lustre|cluster)/[\w.~-]+"
    r"|\b[A-Za-z]:\\Users\\\w+"
)
TOKENS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|gh[opsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|xox[abp]-[\w-]{10,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "MLFLOW_TRACKING_TOKEN",
           "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY")  # fmt: skip
EVERYONE = "everyone"  # a sentence of several people tells none of them
LEAST = 6  # characters of an id that can be told from another word
SENTENCE = 24  # characters of a row's own text, likewise
WORDS = (re.compile(r"[\w.@:+-]+"), re.compile(r"[\w-]+"), re.compile(r"\w+"))  # an id may be each


def check(folder: Path, *, places: Collection[str], rows: "Rows") -> None:
    """TactError that names the first file of ``folder`` that holds what it must not, and why.

    ``places`` are folders of this machine. What was found of a secret or a row is never told.
    """
    for path in sorted(p for p in folder.rglob("*") if not p.is_dir()):
        name = path.relative_to(folder).as_posix()
        if path.suffix not in KINDS or path.is_symlink():
            raise _refused(name, "is of no kind that an export holds", "remove it")
        if path.suffix == ".png":
            if name != PICTURE:
                raise _refused(name, "is a picture that export did not draw", "remove it")
            continue
        text = _header(path, name) if path.suffix == ".safetensors" else _text(path)
        for reason, fix in _reasons(text, places, rows, vocabulary=path.name in VOCABULARIES):
            raise _refused(name, reason, fix)


def places(run: RunFolder) -> set[str]:
    """Folders of this machine that no file may name."""
    here = {run.path, run.path.parent, CHECKOUT, Path.home(), Path.cwd()}
    both = {str(p) for p in here} | {str(p.resolve()) for p in here}
    return {p for p in both if len(p) > len("/xx")}


class Rows:
    """What tells a row of people who are not public: ids, and sentences of one person alone."""

    def __init__(self, ids: Collection[str], sentences: Collection[str]) -> None:
        self.ids = {i for i in ids if len(i) >= LEAST and not i.isdigit()}
        self.sentences = {s for s in sentences if len(s) >= SENTENCE}

    @classmethod
    def of(cls, config: Config) -> "Rows":
        """Those of the config's source, excluded people too. DataError where it is gone."""
        ids, owner = set[str](), dict[str, str]()
        for name, table in dealt(config).items():
            if name in config.data.public:
                continue
            for column in ("subject_id", "picture_id", "row_id"):
                if column in table.column_names:
                    ids.update(map(str, table[column]))
            for column in ("messages", "prompt", "completion", "chosen", "rejected"):
                if column in table.column_names:
                    for who, cell in zip(table["subject_id"], table[column], strict=True):
                        for said in _said(cell):
                            owner[said] = EVERYONE if owner.get(said, who) != who else who
        own = PRIVATE + ASKED + PLAIN  # what each card says
        return cls(ids, [s for s, who in owner.items() if who is not EVERYONE and s not in own])

    def __contains__(self, text: str) -> bool:
        words = {word for kind in WORDS for word in kind.findall(text)}
        return bool(self.ids & words) or any(s in text for s in self.sentences)


def _reasons(
    text: str, places: Collection[str], rows: Rows, *, vocabulary: bool
) -> Iterator[tuple[str, str]]:
    named = any(f"{place}/" in text or f'{place}"' in text for place in places)
    if not vocabulary and (named or PATH.search(text)):
        yield "holds a path of this machine", "take it out of the config or the model's own files"
    if TOKENS.search(text) or any(secret in text for secret in _secrets()):
        yield "holds a token or a key", "take it out, revoke it, and give it by the environment"
    if "data:image/" in text or (not vocabulary and text in rows):
        yield "holds a row of private data", "take it out of the config or the model's own files"


def _secrets() -> Iterator[str]:
    from huggingface_hub import get_token

    for value in (*(os.environ.get(name) for name in SECRETS), get_token()):
        if value and len(value) >= 8:
            yield value


def _said(cell: Any) -> Iterator[str]:
    """The texts of a conversation, in TRL's formats."""
    if isinstance(cell, str):
        yield cell
    elif isinstance(cell, Mapping):
        yield from _said(cell.get("content") or cell.get("text"))
    elif isinstance(cell, list):
        for each in cell:
            yield from _said(each)


def _header(path: Path, name: str) -> str:
    """A safetensors file's header: names, shapes, and whatever was written beside them."""
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < size <= path.stat().st_size:
            raise _refused(name, "is no whole safetensors file", "export again")
        return file.read(size).decode(errors="replace")


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


def _refused(name: str, why: str, fix: str) -> TactError:
    return TactError(f"export refused: {name} {why}; {fix}, then export again")
