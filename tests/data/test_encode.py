"""TRL's formats load unchanged; what is supervised; rows that can't be trained on."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from PIL import Image

from data.encode import RowError, encode
from data.errors import DataError
from data.preparing import encoded_set
from data.sources import conversations
from train.rows import StepSampler


def turn(role: str, text: Any) -> dict[str, Any]:
    return {"role": role, "content": text}


def row(**columns: Any) -> dict[str, Any]:
    return {"row_id": "r", "images": [Image.new("RGB", (8, 8))], **columns}


@pytest.fixture(scope="module")
def encoder(healthcare: Any, tiny: Any) -> Any:
    return tiny(policy=healthcare).parts.encoder


CONVERSATION = [turn("user", "what colour is my hair?"), turn("assistant", "your hair is red.")]
FORMATS = {
    "language modelling": {"messages": CONVERSATION},
    "prompt and completion": {"prompt": CONVERSATION[:1], "completion": CONVERSATION[1:]},
    "blocks": {
        "messages": [
            turn("user", [{"type": "image", "text": None},
                          {"type": "text", "text": "what colour is my hair?"}]),
            turn("assistant", [{"type": "text", "text": "your hair is red."}]),
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_trls_supervised_formats_give_the_same_row(encoder: Any, name: str) -> None:
    found = encode(row(**FORMATS[name]), encoder)
    text = encoder.tokenizer.decode(found.answers[0])
    assert text.strip() == "your hair is red.<eos>"
    assert all(found.supervised[0])
    assert found.prompt.count(encoder.image_token_id) == encoder.tokens_per_picture
    assert found.prompt == encode(row(**FORMATS["language modelling"]), encoder).prompt


def test_a_pair_has_one_prompt_and_two_answers(encoder: Any) -> None:
    pair = row(
        prompt=CONVERSATION[:1],
        chosen=[turn("assistant", "your hair is red.")],
        rejected=[turn("assistant", "no.")],
        chosen_scores={"personalization": 1.0, "leakage": 0.0},
        rejected_scores={"personalization": 0.5, "leakage": 1.0},
    )
    found = encode(pair, encoder)
    assert [encoder.tokenizer.decode(a).strip() for a in found.answers] == [
        "your hair is red.<eos>", "no.<eos>",
    ]  # fmt: skip
    assert found.scores == (1.0, 0.0, 0.5, 1.0)


def test_every_assistant_turn_is_learnt_and_no_user_turn(encoder: Any) -> None:
    talk = [*CONVERSATION, turn("user", "where am i?"), turn("assistant", "you are at the park.")]
    found = encode(row(messages=talk), encoder)
    learnt = [i for i, s in zip(found.answers[0], found.supervised[0], strict=True) if s]
    text = encoder.tokenizer.decode(learnt)
    assert "red" in text and "park" in text and "where" not in text


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"images": []}, "no picture"),
        ({"images": [Image.new("RGB", (8, 8))] * 2}, "2 pictures; the model takes 1"),
        (
            {"messages": [turn("user", [{"type": "text", "text": "hi."}]), *CONVERSATION[1:]]},
            "0 image tokens for 1 pictures",
        ),
        ({"messages": CONVERSATION[1:]}, "begins with the assistant"),
        ({"messages": CONVERSATION[:1]}, "no assistant turn"),
        ({"messages": []}, "neither"),
        ({"attributes": {"gender": "robot"}}, "unknown class 'robot'"),
        ({"attributes": {"height": "tall"}}, "unknown attribute"),
        ({"shared": {"hair": "red"}}, "no sensitive attribute"),
        ({"shared": {"age": "old"}}, "unknown class"),
    ],
)
def test_a_bad_row_says_why(encoder: Any, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(RowError, match=said):
        encode(row(**{"messages": CONVERSATION, **columns}), encoder)


def test_rejects_are_counted_named_and_bounded(encoder: Any, tmp_path: Path) -> None:
    good, cut = tmp_path / "good.png", tmp_path / "cut.png"
    Image.new("RGB", (64, 64), "red").save(good)
    cut.write_bytes(good.read_bytes()[:60])
    rows = Dataset.from_list(
        [
            {"row_id": f"r{i}", "image": str(path), "messages": CONVERSATION}
            for i, path in enumerate([good] * 9 + [cut])
        ]
    )
    rejects = tmp_path / "rejects.jsonl"
    options = {"max_length": 200, "rejects": rejects, "cache": tmp_path / "cache"}
    found = encoded_set(rows, encoder, max_rejects=0.1, **options)  # type: ignore[arg-type]
    assert len(found.rows) == 9
    named = json.loads(rejects.read_text())
    assert named["row_id"] == "r9" and "cut.png" in named["reason"]
    with pytest.raises(DataError, match="1 of 10 rows are bad"):
        encoded_set(rows, encoder, max_rejects=0.05, **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="max_length_tokens"):
        encoded_set(rows, encoder, max_rejects=0.1, **{**options, "max_length": 10})  # type: ignore[arg-type]


def test_pictures_of_a_size_that_the_processor_refuses_are_named(
    tiny: Any, healthcare: Any, tmp_path: Path
) -> None:
    encoder = tiny(policy=healthcare).parts.encoder
    encoder.image_processor.do_resize = False
    rows = []
    for name, size in {"fits": (96, 96), "wide": (200, 96), "wider": (200, 96)}.items():
        Image.new("RGB", size, "red").save(tmp_path / f"{name}.png")
        rows.append(
            {"row_id": name, "image": str(tmp_path / f"{name}.png"), "messages": CONVERSATION}
        )
    options = {
        "max_length": 200, "rejects": tmp_path / "rejects", "cache": tmp_path / "cache",
    }  # fmt: skip
    given = Dataset.from_list(rows)
    found = encoded_set(given, encoder, max_rejects=0.7, **options)  # type: ignore[arg-type]
    assert [each.row_id for each in found.rows] == ["fits"]
    named = [json.loads(line) for line in (tmp_path / "rejects").read_text().splitlines()]
    assert [each["row_id"] for each in named] == ["wide", "wider"]
    assert all(f"{each['row_id']}.png" in each["reason"] for each in named)
    with pytest.raises(DataError, match=r"2 of 3 .*2 x pictures of 200 x 96 px are refused"):
        encoded_set(given, encoder, max_rejects=0.1, **options)  # type: ignore[arg-type]


def test_a_set_made_for_trl_loads_unchanged(tmp_path: Path, encoder: Any) -> None:
    from datasets import Features, List, Value
    from datasets import Image as Column

    turns = List({"role": Value("string"), "content": Value("string")})
    made = Dataset.from_list(
        [{"images": [Image.new("RGB", (8, 8))], "prompt": CONVERSATION[:1],
          "chosen": CONVERSATION[1:], "rejected": [turn("assistant", "no.")]}],
        features=Features(
            {"images": List(Column()), "prompt": turns, "chosen": turns, "rejected": turns}
        ),
    )  # fmt: skip
    made.save_to_disk(str(tmp_path / "set"))
    rows = conversations(path=str(tmp_path / "set"))
    found = encoded_set(
        rows, encoder, max_length=200, max_rejects=0.0, rejects=tmp_path / "rejects",
        cache=tmp_path / "cache",
    )  # fmt: skip
    assert len(found.rows[0].answers) == 2 and rows["subject_id"] == ["r0000000"]
    with pytest.raises(DataError, match="can't be read"):
        conversations(path=str(tmp_path / "none.jsonl"))


def test_the_order_of_rows_depends_on_the_step_alone() -> None:
    whole = list(StepSampler(10, batch=3, steps=12, seed=5))
    assert whole[7:] == list(StepSampler(10, batch=3, steps=12, seed=5, start=7))
    first_epoch = [i for batch in whole[:3] for i in batch]
    assert len(set(first_epoch)) == 9
    assert whole != list(StepSampler(10, batch=3, steps=12, seed=6))
