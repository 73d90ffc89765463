"""The model card and ``privacy.json``: what was trained on whom, and what attacks found."""

from typing import Any

from jinja2 import Environment

from conf.schema import Config
from data.policy import Policy
from data.sets import terms
from lineage.run import Manifest

SUITES = ("behaviour", "paraphrases", "text", "flips", "interface", "codes")
CARD = """---
library_name: transformers
pipeline_tag: image-text-to-text
license: apache-2.0
tags: [tact, privacy, {{ kind }}]
---
# {{ run }}

{{ description }}

Trained by Tact in these stages: {{ stages | join(", ") }}. Policy: **{{ policy }}**
({% for a, why in sensitive.items() %}{{ a }} {{ why }}; {% endfor %}{% for a, why in
prohibited.items() %}{{ a }} never: {{ why }}; {% endfor %}not legal advice).

## Privacy
{% if kind == "private" %}A picture leaves the device as {{ tokens }} words, **{{ bits }} bits a
picture and not one more**. That holds for each picture alone; several pictures of one person tell
more.{% else %}The interface is open: visual tokens leave as they are, and tell what they tell.{%
endif %} Training was {% if spent %}**{{ spent }}**; `privacy.json` says what is not accounted.{%
else %}**without differential privacy**: ε = ∞ for everyone it was trained on.{% endif %}

| measured | group | value | interval | n | attacker |
|---|---|---|---|---|---|
{% for m in measures %}| {{ m.name }} | {{ m.group }} | {{ "%.3f"|format(m.value) }} | {{
"%.3f"|format(m.low) }} to {{ "%.3f"|format(m.high) }} | {{ m.n }} {{ m.unit }}s | {{
m.attacker or "" }} |
{% endfor %}
## Use
```python
{{ usage }}```

What the user shares is stated in the system turn, in these words:
`shared by the user: age band senior.`, or `nothing shared by the user.`
"""

PRIVATE_USE = """from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoModelForCausalLM, AutoTokenizer
device = AutoModel.from_pretrained("device", trust_remote_code=True)
pixels = AutoImageProcessor.from_pretrained("device")(PICTURE, return_tensors="pt")
words = device.words(pixels["pixel_values"])[0]  # all that leaves the device
server, tokenizer = AutoModelForCausalLM.from_pretrained("server"), AutoTokenizer.from_pretrained("server")
messages = [{"role": "system", "content": [{"type": "text", "text": "nothing shared by the user."}]}, {"role": "user", "content": [{"type": "text", "text": words + "what colour is my hair?"}]}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
print(tokenizer.decode(server.generate(**inputs, max_new_tokens=24)[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""
OPEN_USE = """from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
model, processor = AutoModelForImageTextToText.from_pretrained("model"), AutoProcessor.from_pretrained("model")
messages = [{"role": "system", "content": [{"type": "text", "text": "nothing shared by the user."}]}, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what colour is my hair?"}]}]
text = processor.apply_chat_template(messages, add_generation_prompt=True)
inputs = processor(text=text, images=PICTURE, return_tensors="pt", add_special_tokens=False)
print(processor.decode(model.generate(**inputs, max_new_tokens=24)[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""


def card(
    config: Config,
    manifest: Manifest,
    policy: Policy,
    report: dict[str, Any] | None,
    *,
    picture_px: int | None,
    spent: str | None = None,
) -> str:
    """README.md of an export; ``picture_px`` is the side that pictures are first resized to.

    ``spent``: what the ledger states, for a run with DP.
    """
    kind = config.model.interface.kind
    return (
        Environment(keep_trailing_newline=True)
        .from_string(CARD)
        .render(
            run=config.run,
            description=config.description,
            kind=kind,
            bits=config.model.interface.bits,
            tokens=config.model.interface.tokens,
            stages=[s.stage for s in manifest.stages],
            policy=policy.name,
            sensitive=policy.sensitive,
            prohibited=policy.prohibited,
            measures=headline(report),
            spent=spent,
            usage=(PRIVATE_USE if kind == "private" else OPEN_USE).replace(
                "PICTURE", _picture(picture_px)
            ),
        )
    )


def headline(report: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A report's own figures, of several attackers the chosen one; its controls stay there."""
    return [
        m
        for m in (report or {}).get("measures", [])
        if m["suite"] in SUITES and (m["chosen_on"] or not m["attacker"])
    ]


def _picture(px: int | None) -> str:
    """How a picture is opened: as the square that the model was trained on, where there is one."""
    opened = 'Image.open("me.png").convert("RGB")'
    return opened if px is None else f"{opened}.resize(({px}, {px}))"


def privacy(
    config: Config,
    manifest: Manifest,
    policy: Policy,
    report: dict[str, Any] | None,
    *,
    ledger: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """``privacy.json``: stated, with what it does not cover. ``ledger``: of a run with DP."""
    private = config.model.interface.kind == "private"
    return {
        "version": 1,
        "differential_privacy": ledger
        or {
            "epsilon": None,
            "unit": "subject",
            "statement": "trained without differential privacy: no bound (epsilon is infinite)",
        },
        "interface": {
            "kind": config.model.interface.kind,
            "bits_per_picture": config.model.interface.bits if private else None,
            "statement": "per picture; several pictures of one person tell more",
        },
        "policy": {
            "name": policy.name,
            "sensitive": policy.sensitive,
            "prohibited": policy.prohibited,
            "bounds": policy.bounds,
        },  # fmt: skip
        "stages": [{"stage": s.stage, "weights_sha256": s.weights_sha256} for s in manifest.stages],
        "data_fingerprint": manifest.data_fingerprint,
        "data_terms": terms.carried(config.data.source),
        "attacks": headline(report),
    }
