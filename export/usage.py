"""Ten lines that load an export and ask it something, as its card shows them."""

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
print(processor.decode(model.generate(**inputs, max_new_tokens=24)[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""
OPEN = f"""from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
model, processor = AutoModelForImageTextToText.from_pretrained("model"), AutoProcessor.from_pretrained("model")
{ASKED}"""
ADAPTER = f"""from PIL import Image
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor
model = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained("BASE"), "adapter")
processor = AutoProcessor.from_pretrained("adapter")
{ASKED}"""


def usage(*, kind: str, base: str | None, picture_px: int | None) -> str:
    """The lines for an interface of that kind; of an adapter where ``base`` is given.

    ``picture_px`` is the side that pictures are first resized to, where the model wants one.
    """
    lines = PRIVATE if kind == "private" else OPEN if base is None else ADAPTER
    return lines.replace("PICTURE", _picture(picture_px)).replace("BASE", base or "")


def _picture(px: int | None) -> str:
    """How a picture is opened: as the square that the model was trained on, where there is one."""
    opened = 'Image.open("me.png").convert("RGB")'
    return opened if px is None else f"{opened}.resize(({px}, {px}))"
