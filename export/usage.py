"""Ten lines that load an export and ask it something, as its card shows them.

Where the processor has no chat template (PaliGemma's), it is given the text as the model read it
in training, and writes ``<bos>`` and the line's end itself.
"""

from dataclasses import dataclass

PRIVATE = """from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoModelForCausalLM, AutoTokenizer
device = AutoModel.from_pretrained("device", trust_remote_code=True)
pixels = AutoImageProcessor.from_pretrained("device")(PICTURE, return_tensors="pt")
words = device.words(pixels["pixel_values"])[0]  # all that leaves the device
server, tokenizer = AutoModelForCausalLM.from_pretrained("server"), AutoTokenizer.from_pretrained("server")
messages = [{"role": "system", "content": [{"type": "text", "text": "nothing shared by the user."}]}, {"role": "user", "content": [{"type": "text", "text": words + "what colour is my hair?"}]}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
print(tokenizer.decode(server.generate(**inputs, max_new_tokens=24)[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""
ASKED = """messages = [{"role": "system", "content": [{"type": "text", "text": "nothing shared by the user."}]}, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what colour is my hair?"}]}]
text = processor.apply_chat_template(messages, add_generation_prompt=True)
inputs = processor(text=text, images=PICTURE, return_tensors="pt", add_special_tokens=False)
"""
PLAIN = """text = processor.image_token + "nothing shared by the user.\\nwhat colour is my hair?"
inputs = processor(text=text, images=PICTURE, return_tensors="pt")
"""
SAID = """print(processor.decode(model.generate(**inputs, max_new_tokens=24)[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""
OPEN = """from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
model, processor = AutoModelForImageTextToText.from_pretrained("model"), AutoProcessor.from_pretrained("model")
"""
ADAPTER = """from PIL import Image
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor
model = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(BASE), "adapter")
processor = AutoProcessor.from_pretrained("adapter")
"""


@dataclass(frozen=True)
class Base:
    """What an adapter is laid over: a Hub id, and the commit that the run began with.

    ``checked``: that id is what was trained; else it was named by ``export.base``, and nobody
    looked whether its weights are the same.
    """

    id: str
    revision: str | None
    checked: bool


def usage(*, kind: str, base: Base | None, picture_px: int | None, template: bool) -> str:
    """The lines for an interface of that kind; of an adapter where ``base`` is given.

    ``picture_px`` is the side that pictures are first resized to, where the model wants one;
    ``template`` is whether the export holds a chat template.
    """
    loaded = OPEN if base is None else ADAPTER.replace("BASE", _named(base))
    lines = PRIVATE if kind == "private" else loaded + (ASKED if template else PLAIN) + SAID
    return lines.replace("PICTURE", _picture(picture_px))


def _named(base: Base) -> str:
    at = "" if base.revision is None else f', revision="{base.revision}"'
    return f'"{base.id}"{at}'


def _picture(px: int | None) -> str:
    """How a picture is opened: as the square that the model was trained on, where there is one."""
    opened = 'Image.open("me.png").convert("RGB")'
    return opened if px is None else f"{opened}.resize(({px}, {px}))"
