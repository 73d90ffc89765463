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
from lineage.place import CHECKOUT, place
from lineage.run import RunFolder
from models import origin

KINDS = (".json", ".jinja", ".md", ".model", ".png", ".py", ".safetensors", ".txt")
VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt")
PICTURE = "frontier.png"  # the card's own, the only one
PATH = re.compile(
    r"(?<![\w.:/}-])/(?:home|Users|Volumes|root|mnt|scratch|tmp|work|workspace|data|media|gpfs|lustre"
    r"|cluster|nfs|opt|var|srv|storage|projects?)/[\w.~-]+"
    r"|(?<![\w.:/~-])~/[\w.-]|\bfile:/+[\w.~]|\b[A-Za-z]:(?:/\w|[\\/]+Users[\\/]+\w)"
)
TOKENS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|gh[opsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|xox[abp]-[\w-]{10,}|npm_[A-Za-z0-9]{30,}"
    r"|AIza[\w-]{30,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"  # the last: a JSON web token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|://[^\s/:@\"'<>{}]+:[^\s/@\"'<>{}]+@[\w.-]"  # user:password@host in an address
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


def places(run: RunFolder, config: Config) -> set[str]:
    """Folders of this machine that no file may name: the run's, and those that its config names."""
    here = {run.path, run.path.parent, CHECKOUT, Path.home(), Path.cwd(), *_named(config)}
    both = {str(p.absolute()) for p in here} | {str(p.resolve()) for p in here}
    return {p for p in both if len(p) > len("/xx")}


def _named(config: Config) -> Iterator[Path]:
    """What the config reads and writes that lies on this machine: cache, source, models."""
    yield from (place(config.cache), place(config.checkpoints))
    for name in (*config.data.source.values(), *origin.named(config.model).values()):
        if isinstance(name, str):
            path = Path(name).expanduser()
            if name.startswith(("/", "~")) or path.exists():
                yield path


class Rows:
    """What tells a row of people who are not public: ids, and sentences of one person alone."""

    def __init__(self, ids: Collection[str], sentences: Collection[str]) -> None:
        self.ids = {i for i in ids if len(i) >= LEAST and not i.isdigit()}
        self.spaced: dict[str, list[str]] = {}  # longest word → ids of several words
        for i in self.ids:
            if not WORDS[0].fullmatch(i):
                self.spaced.setdefault(max(WORDS[-1].findall(i), key=len, default=""), []).append(i)
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
        several = [i for word in self.spaced.keys() & words for i in self.spaced[word]]
        return (
            bool(self.ids & words)
            or any(re.search(rf"(?<!\w){re.escape(i)}(?!\w)", text) for i in several)
            or any(s in text for s in self.sentences)
        )


def _reasons(
    text: str, places: Collection[str], rows: Rows, *, vocabulary: bool
) -> Iterator[tuple[str, str]]:
    named = any(re.search(rf"(?<![\w./}}<-]){re.escape(p)}(?![\w-])", text) for p in places)
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
