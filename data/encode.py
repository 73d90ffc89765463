"""Rows to token ids: ``[prompt | answer]`` and ``[prompt | chosen | rejected]``.

Text is templated once as a whole and cut where the assistant speaks, and each piece is encoded
on its own: so what is supervised is known by position, never searched for among ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from data.attributes import CLASSES, SENSITIVE, class_index
from data.pictures import shown_in


class Encoder(Protocol):
    """What the collator needs of a model's tokenizer and image processor."""

    @property
    def tokenizer(self) -> Any: ...
    @property
    def pad_token_id(self) -> int: ...
    @property
    def image_token(self) -> str: ...
    @property
    def image_token_id(self) -> int: ...
    @property
    def tokens_per_picture(self) -> int: ...
    @property
    def max_pictures(self) -> int: ...
    def render(self, messages: Sequence[dict[str, Any]], *, prompt: bool = False) -> str: ...
    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...
    def pixels(self, images: Sequence[Any]) -> Any: ...
    def preprocessing(self) -> bytes: ...
    def wording(self) -> bytes: ...


class RowError(ValueError):
    """Why a row is rejected."""


@dataclass(frozen=True)
class EncodedRow:
    """A row as ids. ``answers`` holds one (messages) or two (chosen, rejected)."""

    row_id: str
    pictures: tuple[Any, ...]  # as the image column holds them, undecoded
    prompt: list[int]
    answers: tuple[list[int], ...]
    supervised: tuple[list[bool], ...]  # by answer: whether the position is learnt
    emphasis: tuple[list[bool], ...]  # by answer: whether it carries a class or fact
    labels: dict[str, int]  # -1 where unknown
    unshared: tuple[bool, ...]  # by sensitive attribute
    scores: tuple[float, float, float, float]  # chosen and rejected: personalization, leakage
    subject: str = ""  # who is in it; empty where the source names nobody

    def __len__(self) -> int:
        return len(self.prompt) + sum(len(answer) for answer in self.answers)


def encode(row: Mapping[str, Any], encoder: Encoder) -> EncodedRow:
    """One row as ids; RowError says why it can't be."""
    pictures = shown_in(row)
    if not pictures:
        raise RowError("no picture")
    if len(pictures) > encoder.max_pictures:
        raise RowError(f"{len(pictures)} pictures; the model takes {encoder.max_pictures}")
    prompt, answers = _pieces(row, encoder)
    emphasis = set(row.get("emphasis") or ())
    ids, marks, heavy = [], [], []
    for pieces in answers:
        encoded = encoder.encode([text for text, _ in pieces])
        ids.append([i for piece in encoded for i in piece])
        marks.append(
            [spoken for piece, (_, spoken) in zip(encoded, pieces, strict=True) for _ in piece]
        )
        heavy.append(_emphasised(ids[-1], emphasis, encoder.tokenizer))
    prompt_ids = encoder.encode([prompt])[0]
    images = prompt_ids.count(encoder.image_token_id)
    if images != len(pictures) * encoder.tokens_per_picture:
        raise RowError(
            f"{images // encoder.tokens_per_picture} image tokens for {len(pictures)} pictures"
        )
    if any(encoder.image_token_id in answer for answer in ids):
        raise RowError("an image token after the first assistant turn begins")
    return EncodedRow(
        row_id=str(row["row_id"]),
        pictures=pictures,
        prompt=prompt_ids,
        answers=tuple(ids),
        supervised=tuple(marks),
        emphasis=tuple(heavy),
        labels=labels(row.get("attributes") or {}),
        unshared=unshared(row.get("shared") or {}),
        scores=_scores(row),
        subject=str(row.get("subject_id") or ""),
    )


def prompt_text(row: Mapping[str, Any], encoder: Encoder) -> str:
    """The text of a row's ``prompt``, with the answer's opening."""
    return encoder.render(_structured(row["prompt"], row), prompt=True)


