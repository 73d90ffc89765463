"""Chat templates as they are published (TRL's package has them), with the tiny families."""

from importlib.resources import files
from typing import Any

import pytest
import tiny_families
from family_rows import CHOSEN, QUESTION, REJECTED, both_kinds, columns, family, row, turn

SHIPPED = {  # family → TRL's file
    "gemma3": "gemma3", "idefics3": "idefics3", "llava": "llava_next", "qwen2_5_vl": "qwen2_5_vl",
    "qwen3_vl": "qwen3_vl", "smolvlm": "smolvlm",
}  # fmt: skip
SYSTEM = "nothing shared ."
MORE = "at the park , who is it ?"


def published(name: str) -> tuple[Any, Any]:
    """A tiny model, and its processor with the template of its family's published models."""
    whole, processor = tiny_families.make(name)
    file = files("trl").joinpath("chat_templates", f"{SHIPPED[name]}.jinja")
    processor.chat_template = processor.tokenizer.chat_template = file.read_text()
    return whole, processor


@both_kinds
@pytest.mark.parametrize("name", SHIPPED)
def test_answers_and_nothing_else_are_learnt_under_a_published_template(
    name: str, kind: str
) -> None:
    model = family(name, kind, given=published(name))
    encoder = model.parts.encoder
    decode = encoder.tokenizer.decode
    pair = row(model, seed=1)
    assert pair.prompt.count(encoder.image_token_id) == encoder.tokens_per_picture
    assert SYSTEM in decode(pair.prompt) and QUESTION in decode(pair.prompt)
    for answer, said in zip(pair.answers, (CHOSEN, REJECTED), strict=True):
        assert said in decode(answer) and not decode(answer).strip().endswith(said)  # and its end
    turns = [turn("system", SYSTEM), turn("user", QUESTION), turn("assistant", CHOSEN),
             turn("user", MORE), turn("assistant", REJECTED)]  # fmt: skip
    talk = row(model, messages=turns)
    [ids], [learnt] = talk.answers, talk.supervised
    spoken = decode([i for i, each in zip(ids, learnt, strict=True) if each])
    given = decode([i for i, each in zip(ids, learnt, strict=True) if not each])
    assert CHOSEN in spoken and REJECTED in spoken and MORE not in spoken
    assert MORE in given and CHOSEN not in given and REJECTED not in given


@pytest.mark.parametrize("name", SHIPPED)
def test_a_prompt_is_what_the_familys_own_processor_makes_of_the_template(name: str) -> None:
    whole, processor = published(name)
    model = family(name, "open", given=(whole, processor))
    cells = columns(model, seed=1)
    blocks = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    turns = [turn("system", [{"type": "text", "text": SYSTEM}]), turn("user", blocks)]
    text = processor.apply_chat_template(turns, add_generation_prompt=True)
    made = processor(text=[text], images=[cells["images"]], add_special_tokens=False)
    assert list(made["input_ids"][0]) == row(model, seed=1).prompt
