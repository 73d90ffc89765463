"""The words of a composed model: a language model's tokenizer that also speaks of pictures."""

from typing import Any

from transformers import AutoTokenizer

from lineage.errors import TactError
from models import pretrained, reach

IMAGE = "<image>"
CHATML_BEGINS = "<|im_start|>"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Before a template of plain text: content blocks become text, a picture its token.
FLATTENED = (
    "{% set all = namespace(messages=[]) %}{% for m in messages %}"
    "{% set said = namespace(text='') %}"
    "{% if m['content'] is string %}{% set said.text = m['content'] %}"
    "{% else %}{% for c in m['content'] %}"
    "{% set said.text = said.text + ('<image>' if c['type'] == 'image' else c['text']) %}"
    "{% endfor %}{% endif %}"
    "{% set all.messages = all.messages + [{'role': m['role'], 'content': said.text}] %}"
    "{% endfor %}{% set messages = all.messages %}"
)


def tokenizer(name: str, *, key: str, revision: str | None = None) -> Any:
    """The tokenizer of a Hub id or folder, with the image token and a template that writes it.

    That is its own chat template, or ChatML where it has none but knows ChatML, or its own is that.
    Raises TactError, naming ``key``, where there is no tokenizer or it has neither.
    """
    missing = (
        f"{key}={name}: it has no tokenizer that can be read. Put tokenizer.json and "
        "tokenizer_config.json into the folder, or name another by model.parts.tokenizer"
    )
    try:
        words = AutoTokenizer.from_pretrained(name, revision=revision)
    except pretrained.FAILURES as error:
        if reach.why(error, name, revision) is not None:
            raise pretrained.refusal(error, key=key, name=name, revision=revision) from error
        raise TactError(missing) from error
    if len(words) <= len(words.all_special_tokens):  # what transformers makes of no file at all
        raise TactError(missing)
    own = words.chat_template
    if own and CHATML_BEGINS not in own:
        words.chat_template = FLATTENED + own
    elif CHATML_BEGINS in words.get_vocab():
        words.chat_template = CHATML
    else:
        raise TactError(
            f"{key}={name}: its tokenizer has no chat template and doesn't know ChatML "
            f"({CHATML_BEGINS}). Take an instruction-tuned language model"
        )
    words.pad_token = words.pad_token or words.eos_token
    words.add_special_tokens({"extra_special_tokens": [IMAGE]}, replace_extra_special_tokens=False)
    return words