def labels(attributes: Mapping[str, str | None]) -> dict[str, int]:
    """Class index of each known attribute, -1 where unknown; RowError on an unknown class."""
    found = {name: -1 for name in CLASSES}
    for name, value in attributes.items():
        if value is not None:
            try:
                found[name] = class_index(name, value)
            except ValueError as error:
                raise RowError(str(error)) from None
    return found


def unshared(shared: Mapping[str, str | None]) -> tuple[bool, ...]:
    """For each sensitive attribute, whether the user kept it; RowError on an unknown one."""
    for name, value in shared.items():
        if name not in SENSITIVE:
            raise RowError(f"shared: {name!r} is no sensitive attribute ({', '.join(SENSITIVE)})")
        if value is not None and value not in SENSITIVE[name]:
            raise RowError(f"shared: unknown class {value!r} of {name!r}")
    return tuple(shared.get(name) is None for name in SENSITIVE)


def _pieces(row: Mapping[str, Any], encoder: Encoder) -> tuple[str, list[list[tuple[str, bool]]]]:
    if row.get("chosen"):
        prompt = _structured(row.get("prompt") or [], row)
        text = encoder.render(prompt, prompt=True)
        return text, [
            [(_after(text, prompt + _structured(row[key], None), encoder), True)]
            for key in ("chosen", "rejected")
        ]
    messages = list(row.get("messages") or [])
    if not messages and row.get("prompt"):
        messages = [*row["prompt"], *(row.get("completion") or [])]
    if not messages:
        raise RowError("neither messages nor prompt/chosen/rejected")
    return _turns(_structured(messages, row), encoder)


def _turns(
    messages: list[dict[str, Any]], encoder: Encoder
) -> tuple[str, list[list[tuple[str, bool]]]]:
    places = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    if not places:
        raise RowError("no assistant turn to learn from")
    if places[0] == 0:
        raise RowError("the conversation begins with the assistant; no turn before it")
    opening = encoder.render(messages[: places[0]], prompt=True)
    done, pieces = opening, []
    for i in places:
        before = encoder.render(messages[:i], prompt=True)
        if i != places[0]:
            pieces.append((_rest(done, before), False))
        after = encoder.render(messages[: i + 1])
        pieces.append((_rest(before, after), True))
        done = after
    return opening, [pieces]


def _after(text: str, messages: list[dict[str, Any]], encoder: Encoder) -> str:
    return _rest(text, encoder.render(messages))


def _rest(before: str, whole: str) -> str:
    if not whole.startswith(before):
        raise RowError(
            "the chat template does not keep a conversation's beginning when a turn is added"
        )
    return whole[len(before) :]


def _structured(
    messages: Sequence[Mapping[str, Any]], row: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Messages with content blocks; pictures stand in the first user turn unless placed."""
    pictures = 0
    if row is not None and all(isinstance(m["content"], str) for m in messages):
        pictures = len(shown_in(row))
    result = []
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            blocks: list[dict[str, Any]] = [{"type": "text", "text": content}]
            if pictures and message["role"] == "user":
                blocks = [{"type": "image"}] * pictures + blocks
                pictures = 0
        else:
            blocks = [{k: v for k, v in b.items() if k in ("type", "text")} for b in content]
        result.append({"role": message["role"], "content": blocks})
    return result


def _emphasised(ids: Sequence[int], words: set[str], tokenizer: Any) -> list[bool]:
    if not words:
        return [False] * len(ids)
    return [tokenizer.decode([i]).strip().lower() in words for i in ids]


def _scores(row: Mapping[str, Any]) -> tuple[float, float, float, float]:
    chosen, rejected = row.get("chosen_scores") or {}, row.get("rejected_scores") or {}
    return (
        float(chosen.get("personalization", 1.0)),
        float(chosen.get("leakage", 0.0)),
        float(rejected.get("personalization", 0.0)),
        float(rejected.get("leakage", 0.0)),
    )
