"""The columns of rows, as ``datasets`` features."""

from datasets import Features, Image, List, Value

from data.attributes import CLASSES, SENSITIVE

TEXT = Value("string")
TURNS = List({"role": TEXT, "content": TEXT})
ATTRIBUTES = {name: TEXT for name in CLASSES}
SHARED = {name: TEXT for name in SENSITIVE}
SCORES = {"personalization": Value("float32"), "leakage": Value("float32")}

PICTURES = Features(
    {"picture_id": TEXT, "subject_id": TEXT, "image": Image(), "attributes": ATTRIBUTES}
)
NAMED = Features({**PICTURES, "names": List(TEXT)})  # of a person of several, all of them
_SHOWN = {
    "row_id": TEXT,
    "picture_id": TEXT,
    "subject_id": TEXT,
    "images": List(Image()),
    "attributes": ATTRIBUTES,
    "shared": SHARED,
    "kind": TEXT,
    "asks": TEXT,
}
SUPERVISED = Features({**_SHOWN, "messages": TURNS, "emphasis": List(TEXT)})
PREFERENCE = Features(
    {
        **_SHOWN,
        "prompt": TURNS,
        "chosen": TURNS,
        "rejected": TURNS,
        "chosen_scores": SCORES,
        "rejected_scores": SCORES,
        "emphasis": List(TEXT),
    }
)
PROBES = Features({**_SHOWN, "prompt": TURNS, "condition": TEXT, "phrasing": TEXT})
